import type { Page } from "@playwright/test";

import { accessible, expect, open, test } from "../page.ts";

const peek = (page: Page) => page.getByRole("region", { name: "The chosen tensor" });

async function show(page: Page, tensor: string, contents: string, file = "m.gguf"): Promise<void> {
  await open(page, file, `tensors?tensor=${tensor}`);
  await peek(page).getByRole("radio", { name: contents, exact: true }).check({ force: true });
}

test("the histogram's counts can be seen on a logarithmic axis", async ({ page }) => {
  await open(page, "m.gguf", "tensors?tensor=blk.0.ffn_down.weight");
  const histogram = peek(page).getByRole("img", { name: /^Histogram of 884,736 values/ });
  await expect(histogram).toBeVisible();
  const edge = () => histogram.locator("rect").first().evaluate((e) => Number(e.getAttribute("height")));
  const before = await edge();
  await peek(page).getByText("Logarithmic").click();
  await expect(peek(page).getByRole("img", { name: /the axis of the counts is logarithmic$/ })).toBeVisible();
  expect(await edge()).toBeGreaterThan(10 * before);
  await accessible(page);
});

test("the heat map is walked by keys, zooms to single values, and its numbers are in tables", async ({ page }) => {
  await show(page, "blk.0.ffn_down.weight", "Heat map");
  await expect(peek(page).getByText(/^Rows 0–575 of 576, columns 0–1,535 of 1,536. All 884,736 values in sight are read/)).toBeVisible();
  await expect(peek(page).getByText(/values lie further than 6 standard deviations/)).toBeVisible();
  await peek(page).getByText("The furthest values").click();
  await expect(peek(page).getByRole("region", { name: "The furthest values" }).getByRole("row", { name: /^7 11 1\.5/ })).toBeVisible();
  const map = peek(page).getByRole("application", { name: "Heat map of the values" });
  await map.focus();
  await page.keyboard.press("ArrowRight");
  await expect(peek(page).getByText(/^row 0–\d, column 0–\d+: strongest −?0\.\d+, mean −?[\d.e−]+$/).last()).toBeVisible();
  for (let i = 0; i < 10; i++) await page.keyboard.press("+");
  await expect(peek(page).getByText(/^Rows 0–4 of 576, columns 0–\d+ of 1,536/)).toBeVisible();
  await expect(peek(page).getByText(/^row 0, column 0: −?[\d.]+$/).last()).toBeVisible();
  await peek(page).getByText("Numbers of the cells").click();
  await expect(peek(page).getByRole("region", { name: "Numbers of the cells" }).getByRole("row")).toHaveCount(6);
  await page.keyboard.press("Escape");
  await accessible(page);
  await map.focus();
  await page.keyboard.press("0");
  await expect(peek(page).getByText(/^Rows 0–575 of 576/)).toBeVisible();
});

test("the heat map follows drag and wheel, and a large tensor is read in part", async ({ page }) => {
  await show(page, "token_embd.weight", "Heat map");
  await expect(peek(page).getByText(/values are read for this, [\d.]+ % of those in sight: [\d,]+ rows evenly spread; nearer, all of them/)).toBeVisible();
  const map = peek(page).getByRole("application", { name: "Heat map of the values" });
  await map.click({ position: { x: 100, y: 100 } });
  await expect(peek(page).getByText(/^row [\d,]+–[\d,]+, column/).last()).toBeVisible();
  for (let i = 0; i < 30; i++) await page.mouse.wheel(0, -240);
  await expect(peek(page).getByText(/All [\d,]+ values in sight are read/)).toBeVisible();
  const before = await peek(page).getByText(/^Rows /).textContent();
  const box = await map.boundingBox();
  if (box === null) throw new Error("the map has no place");
  await page.mouse.move(box.x + 100, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 20, box.y + 40, { steps: 4 });
  await page.mouse.up();
  await expect(peek(page).getByText(/^Rows /)).not.toHaveText(before ?? "");
});

test("channels that stand out are named, by row and by column", async ({ page }) => {
  await show(page, "blk.0.ffn_down.weight", "Channels");
  await expect(peek(page).getByText(/None of 576 rows stands out/)).toBeVisible();
  await peek(page).getByText("By column").click();
  await expect(peek(page).getByText(/^The median RMS is [\d.]+\. 2 of 1,536 columns stand out/)).toBeVisible();
  await expect(peek(page).getByRole("region", { name: "What stands out" }).getByRole("row", { name: /^100 0\.19/ })).toBeVisible();
  await expect(peek(page).getByRole("img", { name: /^RMS by column, .*; 100, 11 stand out$/ })).toBeVisible();
  const reader = peek(page).getByRole("slider", { name: "Read the plot" });
  await reader.focus();
  await page.keyboard.press("ArrowRight");
  await expect(reader).toHaveAttribute("aria-valuetext", /^columns 6–11: RMS from [\d.]+ to [\d.]+, mean [\d.]+$/);
  await peek(page).getByText("Numbers of the plot").click();
  await expect(peek(page).getByRole("region", { name: "Numbers of the plot" }).getByRole("row")).toHaveCount(257);
  await accessible(page);
});

