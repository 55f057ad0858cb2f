import { expect, open, test } from "../page.ts";

const NAME = "smollm2-135m.gguf";

test("a megabyte of text is split, few of its pieces exist, and both ends of it are linked with them", async ({ page }) => {
  await open(page, NAME, "tokenizer");
  await expect(page.getByRole("option").first()).toBeVisible();
  // As a paste does it: one input of the whole text.
  await page.getByLabel("Text to split").evaluate((area: HTMLTextAreaElement) => {
    area.value = `${"The quick brown fox jumps over 13 lazy dogs. ".repeat(23_000)}the end`;
    area.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });
  await expect(page.locator(".figures")).toContainText("characters1,035,007");
  const pieces = page.getByRole("listbox", { name: /Pieces with their ids/ });
  await expect(pieces.getByRole("option").first()).toHaveAttribute("aria-setsize", /^\d{6}$/);
  expect(await page.getByRole("option").count()).toBeLessThan(5000);
  await pieces.getByRole("option").nth(1).focus();
  await page.keyboard.press("End");
  await expect(page.locator(".piece:focus")).toContainText("end");
  expect(await page.getByRole("option").count()).toBeLessThan(5000);
  await expect(page.locator(".quoted mark")).toHaveText(" end");
  // From the text to its pieces: a place in the middle, whose pieces were never shown.
  await page.getByLabel("Text to split").evaluate((area: HTMLTextAreaElement) => {
    area.focus();
    area.setSelectionRange(450_004, 450_009);
  });
  await expect(page.locator(".piece.hit")).toHaveText([/quick/]);
  await expect(page.locator(".piece.hit")).toBeInViewport();
  await page.getByLabel("Text to split").fill("short again");
  await expect(page.locator(".figures")).toContainText("characters11");
  await expect(page.getByRole("option")).toHaveCount(4);
});

test("characters that tokens cut are marked and told", async ({ page }) => {
  await open(page, NAME, "tokenizer");
  await page.getByLabel("Text to split").fill("a \u65e5 b");
  const cut = page.locator(".piece.cut-before");
  await expect(cut).toHaveCount(2);
  await cut.first().hover();
  await expect(page.locator(".detail")).toContainText("lies inside the character \u65e5 (U+65E5)");
});

test("a chosen piece stays chosen, and arrow keys walk on from it", async ({ page }) => {
  await open(page, NAME, "tokenizer");
  const first = page.getByRole("option").first();
  await first.click();
  await expect(first).toHaveAttribute("aria-selected", "true");
  await page.mouse.move(0, 0);
  await expect(page.locator(".detail")).toContainText("1: ");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("option").nth(1)).toHaveAttribute("aria-selected", "true");
});
