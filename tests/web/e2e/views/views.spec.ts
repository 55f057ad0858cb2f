import { bytes, count } from "../../../../www/src/lib/format.ts";
import { hostile, llama } from "../../mock/reports.ts";
import { accessible, choose, drop, expect, MOCK, open, test, writeOn } from "../page.ts";

const NAME = "smollm2-135m.gguf";

test("arrival offers its four ways in and its promise", async ({ page }) => {
  await page.goto(MOCK);
  await expect(page.getByRole("heading", { name: "Drop a model, or a whole folder" })).toBeVisible();
  for (const name of ["Choose files", "Choose folder", "Open a URL", "Try the sample"]) await expect(page.getByRole("button", { name })).toBeVisible();
  await expect(page.getByText("Nothing leaves this machine")).toBeVisible();
});

test("an opened file shows what its report says", async ({ page }) => {
  const report = llama(NAME, 64);
  await open(page, NAME);
  await expect(page.getByRole("heading", { name: NAME })).toBeVisible();
  await expect(page.getByText(report.summary)).toBeVisible();
  await expect(page.getByText(`${bytes(report.bytes_read)} of ${bytes(report.bytes_total)} read`)).toBeVisible();
  const sizes = page.getByRole("region", { name: "Sizes by encoding" });
  for (const e of report.encodings) await expect(sizes.getByRole("row", { name: new RegExp(`^${e.encoding} ${count(e.tensors)} ${bytes(e.bytes)}`) })).toBeVisible();
  for (const part of report.place.parts) await expect(page.getByText(part.detail).first()).toBeVisible();
  for (const runner of report.runners) await expect(page.locator(".runners").getByText(runner.name, { exact: true })).toBeVisible();
  await expect(page.getByText("Yes: 204.2 MB of")).toBeVisible();
});

test("a file dropped over an open model replaces it", async ({ page }) => {
  await open(page, NAME, "metadata");
  await drop(page, "other.gguf", [1, 2, 3]);
  await expect(page.getByRole("heading", { name: "other.gguf" })).toBeVisible();
});

test("a file that cannot be opened is explained, and what was open stays", async ({ page }) => {
  await page.goto(MOCK);
  await choose(page, "broken.gguf");
  await expect(page.getByRole("alert")).toContainText("The header says 4,294,967,295 metadata entries");
  await expect(page.getByRole("alert")).toContainText("at byte 16");
  await choose(page, NAME);
  await choose(page, "notes.txt");
  await expect(page.getByRole("alert")).toContainText("none of the formats");
  await expect(page.getByRole("heading", { name: NAME })).toBeVisible();
  await page.getByRole("button", { name: "Dismiss" }).click();
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("opening can be given up", async ({ page }) => {
  await page.goto(MOCK);
  await choose(page, "slow.gguf");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("Reading the header")).toHaveCount(0);
  await choose(page, NAME);
  await expect(page.getByRole("heading", { name: NAME })).toBeVisible();
});

test("state lives in the address; Back and Forward walk through it", async ({ page }) => {
  await open(page, NAME);
  await page.getByRole("link", { name: "Tensors" }).click();
  await page.getByLabel("Search tensors").fill("token_embd");
  await page.getByRole("row", { name: /token_embd\.weight/ }).click();
  await expect(page).toHaveURL(/#tensors\?tensor=token_embd\.weight&q=token_embd$/);
  await page.getByRole("link", { name: "Metadata" }).click();
  await page.goBack();
  await expect(page.getByLabel("Search tensors")).toHaveValue("token_embd");
  await expect(page.getByRole("heading", { name: "token_embd.weight" })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("heading", { name: "token_embd.weight" })).toHaveCount(0);
  await page.goForward();
  await page.goForward();
  await expect(page.getByLabel("Search metadata")).toBeVisible();
});

test("a tensor opens with statistics, histogram, values and bytes, and the counter moves", async ({ page }) => {
  await open(page, NAME, "tensors?tensor=blk.0.ffn_down.weight");
  const peek = page.getByRole("region", { name: "The chosen tensor" });
  await expect(peek.getByText("6.563 bits per value")).toBeVisible();
  await expect(peek.getByRole("img", { name: /Histogram of 884,736 values from −0\.412 to 0\.398/ })).toBeVisible();
  await expect(peek.getByRole("region", { name: "Bytes of the first block shown" })).toContainText("0b 30 55");
  await expect(peek.getByRole("cell", { name: "NaN" })).toBeVisible();
  await peek.getByRole("button", { name: "Later rows" }).click();
  await expect(peek.getByText("rows 8–15 of 576")).toBeVisible();
  await expect(page.getByText(`${bytes(1_811_584 + 8 * 1536 * 2 + 725_760)} of`)).toBeVisible();
});

test("100,000 tensors: few rows exist, the last is reached, search finds", async ({ page }) => {
  await open(page, "huge.gguf", "tensors");
  await page.getByText("Table", { exact: true }).click();
  const grid = page.getByRole("grid", { name: "Tensors" });
  await expect(grid).toHaveAttribute("aria-rowcount", "100002");
  expect(await grid.getByRole("row").count()).toBeLessThan(100);
  await grid.focus();
  await page.keyboard.press("End");
  await expect(grid.getByRole("row", { name: /token_embd\.weight/ })).toBeVisible();
  await page.getByLabel("Search tensors").fill("blk.9999 attn q5_0 576x576");
  await expect(page.getByText("2 of 100,001 tensors")).toBeVisible();
});

test("long arrays are read page by page", async ({ page }) => {
  await open(page, NAME, "metadata?q=ggml.tokens");
  await page.getByRole("button", { name: "Page through them" }).click();
  await page.getByRole("button", { name: "Next" }).click();
  await expect(page.getByText("token127")).toBeVisible();
});

test("pieces and text point at each other", async ({ page }) => {
  await open(page, NAME, "tokenizer");
  await page.getByLabel("Text to split").fill("Once upon 日");
  await page.getByRole("option", { name: /upon/ }).hover();
  await expect(page.locator(".mirror mark")).toHaveText(" upon");
  await page.getByLabel("Text to split").press("Home");
  await page.getByLabel("Text to split").press("Shift+ArrowRight");
  await expect(page.getByRole("option", { name: /Once/ })).toHaveClass(/hit/);
  await expect(page.locator(".figures")).toContainText("bytes13");
});

test("a run streams, stops, and tells what else could have stood there", async ({ page }) => {
  await open(page, NAME, "run");
  await writeOn(page);
  await page.getByLabel("Prompt").fill("Once upon a time");
  await page.getByLabel("New tokens").fill("100000");
  await page.getByRole("button", { name: "Load and run" }).click();
  await expect(page.getByRole("region", { name: "Completion" })).toContainText("Once upon a time, there was a little fox");
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText(/new tokens; stopped/)).toBeVisible();
  await page.getByRole("button", { name: "Token before" }).click();
  await expect(page.locator(".alternatives tbody tr").first()).toContainText("%");
  await expect(page.getByText("The only graphics adapter is a software one")).toBeVisible();
  await expect(page.getByText("149.0 MB")).toBeVisible();
});

test("loading stops when it is told to, and does not begin again", async ({ page }) => {
  await open(page, "loading.gguf", "run");
  await writeOn(page);
  await page.getByRole("button", { name: "Load and run" }).click();
  await expect(page.getByText(/Loading weights: /)).toBeVisible();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText(/Loading weights: /)).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Load and run" })).toBeVisible();
});

