import { accessible, expect, open, test } from "../page.ts";

test("the overview maps the model by part; a part opens, a tensor leads to its values, Back leads out", async ({ page }) => {
  await open(page, "m.gguf", "overview");
  const map = page.getByRole("group", { name: /^Parts by size/ });
  await map.getByRole("button", { name: /^blk, 71.3 MB, 70.3 %, mostly Q4_K/ }).click();
  await expect(page.getByRole("navigation", { name: "Part that is shown" })).toContainText(/The model ›\s*blk/);
  await map.getByRole("button", { name: /^0, / }).click();
  await map.getByRole("button", { name: /^ffn, / }).click();
  await page.getByRole("region", { name: "Sizes by part" }).getByRole("button", { name: "ffn_down.weight" }).click();
  await expect(page).toHaveURL(/#tensors\?tensor=blk\.0\.ffn_down\.weight/);
  await page.goBack();
  await expect(page.getByRole("navigation", { name: "Part that is shown" })).toContainText("ffn");
  await page.goBack();
  await page.getByRole("button", { name: "The model" }).click();
  await expect(map.getByRole("button", { name: /^token_embd/ })).toBeVisible();
  await accessible(page);
});

test("a hundred thousand tensors become ranges that can be opened", async ({ page }) => {
  await open(page, "huge.gguf", "overview?part=blk");
  const map = page.getByRole("group", { name: /^Parts by size/ });
  await map.getByRole("button", { name: /^0 … 105, / }).click();
  await expect(page.getByRole("navigation", { name: "Part that is shown" })).toContainText("0 … 105");
  await map.getByRole("button", { name: /^3, / }).click();
  await expect(map.getByRole("button", { name: /^ffn, / })).toBeVisible();
  await accessible(page);
});
