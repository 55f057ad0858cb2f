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

/** Opens the page and waits for all that it fetches by itself: its files, and once more what is kept for offline use. */
async function load(page: Page): Promise<void> {
  const wasm = page.waitForResponse((r) => /\/runner_bg[^/]*\.wasm$/.test(r.url()));
  await page.goto(SITE);
  await (await wasm).finished();
  await page.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    if (active?.state !== "activated") await new Promise((done) => active?.addEventListener("statechange", done));
  });
}

test("no request leaves the page once it has loaded", async ({ page, context }) => {
  const loading: string[] = [];
  const requests: string[] = [];
  let loaded = false;
  // The context's requests are those of the page, its workers and its service worker.
  context.on("request", (r) => (loaded ? requests : loading).push(r.url()));
  await load(page);
  loaded = true;
  const own = new URL(SITE, page.url()).href;
  expect(loading.filter((url) => !url.startsWith(own))).toEqual([]);
  expect(loading.filter((url) => url.includes("/sample/"))).toEqual([]);
  await page.getByTestId("files").first().setInputFiles(`${SAMPLE}/gguf/sample-q8_0.gguf`);
  for (const tab of ["Metadata", "Tensors", "Tokenizer", "Run", "Notes"]) await page.locator(".tabs").getByRole("link", { name: tab }).click();
  await page.getByRole("link", { name: "Bytes" }).click();
  await expect(page.getByRole("table", { name: /in hexadecimal/ }).getByText("GGUF")).toBeVisible();
  await page.getByRole("link", { name: "Tokenizer", exact: true }).click();
  await expect(page.getByRole("option").first()).toBeVisible();
  await page.getByRole("link", { name: "Run" }).click();
  await page.getByLabel("New tokens").fill("8");
  await page.getByText("CPU", { exact: true }).click();
  await page.getByRole("button", { name: "Load and run" }).click();
  await expect(page.getByText(/8 new tokens/)).toBeVisible();
  // A file of the person's own is read by the browser itself: that is no request.
  expect(requests.filter((url) => !/^(blob|data):/.test(url))).toEqual([]);
});

test("the first paint does not wait for the engine", async ({ page }) => {
  let release = () => {};
  const held = new Promise<void>((done) => { release = done; });
  await page.route("**/*.wasm", async (route) => { await held; await route.continue(); });
  await page.goto(SITE, { waitUntil: "commit" });
  await expect(page.getByRole("heading", { name: "Drop a model, or a whole folder" })).toBeVisible();
  release();
  await page.getByTestId("files").first().setInputFiles(`${SAMPLE}/gguf/sample-q8_0.gguf`);
  await expect(page.getByRole("navigation", { name: "Views of this model" })).toBeVisible();
});

test("once loaded, the page opens without a network and reads a file and the sample that was seen before", async ({ page, context }) => {
  await load(page);
  await page.getByRole("button", { name: "Try the sample" }).click();
  await expect(page.getByRole("navigation", { name: "Views of this model" })).toBeVisible();
  await context.setOffline(true);
  await page.goto("about:blank");
  for (const address of [SITE, `${SITE}index.html`, `${SITE}#tensors`]) {
    await page.goto(address);
    await expect(page.getByRole("heading", { name: "Drop a model, or a whole folder" })).toBeVisible();
  }
  await page.getByTestId("files").first().setInputFiles(`${SAMPLE}/sample.onnx`);
  await expect(page.locator("header")).toContainText("ONNX");
  await page.getByRole("button", { name: "Open…" }).click();
  await page.getByRole("button", { name: "Try the sample" }).click();
  await expect(page.locator("header")).toContainText("sample-q8_0.gguf");
  await page.getByRole("button", { name: "Open…" }).click();
  await page.getByRole("button", { name: "Open a URL" }).click();
  await page.getByLabel("Address of a model file").fill("https://host.example/m.gguf");
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("not connected to a network");
});

