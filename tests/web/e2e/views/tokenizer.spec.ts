import { accessible, drop, expect, open, test } from "../page.ts";

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
  await expect(page.getByRole("option")).toHaveCount(3);
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

test("a chosen piece is explained from its normalised form over the merges to its ids", async ({ page }) => {
  await open(page, NAME, "tokenizer");
  const xray = page.getByRole("region", { name: "How a token was made" });
  await expect(xray).toContainText("Choose a token above");
  await page.getByRole("option", { name: /quick/ }).first().click();
  await expect(xray).toContainText("those with the lowest rank merge first");
  await expect(xray.locator(".steps mark").first()).toHaveText("t");
  await expect(xray.locator(".word-box.chosen")).toHaveText("\u0120quick");
  const merges = page.getByRole("region", { name: "Merges in order" });
  await expect(merges.getByRole("row")).toHaveCount(1 + 1 + 5);
  await expect(merges.getByRole("row").last()).toContainText("\u0120quic + k");
  await expect(merges.locator(".merged").last()).toHaveText("\u0120quick");
  await page.getByRole("option").first().click();
  await expect(xray).toContainText("put it around every text");
  await accessible(page);
});

test("the vocabulary is searched by text and by id, sorted and scrolled, and few of its rows exist", async ({ page }) => {
  await open(page, NAME, "tokenizer?part=vocabulary");
  const grid = page.getByRole("grid", { name: "Tokens of the vocabulary" });
  await expect(grid).toHaveAttribute("aria-rowcount", "49153");
  await expect(page.getByText("Ids marked as unused")).toBeVisible();
  await grid.focus();
  await page.keyboard.press("End");
  await expect(grid.getByRole("row", { name: /token49151/ })).toBeVisible();
  expect(await grid.getByRole("row").count()).toBeLessThan(100);
  await page.getByLabel("Search the vocabulary").fill("#258");
  await expect(page.getByText("1 of 49,152 ids")).toBeVisible();
  await expect(grid.getByRole("row", { name: /token258/ })).toBeVisible();
  await page.getByLabel("Search the vocabulary").fill("");
  await page.getByLabel("Type of token").selectOption("control");
  await expect(page.getByText("2 of 49,152 ids")).toBeVisible();
  await page.getByLabel("Type of token").selectOption("");
  await page.getByRole("button", { name: "Longest first" }).click();
  await expect(grid.getByRole("row").nth(1)).toContainText(/token1\d{4}/);
  await accessible(page);
});

test("two tokenizers split one text: the first difference is marked and totals are compared; a dropped file is the second", async ({ page }) => {
  await open(page, NAME, "tokenizer?part=compare");
  await page.getByLabel("Text to split by both").fill("one two three");
  await page.getByTestId("second-tokenizer").setInputFiles({ name: "vocab.txt", mimeType: "text/plain", buffer: Buffer.from("[PAD]") });
  await expect(page.getByRole("heading", { name: "2 tokens more by the second" })).toBeVisible();
  await expect(page.getByText("character 4, byte 3")).toBeVisible();
  await expect(page.locator(".stretch.first")).toHaveText("\u00b7two 1:2");
  await accessible(page);
  const zone = page.locator(".second");
  const data = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["x"], "notes.txt"));
    return transfer;
  });
  await zone.dispatchEvent("drop", { dataTransfer: data });
  await expect(page.getByRole("alert")).toContainText("No tokenizer is in these files");
  await expect(page.getByRole("heading", { name: NAME })).toBeVisible();
  await drop(page, "other.gguf", [1]);
  await expect(page.getByRole("heading", { name: "other.gguf" })).toBeVisible();
});
