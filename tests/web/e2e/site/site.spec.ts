import { existsSync, readFileSync } from "node:fs";

import type { Page } from "@playwright/test";

import { bytes, count, shape } from "../../../../www/src/lib/format.ts";
import { accessible, expect, SITE, test } from "../page.ts";

/** The built site with the real wasm, on the committed sample; what it must say stands in the sample's reference. */
const SAMPLE = "tests/corpus/sample";
const reference = JSON.parse(readFileSync(`${SAMPLE}/reference.json`, "utf8")) as {
  parameters: number;
  max_new_tokens: number;
  weights: { files: string[]; runs: { prompt: string; ids: number[]; text: string }[] }[];
  tokenizer: { text: string; ids: number[]; offsets: [number, number][] }[];
};
const greedy = (file: string, prompt: string) => reference.weights.find((w) => w.files.includes(file))?.runs.find((r) => r.prompt === prompt);

/** Everything on WebGPU: SwiftShader takes minutes for what the CPU path does in seconds. */
const ALL_GPU = process.env["GLASSBOX_ALL_GPU"] === "1";

test.beforeAll(() => {
  expect(existsSync("dist/index.html"), "dist/ is missing: run `npm run build` first").toBe(true);
});

async function openSampleFile(page: Page, files: string[], hash = "overview"): Promise<void> {
  await page.goto(`${SITE}#${hash}`);
  await page.getByTestId("files").first().setInputFiles(files.map((f) => `${SAMPLE}/${f}`));
  await expect(page.getByRole("navigation", { name: "Views of this model" })).toBeVisible();
}

const GOLDEN: [string, string[]][] = [
  ["GGUF", ["gguf/sample-q8_0.gguf"]],
  ["safetensors", ["hf/config.json", "hf/generation_config.json", "hf/model.safetensors.index.json", "hf/model-00001-of-00002.safetensors", "hf/model-00002-of-00002.safetensors", "hf/tokenizer.json", "hf/tokenizer_config.json", "hf/special_tokens_map.json"]],
  ["ONNX", ["sample.onnx"]],
];

for (const [format, files] of GOLDEN) {
  test(`${format}: the sample opens and shows what the reference knows`, async ({ page }) => {
    await openSampleFile(page, files);
    await expect(page.locator("header .chip").first()).toContainText(format);
    const size = files.map((f) => readFileSync(`${SAMPLE}/${f}`).length).reduce((a, b) => a + b, 0);
    await expect(page.locator("header .read")).toContainText(`of ${bytes(size)} read`);
    await expect(page.locator(".shape-card")).toContainText("Tensors");
    if (format !== "ONNX") await expect(page.getByTitle(count(reference.parameters), { exact: true })).toBeVisible();
    await page.getByRole("link", { name: "Notes" }).click();
    await expect(page.locator(".note.error")).toHaveCount(0);
  });
}

test("no request leaves the page once it has loaded", async ({ page }) => {
  const wasm = page.waitForResponse((r) => r.url().endsWith(".wasm"));
  await page.goto(SITE);
  await (await wasm).finished();
  const requests: string[] = [];
  page.on("request", (r) => requests.push(r.url()));
  await page.getByTestId("files").first().setInputFiles(`${SAMPLE}/gguf/sample-q8_0.gguf`);
  for (const tab of ["Metadata", "Tensors", "Tokenizer", "Run", "Notes"]) await page.getByRole("link", { name: tab }).click();
  await page.getByRole("link", { name: "Tokenizer" }).click();
  await expect(page.getByRole("option").first()).toBeVisible();
  await page.getByRole("link", { name: "Run" }).click();
  await page.getByLabel("New tokens").fill("8");
  await page.getByText("CPU", { exact: true }).click();
  await page.getByRole("button", { name: "Load and run" }).click();
  await expect(page.getByText(/8 new tokens/)).toBeVisible();
  // A file of the person's own is read by the browser itself: that is no request.
  expect(requests.filter((url) => !/^(blob|data):/.test(url))).toEqual([]);
});

test("the sample's button fetches from the page's own host only, and runs to the reference's text on the CPU", async ({ page }) => {
  const strangers: string[] = [];
  page.on("request", (r) => { if (!r.url().startsWith("http://localhost")) strangers.push(r.url()); });
  await page.goto(SITE);
  await page.getByRole("button", { name: "Try the sample" }).click();
  await page.getByRole("link", { name: "Run" }).click();
  const run = greedy("gguf/sample-q8_0.gguf", "Once upon a time");
  await expect(page.getByLabel("Prompt")).toHaveValue("Once upon a time");
  await page.getByLabel("Temperature").fill("0");
  await page.getByText("CPU", { exact: true }).click();
  await page.getByRole("button", { name: "Load and run" }).click();
  await expect(page.getByText(/new tokens;/)).toBeVisible();
  expect(await page.getByRole("region", { name: "Text written by the model" }).textContent()).toBe(`Once upon a time${run?.text}`);
  expect(strangers).toEqual([]);
});

