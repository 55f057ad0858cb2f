import { existsSync } from "node:fs";
import { join } from "node:path";

import { accessible, expect, SITE, test } from "../page.ts";

/** A tiny BERT that another program wrote; never part of the repository. */
const MODEL = join(process.env["GLASSBOX_CORPUS"] ?? "../shared/corpus", "arch/bert/model.gguf");

test("an encoder compares texts, says when there are none, and its page fits 390 pixels", async ({ page }) => {
  test.skip(!existsSync(MODEL), `${MODEL} is not there: set GLASSBOX_CORPUS`);
  await page.goto(`${SITE}#overview`);
  await page.getByTestId("files").first().setInputFiles(MODEL);
  await page.getByRole("navigation", { name: "Views of this model" }).getByRole("link", { name: "Run" }).click();
  const field = page.getByRole("textbox", { name: "Texts, one per line" });
  await page.getByRole("button", { name: "Load and compare" }).click();
  await expect(field).toBeFocused();
  expect(await field.evaluate((e: HTMLTextAreaElement) => e.validity.valueMissing)).toBe(true);

  await page.getByText("CPU", { exact: true }).click();
  await field.fill("a cat sat\nthe dog ran\n\nthe cat sat down");
  await field.press("Control+Enter");
  const table = page.getByRole("region", { name: "Table of similarities" });
  await expect(table.getByRole("row")).toHaveCount(4);
  for (const i of [0, 1, 2]) await expect(table.getByRole("row").nth(i + 1).getByRole("cell").nth(i)).toHaveText("1.00");
  await expect(page.getByText("64 values each, mean pooling, scaled to length 1.")).toBeVisible();
  await accessible(page);

  // Weights were read beside the header by now, so the counter says its longest sentence.
  await page.setViewportSize({ width: 390, height: 844 });
  await expect(page.getByText("parts twice")).toBeVisible();
  const read = await page.getByText("parts twice").boundingBox();
  const beside = await page.locator("header .read + *").boundingBox();
  expect(read!.x + read!.width).toBeLessThanOrEqual(beside!.x);
});