test("a block is shown byte by byte with its fields, and leads from the largest blocks", async ({ page }) => {
  await show(page, "blk.0.ffn_up.weight", "Blocks");
  await expect(peek(page).getByRole("img", { name: "The 144 bytes of the block by field: d 2, dmin 2, scales 12, qs 128" })).toBeVisible();
  await expect(peek(page).getByText("w = d * scale[g] * q - dmin * min[g]")).toBeVisible();
  await expect(peek(page).getByRole("row", { name: /scales 6 bits 4–15 eight scales, then eight minima.* 0, 3, 6/ })).toBeVisible();
  await peek(page).getByRole("button", { name: "scales" }).click();
  await expect(peek(page).getByRole("button", { name: "scales" })).toHaveAttribute("aria-pressed", "true");
  await peek(page).getByRole("button", { name: "Next block" }).click();
  await expect(peek(page).getByText(/^of 3,456; row 0, from column 256; byte/)).toBeVisible();
  await expect(peek(page).getByText(/^3,456 blocks of 256 weights/)).toBeVisible();
  await peek(page).getByText("The blocks with the largest values").click();
  await peek(page).getByRole("region", { name: "The blocks with the largest values" }).getByRole("button").first().click();
  await expect(peek(page).getByRole("spinbutton", { name: "Block" })).toHaveValue("15");
  await accessible(page);
});

test("plain numbers have no blocks, and the page says so", async ({ page }) => {
  await show(page, "blk.0.attn_norm.weight", "Blocks");
  await expect(peek(page).getByText("F32 has no blocks: each value takes 4 bytes and shares no scale.")).toBeVisible();
});

test("singular values of a block are drawn with their ranks", async ({ page }) => {
  await show(page, "blk.0.ffn_down.weight", "Spectrum");
  await expect(peek(page).getByRole("img", { name: /^128 singular values of a block of 128 rows and 128 columns, from/ })).toBeVisible();
  await peek(page).getByText("32", { exact: true }).click();
  await peek(page).getByRole("spinbutton", { name: "From row" }).fill("500");
  await peek(page).getByRole("spinbutton", { name: "From row" }).blur();
  await expect(peek(page).getByText("32 × 32, from row 500 and column 0")).toBeVisible();
  await expect(peek(page).getByText("Effective rank, by entropy")).toBeVisible();
  await peek(page).getByText("All singular values").click();
  await expect(peek(page).getByRole("region", { name: "All singular values" }).getByRole("row")).toHaveCount(33);
  await accessible(page);
});

test("norms of all tensors are measured in the background, stopped, gone on with, and outlier layers named", async ({ page }) => {
  await open(page, "large-m.gguf", "tensors?part=norms");
  const norms = page.getByRole("region", { name: "Norms by layer" });
  await norms.getByRole("button", { name: /^Read all 101\.3 MB/ }).click();
  await expect(norms.getByText(/^Measuring in the background: [1-9]/)).toBeVisible();
  // Other views go on meanwhile.
  await page.getByRole("link", { name: "Metadata" }).click();
  await page.getByRole("link", { name: "Tensors" }).click();
  await page.getByText("Norms", { exact: true }).click();
  await norms.getByRole("button", { name: "Stop" }).click();
  await expect(norms.getByText(/^Stopped after \d+ of 272 tensors/)).toBeVisible();
  await norms.getByRole("button", { name: /^Go on with/ }).click();
  await expect(norms.getByText("All 272 tensors are measured.")).toBeVisible({ timeout: 60_000 });
  await expect(norms.getByText(/^Layer 3, attn_k\.weight: RMS 0\.\d+, 8 times the median of its 30 layers/)).toBeVisible();
  await expect(norms.getByRole("img", { name: /^RMS of all values by layer, of 9 parts over 30 layers, .*; 1 layer stands out$/ })).toBeVisible();
  await norms.getByRole("button", { name: "attn_k.weight", exact: true }).click();
  await expect(norms.getByRole("img", { name: /of 8 parts over 30 layers/ })).toBeVisible();
  await norms.getByRole("button", { name: "Largest" }).click();
  await expect(norms.getByRole("grid", { name: "Norms of the tensors" }).getByRole("row").nth(1)).toContainText("blk.3.attn_k.weight");
  await accessible(page);
  await norms.getByRole("button", { name: "Layer 3, attn_k.weight" }).click();
  await expect(page).toHaveURL(/part=norms/);
  await expect(peek(page).getByRole("heading", { name: "blk.3.attn_k.weight" })).toBeVisible();
});

for (const scheme of ["light", "dark"] as const) {
  test(`every picture is accessible on a small screen, ${scheme}, and nothing sticks out`, async ({ page }) => {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.emulateMedia({ colorScheme: scheme });
    await open(page, "m.gguf", "tensors?tensor=blk.0.ffn_up.weight");
    for (const [contents, sign] of [["Heat map", "Sums by row"], ["Channels", "Numbers of the plot"], ["Blocks", "The blocks with the largest values"], ["Spectrum", "All singular values"]] as const) {
      await peek(page).getByRole("radio", { name: contents, exact: true }).check({ force: true });
      await expect(peek(page).getByText(sign, { exact: true })).toBeVisible();
      expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), contents).toBeLessThanOrEqual(0);
      await accessible(page);
    }
  });
}

test("the memory calculator plots memory over the context, by type of the cache", async ({ page }) => {
  await open(page, "m.gguf", "overview");
  await expect(page.getByRole("img", { name: /^Memory over context length up to 8,192 tokens: F32 reaches/ })).toBeVisible();
  await page.getByRole("spinbutton", { name: "Memory" }).fill("0.25");
  await expect(page.getByRole("row", { name: /^F32 204\.2 MB 3,041$/ })).toBeVisible();
  await accessible(page);
});