test("a device that fails is named where the run was started", async ({ page }) => {
  await open(page, "nogpu.gguf", "run");
  await writeOn(page);
  await page.getByText("GPU", { exact: true }).click();
  await page.getByRole("button", { name: "Load and run" }).click();
  await expect(page.getByRole("alert")).toContainText("This browser offers no WebGPU adapter");
});

test("a wasm that traps is restarted, and the next question opens the model again", async ({ page }) => {
  await open(page, "crash.gguf", "tensors?tensor=output_norm.weight");
  await expect(page.getByText("The engine had to be restarted")).toBeVisible();
  await page.getByRole("link", { name: "Tokenizer", exact: true }).click();
  await expect(page.getByRole("option", { name: /quick/ })).toBeVisible();
});

test("hostile names stay text", async ({ page }) => {
  const report = hostile("hostile.gguf");
  await open(page, "hostile.gguf");
  await expect(page.getByText("<script>alert(1)</script>")).toBeVisible();
  await expect(page.getByText("<img src=x onerror=alert(1)>")).toBeVisible();
  await expect(page.getByText("<U+202E>").first()).toBeVisible();
  expect(await page.locator("img").count()).toBe(0);
  expect(await page.locator("main script").count()).toBe(0);
  await page.getByRole("link", { name: "Notes" }).click();
  for (const note of report.notes) await expect(page.getByText(note.what)).toBeVisible();
});

test("what is missing is listed to the byte, and a closer look adds what it finds", async ({ page }) => {
  await open(page, "hostile.gguf");
  await page.getByRole("link", { name: "Notes" }).click();
  await expect(page.getByText("8 complete, 1 partial, 3 missing, others not even listed")).toBeVisible();
  await expect(page.getByText("missing: bytes 200,000 to 105,454,431")).toBeVisible();
  await expect(page.getByText("missing wholly; how much is not known")).toBeVisible();
  await expect(page.getByText("<b>hostile</b>")).toBeVisible();
  const found = page.getByText("Padding of 28 bytes from byte 4,096 is not zero");
  await expect(found).toHaveCount(0);
  await page.getByRole("button", { name: "Look closer" }).click();
  await expect(found).toBeVisible();
  await expect(page.getByText("llama.cpp would refuse this because:")).toBeVisible();
  await expect(page.getByText("Read beyond the headers: 512 values of 2 of 3 tensors.")).toBeVisible();
});

