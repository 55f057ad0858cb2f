import { existsSync } from "node:fs";

import type * as Package from "../../../../www/src/package/browser.ts";
import { accessible, expect, test } from "../page.ts";
import { serveFile } from "./host.ts";

const PAGE = "/package/example.html";
test.skip(!existsSync("target/package/web/viewer.js"), "the npm package is not built (cargo xtask package)");

test("the viewer shows a chosen file on a page with the strictest policy", async ({ page }) => {
  await page.goto(PAGE);
  const viewer = page.locator("glassbox-viewer");
  await viewer.locator("input[type=file]").setInputFiles("tests/corpus/sample/gguf/sample-q4_k_m.gguf");
  await expect(viewer.getByRole("article", { name: "Model sample-q4_k_m.gguf" })).toBeVisible();
  await expect(viewer.getByText("What can run it")).toBeVisible();
  await viewer.getByText(/^Tensors, /).click();
  await viewer.getByRole("searchbox", { name: "Filter tensors" }).fill("token_embd");
  await expect(viewer.getByRole("region", { name: "tensors" }).getByRole("row")).toHaveCount(1);
  await accessible(page);
});

test("the viewer reads a model at another host by ranges, and tells the page of it", async ({ page }) => {
  const host = await serveFile("tests/corpus/sample/gguf/sample-q8_0.gguf");
  try {
    await page.goto(PAGE);
    const report = page.evaluate((url) => new Promise<{ format: string; bytes_read: number; bytes_total: number }>((resolve, reject) => {
      const viewer = document.querySelector("glassbox-viewer") as HTMLElement;
      viewer.addEventListener("open", (e) => resolve((e as CustomEvent).detail), { once: true });
      viewer.addEventListener("fault", (e) => reject((e as CustomEvent).detail), { once: true });
      viewer.setAttribute("src", url);
    }), host.url("good"));
    const { format, bytes_read, bytes_total } = await report;
    expect(format).toBe("GGUF");
    expect(bytes_read).toBeLessThan(bytes_total);
    expect(host.asked.every((a) => a.range !== undefined)).toBe(true);
  } finally {
    await host.close();
  }
});

test("a file that is no model is told in the viewer, and another can be chosen", async ({ page }) => {
  await page.goto(PAGE);
  const viewer = page.locator("glassbox-viewer");
  await viewer.locator("input[type=file]").setInputFiles({ name: "note.gguf", mimeType: "text/plain", buffer: Buffer.from("GGUF is what this begins with") });
  await expect(viewer.getByRole("alert")).toContainText("note.gguf");
  await viewer.getByRole("button", { name: "Choose other files" }).click();
  await viewer.locator("input[type=file]").setInputFiles("tests/corpus/sample/gguf/sample-q8_0.gguf");
  await expect(viewer.getByRole("article")).toBeVisible();
});

test("a page's own code opens, tokenizes and generates through the modules", async ({ page }) => {
  await page.goto(PAGE);
  const told = await page.evaluate(async () => {
    const { open } = await import(new URL("./browser.js", location.href).href) as typeof Package;
    const picked = await (await fetch("../corpus/gguf/sample-q8_0.gguf")).blob();
    const model = await open({ name: "sample-q8_0.gguf", file: picked });
    const runner = await model.runner();
    const { ids } = await runner.tokenize("Once upon a time");
    await runner.load({ device: "cpu" });
    let streamed = "";
    const generation = runner.generate({ prompt: "Once upon a time", temperature: 0, max_tokens: 8 });
    for await (const { text } of generation) streamed += text;
    const { text } = await generation.finished;
    model.close();
    return { ids: ids.length, same: text === streamed && text.length > 0 };
  });
  expect(told.ids).toBeGreaterThan(3);
  expect(told.same).toBe(true);
});