test("only files of the page are kept, in one store per build and folder", async ({ page }) => {
  await load(page);
  await page.getByTestId("files").first().setInputFiles(`${SAMPLE}/gguf/sample-q8_0.gguf`);
  await expect(page.getByRole("navigation", { name: "Views of this model" })).toBeVisible();
  const stores = await page.evaluate(async () => {
    const names = await caches.keys();
    return Promise.all(names.map(async (name) => ({ name, kept: (await (await caches.open(name)).keys()).map((r) => r.url) })));
  });
  expect(stores.map((s) => s.name)).toEqual([expect.stringMatching(/^glassbox http:\/\/localhost:\d+\/some\/sub\/path\/ [0-9a-f]{16}$/)]);
  const own = new URL(SITE, page.url()).href;
  const kept = (stores[0]?.kept ?? []).map((url) => url.replace(own, ""));
  for (const file of kept) expect(existsSync(`dist/${file}`), file).toBe(true);
  expect(kept).toEqual(expect.arrayContaining(["index.html", "manifest.webmanifest", "icon.svg"]));
  expect(kept.filter((file) => /\.(?:gguf|onnx|safetensors)$/.test(file))).toEqual([]);
});

test.describe("storage", () => {
  // Chromium asks for an icon of the JSON document that the test starts from.
  test.use({ expected: /Failed to load resource.*404/ });

  test("a new build's files replace the old ones, and nobody else's", async ({ page }) => {
    await page.goto(`${SITE}sample/index.json`);
    await page.evaluate(async () => {
      const scope = new URL("../", location.href).href;
      for (const name of [`glassbox ${scope} 0123456789abcdef`, "glassbox http://localhost/another/copy/ 1", "of somebody else"]) await caches.open(name);
    });
    await load(page);
    await expect.poll(() => page.evaluate(() => caches.keys())).toEqual([expect.stringMatching(/^glassbox .*another/), "of somebody else", expect.stringMatching(/^glassbox .*\/some\/sub\/path\/ (?!0123456789abcdef)/)]);
  });
});

test("it can be installed", async ({ page }) => {
  await load(page);
  const devtools = await page.context().newCDPSession(page);
  const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
  // Every context of a test is a private one, which nothing can be installed from.
  expect(installabilityErrors.map((e) => e.errorId).filter((id) => id !== "in-incognito")).toEqual([]);
  const { errors, data, url } = await devtools.send("Page.getAppManifest");
  expect(errors).toEqual([]);
  const { start_url: start, scope } = JSON.parse(data ?? "") as { start_url: string; scope: string };
  for (const path of [start, scope]) expect(new URL(path, url).pathname).toBe(SITE);
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
  expect(await page.getByRole("region", { name: "Completion" }).textContent()).toBe(`Once upon a time${run?.text}`);
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
  expect(await page.getByRole("region", { name: "Completion" }).textContent()).toBe(`Once upon a time${run?.text}`);
  await expect(page.locator(".machine")).toContainText("WebGPU");
});

test("every kernel agrees with its CPU twin in the page's own worker, in both tiers", async ({ page }) => {
  test.skip(!ALL_GPU, "engine.spec.ts compares the kernels without the page; GLASSBOX_ALL_GPU=1 also does it in the page's worker");
  test.setTimeout(900_000);
  await page.goto(SITE);
  const worker = await page.evaluate(async () => {
    const script = document.querySelector<HTMLScriptElement>("script[src]")?.src ?? "";
    return /[\w./-]*runner-[\w-]+\.js/.exec(await (await fetch(script)).text())?.[0] ?? "";
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
  await page.getByLabel("Parse special tokens in the text").check();
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
    for (const tab of ["Overview", "Metadata", "Tensors", "Bytes", "Tokenizer", "Run", "Notes"]) {
      await page.locator(".tabs").getByRole("link", { name: tab }).click();
      await expect(page.locator(".tabs").getByRole("link", { name: tab })).toHaveAttribute("aria-current", "page");
      await accessible(page);
    }
  });
}