test("WebGPU writes the same text as the CPU", async ({ page }) => {
  test.skip(!ALL_GPU, "whole models take minutes on SwiftShader: GLASSBOX_ALL_GPU=1 runs them");
  test.setTimeout(900_000);
  await openSampleFile(page, ["gguf/sample-q8_0.gguf"], "run");
  const run = greedy("gguf/sample-q8_0.gguf", "Once upon a time");
  await page.getByLabel("Prompt").fill("Once upon a time");
  await page.getByLabel("Temperature").fill("0");
  await page.getByText("GPU", { exact: true }).click();
  await page.getByRole("button", { name: "Load and run" }).click();
  await expect(page.getByText(/new tokens;/)).toBeVisible({ timeout: 880_000 });
  expect(await page.getByRole("region", { name: "Text written by the model" }).textContent()).toBe(`Once upon a time${run?.text}`);
  await expect(page.locator(".machine")).toContainText("WebGPU");
});

test("every kernel agrees with its CPU twin in the page's own worker, in both tiers", async ({ page }) => {
  test.skip(!ALL_GPU, "engine.spec.ts compares the kernels without the page; GLASSBOX_ALL_GPU=1 also does it in the page's worker");
  test.setTimeout(900_000);
  await page.goto(SITE);
  const worker = await page.evaluate(async () => {
    const script = document.querySelector<HTMLScriptElement>("script[src]")?.src ?? "";
    return /[\w./-]*worker-[\w-]+\.js/.exec(await (await fetch(script)).text())?.[0] ?? "";
  });
  // A document of the same host without the page's policy may start the site's worker by its address.
  await page.goto(`${SITE}sample/index.json`);
  for (const tier of ["core", "subgroup"]) {
    const answer = await page.evaluate(([address, asked]) => new Promise<{ kind: string; json?: string; fault?: unknown }>((resolve) => {
      const port = new Worker(new URL(`../assets/${(address as string).split("/").at(-1)}`, location.href), { type: "module" });
      port.onmessage = (e) => resolve(e.data as { kind: string });
      port.postMessage({ id: 1, call: "testOps", ask: { device: "gpu", tier: asked, only: "" } });
    }), [worker, tier] as const);
    expect(answer.kind, JSON.stringify(answer.fault)).toBe("tell");
    const report = JSON.parse(answer.json ?? "") as { ok: boolean; device: { tier: string }; ops: { ok: boolean; kernel: string; encoding: string; shape: string; nmse: number }[] };
    expect(report.ops.filter((op) => !op.ok)).toEqual([]);
    expect(report.ops.length).toBeGreaterThan(0);
  }
});

test("text is split as the reference tokenizer splits it", async ({ page }) => {
  await openSampleFile(page, ["gguf/sample-q8_0.gguf"], "tokenizer");
  await page.getByLabel("Add special tokens").uncheck();
  await page.getByLabel("Read special tokens in the text").check();
  for (const { text, ids } of reference.tokenizer.filter((t) => t.text !== "" && !t.text.includes("\r"))) {
    await page.getByLabel("Text to split").fill(text);
    await expect.poll(async () => (await page.locator(".piece .id").allTextContents()).map(Number), { message: JSON.stringify(text) }).toEqual(ids);
  }
});

test("a tensor's values come from the file, decoded", async ({ page }) => {
  await openSampleFile(page, ["gguf/sample-q8_0.gguf"], "tensors?tensor=output_norm.weight");
  const peek = page.getByRole("region", { name: "The chosen tensor" });
  await expect(peek).toContainText(shape([256]));
  await expect(peek.getByRole("img", { name: /^Histogram of 256 values/ })).toBeVisible();
});

for (const scheme of ["light", "dark"] as const) {
  test(`axe finds nothing serious on the sample, ${scheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await openSampleFile(page, ["gguf/sample-q8_0.gguf"]);
    for (const tab of ["Overview", "Metadata", "Tensors", "Tokenizer", "Run", "Notes"]) {
      await page.getByRole("link", { name: tab }).click();
      await expect(page.getByRole("link", { name: tab })).toHaveAttribute("aria-current", "page");
      await accessible(page);
    }
  });
}
