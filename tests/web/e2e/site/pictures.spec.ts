import { readFileSync } from "node:fs";

import type { Page } from "@playwright/test";

import { expect, SITE, test } from "../page.ts";

/** Pictures of the committed sample by the real wasm; what they must say is read from the file here, without Glassbox. */
const FILE = "tests/corpus/sample/gguf/sample-q8_0.gguf";

/** The numbers of Q8_0's blocks: an f16 scale, then 32 signed bytes (ggml-common.h). */
function q8_0(bytes: Buffer, at: number, blocks: number): Float64Array {
  const out = new Float64Array(blocks * 32);
  for (let b = 0; b < blocks; b++) {
    const scale = half(bytes.readUInt16LE(at + b * 34));
    for (let i = 0; i < 32; i++) out[b * 32 + i] = Math.fround(scale * bytes.readInt8(at + b * 34 + 2 + i));
  }
  return out;
}

function half(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 === 0 ? 1 : -1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

async function openSample(page: Page, hash: string): Promise<void> {
  await page.goto(`${SITE}#${hash}`);
  await page.getByTestId("files").first().setInputFiles(FILE);
  await expect(page.getByRole("navigation", { name: "Views of this model" })).toBeVisible();
}

test("heat map, blocks and norms of the sample are those of its bytes", async ({ page }) => {
  await openSample(page, "tensors?tensor=blk.0.attn_q.weight");
  const peek = page.getByRole("region", { name: "The chosen tensor" });
  const at = Number(((await peek.getByRole("link", { name: /^byte / }).textContent()) ?? "").replace(/\D/g, ""));
  const dims = ((await peek.locator("dd").first().textContent()) ?? "").split("=")[0]?.split("×").map((d) => Number(d.replace(/\D/g, ""))) ?? [];
  const [rows = 0, cols = 0] = dims;
  const bytes = readFileSync(FILE);
  const values = q8_0(bytes, at, (rows * cols) / 32);

  await peek.getByRole("radio", { name: "Blocks" }).check({ force: true });
  await expect(peek.getByRole("img", { name: "The 34 bytes of the block by field: d 2, qs 32" })).toBeVisible();
  await expect(peek.locator(".layout i")).toHaveText([...bytes.subarray(at, at + 34)].map((b) => b.toString(16).padStart(2, "0")));
  await expect(peek.getByText(new RegExp(`^${((rows * cols) / 32).toLocaleString("en")} blocks of 32 weights`))).toBeVisible();

  await peek.getByRole("radio", { name: "Heat map" }).check({ force: true });
  await expect(peek.getByText(new RegExp(`All ${(rows * cols).toLocaleString("en")} values in sight are read`))).toBeVisible();
  const map = peek.getByRole("application", { name: "Heat map of the values" });
  await map.focus();
  await page.keyboard.press("ArrowRight");
  for (let i = 0; i < 12; i++) await page.keyboard.press("+");
  const first = values[0] ?? NaN;
  const told = () => peek.getByText(/^row 0, column 0: /).last().textContent({ timeout: 1000 }).catch(() => null);
  await expect.poll(async () => { const v = Number((await told())?.split(": ")[1]?.replace("−", "-") ?? NaN); return Math.abs(v / first - 1) < 1e-3; }).toBe(true);

  await page.getByText("Norms", { exact: true }).click();
  const norms = page.getByRole("region", { name: "Norms by layer" });
  await expect(norms.getByText(/^All \d+ tensors are measured/)).toBeVisible();
  const square = values.reduce((n, v) => n + v * v, 0);
  const row = norms.getByRole("row", { name: /blk\.0\.attn_q\.weight/ });
  const cells = (await row.getByRole("gridcell").allTextContents()).map(Number);
  expect(Math.abs((cells[1] ?? 0) / Math.sqrt(square) - 1), `norm ${cells[1]}`).toBeLessThan(1e-3);
  expect(Math.abs((cells[0] ?? 0) / Math.sqrt(square / values.length) - 1)).toBeLessThan(1e-3);
});