test("nothing moves while a model opens and is looked through", async ({ page }) => {
  await page.addInitScript(() => {
    const shifts: string[] = [];
    Object.assign(globalThis, { shifts });
    type Shift = { value: number; hadRecentInput: boolean; sources: { node: Element | null }[] };
    new PerformanceObserver((list) => {
      for (const e of list.getEntries() as unknown as Shift[]) {
        // The caret walks along with streamed text: that is no jump. A card that moves by a line counts 0.01 and more.
        if (!e.hadRecentInput && e.value > 0.005) shifts.push(`${e.value.toFixed(4)} ${e.sources.map((s) => (s.node instanceof Element ? `${s.node.tagName}.${s.node.className}` : "text")).join(" ")}`);
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
  await open(page, NAME, "tensors?tensor=blk.0.ffn_down.weight");
  await expect(page.getByText("Numbers of the histogram")).toBeVisible();
  await page.getByRole("link", { name: "Run" }).click();
  await writeOn(page);
  await page.getByRole("button", { name: "Load and run" }).click();
  await expect(page.getByText(/200 new tokens/)).toBeVisible();
  expect(await page.evaluate(() => (globalThis as unknown as { shifts: string[] }).shifts)).toEqual([]);
});

test("everything is reached by keyboard", async ({ page }) => {
  await page.goto(MOCK);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Choose files" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Address of a model file")).toBeFocused();
  await page.keyboard.press("Shift+Tab");
  await expect(page.getByRole("button", { name: "Try the sample" })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Tensors" }).focus();
  await page.keyboard.press("Enter");
  const tree = page.getByRole("treegrid", { name: "Tensors" });
  await tree.focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await expect(tree.getByRole("row", { name: /attn_k\.weight/ })).toBeVisible();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: "The chosen tensor" })).toContainText("blk.0.attn_k.weight");
  await page.getByRole("button", { name: "Close the tensor" }).press("Enter");
  await page.getByRole("link", { name: "Tokenizer", exact: true }).press("Enter");
  await page.getByRole("option").first().focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("option").nth(1)).toBeFocused();
  await page.getByRole("link", { name: "Run" }).press("Enter");
  await page.getByRole("radio", { name: "Chat" }).focus();
  await page.keyboard.press("ArrowRight");
  await page.getByLabel("Prompt").press("Control+Enter");
  await expect(page.getByRole("button", { name: "Stop" })).toBeVisible();
  await page.getByRole("button", { name: "Stop" }).press("Enter");
  await expect(page.getByRole("button", { name: "Stop" })).toHaveCount(0);
});

const STATES = ["overview", "metadata", "tensors", "tensors?tensor=blk.0.ffn_down.weight", "bytes", "bytes?tensor=token_embd.weight&at=1811584", "tokenizer", "tokenizer?part=chat", "run", "notes"];

for (const scheme of ["light", "dark"] as const) {
  test(`axe finds nothing serious on arrival, after a fault and after a run, ${scheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.goto(MOCK);
    await accessible(page);
    await choose(page, "broken.gguf");
    await expect(page.getByRole("alert")).toBeVisible();
    await accessible(page);
    await open(page, NAME, "run");
    await writeOn(page);
    await page.getByRole("button", { name: "Load and run" }).click();
    await expect(page.getByText(/new tokens;/)).toBeVisible();
    await accessible(page);
  });
  for (const [file, states] of [[NAME, STATES], ["hostile.gguf", ["overview", "metadata", "notes", "run", "tensors", "bytes"]], ["m.onnx", ["graph", "overview"]]] as const) {
    test(`axe finds nothing serious in the views of ${file}, ${scheme}`, async ({ page }) => {
      test.setTimeout(300_000);
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await open(page, file);
      for (const state of states) {
        await page.evaluate((hash) => { location.hash = hash; }, state);
        await expect(page.locator(".tabs [aria-current]")).toHaveAttribute("href", `#${state.split("?")[0]}`);
        if (state.startsWith("tensors?")) await expect(page.getByText("Numbers of the histogram")).toBeVisible();
        if (state.includes("part=chat")) await expect(page.getByRole("region", { name: "The prompt as text" })).toContainText("capital of France");
        if (state === "tokenizer") await expect(page.getByRole("option").first()).toBeVisible();
        await accessible(page);
      }
    });
  }
}

test("390 pixels are wide enough for every view", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const [file, states] of [[NAME, STATES], ["hostile.gguf", ["overview", "metadata", "notes", "bytes"]], ["m.onnx", ["graph"]]] as const) {
    await open(page, file);
    for (const state of states) {
      await page.evaluate((hash) => { location.hash = hash; }, state);
      await expect(page.locator(".tabs [aria-current]")).toHaveAttribute("href", `#${state.split("?")[0]}`);
      const { content, view } = await page.evaluate(() => ({ content: document.documentElement.scrollWidth, view: document.documentElement.clientWidth }));
      expect(content, `${file} ${state}`).toBeLessThanOrEqual(view);
    }
  }
});

test("colours follow the system until they are chosen", async ({ page }) => {
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto(MOCK);
  expect(await background()).toBe("rgb(14, 18, 20)");
  await page.getByRole("button", { name: /^Colours/ }).click();
  expect(await background()).toBe("rgb(247, 248, 248)");
  await page.reload();
  expect(await background()).toBe("rgb(247, 248, 248)");
});
