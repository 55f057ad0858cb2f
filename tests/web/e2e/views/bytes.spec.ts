import type { Page } from "@playwright/test";

import { count } from "../../../../www/src/lib/format.ts";
import { llama } from "../../mock/reports.ts";
import { drop, expect, open, test } from "../page.ts";

const NAME = "m.gguf";

const strip = (page: Page) => page.getByRole("group", { name: /^Map of/ });
const hex = (page: Page) => page.getByRole("table", { name: /in hexadecimal/ });
const where = (page: Page) => page.locator(".map-card .where");
const contents = (page: Page) => page.getByRole("region", { name: "The bytes" });

test("the map shows the whole file; keys and the wheel zoom into it and move about", async ({ page }) => {
  await open(page, NAME, "bytes");
  await expect(where(page)).toContainText("All of it: 105.5 MB in 277 parts");
  await strip(page).focus();
  await page.keyboard.press("+");
  await expect(where(page)).toContainText("(50.0 % of the file)");
  await page.keyboard.press("Home");
  await expect(where(page)).toContainText("Bytes 0 to 52,727,216");
  await page.keyboard.press("ArrowRight");
  await expect(where(page)).toContainText("Bytes 6,590,902 to");
  await page.keyboard.press("End");
  await expect(where(page)).toContainText("to 105,454,432");
  await page.keyboard.press("0");
  await expect(where(page)).toContainText("All of it");
  await strip(page).hover({ position: { x: 300, y: 30 } });
  await page.mouse.wheel(0, -500);
  await expect(where(page)).toContainText("of the file");
  await expect(page.locator(".striptip")).toContainText("token_embd.weight");
  await page.getByRole("button", { name: "Whole file" }).click();
  await expect(where(page)).toContainText("All of it");
});

test("two fingers zoom, one moves", async ({ page }) => {
  await open(page, NAME, "bytes");
  const canvas = strip(page).locator("canvas");
  const finger = async (type: string, id: number, x: number) => canvas.dispatchEvent(type, { pointerId: id, pointerType: "touch", button: 0, clientX: x, clientY: (await canvas.boundingBox())?.y, bubbles: true });
  // A made-up finger cannot be captured.
  await canvas.evaluate((element) => { element.setPointerCapture = () => {}; });
  await finger("pointerdown", 1, 600);
  await finger("pointerdown", 2, 700);
  await finger("pointermove", 2, 800);
  await finger("pointerup", 2, 800);
  await finger("pointerup", 1, 600);
  await expect(where(page)).toContainText("(50.0 % of the file)");
  const before = await where(page).textContent();
  await finger("pointerdown", 1, 600);
  await finger("pointermove", 1, 650);
  await finger("pointerup", 1, 650);
  await expect(where(page)).not.toHaveText(before ?? "");
  await expect(where(page)).toContainText("(50.0 % of the file)");
});

test("a part leads to its bytes and to its values, and back", async ({ page }) => {
  await open(page, NAME, "bytes");
  await page.getByRole("row", { name: /token_embd\.weight/ }).click();
  await expect(contents(page)).toContainText("Bytes 1,811,584 to 31,892,608, 30.1 MB, Q8_0");
  await expect(hex(page).getByRole("rowheader", { name: "001ba480" })).toBeVisible();
  expect(page.url()).toContain("#bytes?tensor=token_embd.weight&at=1811584");
  await page.getByRole("button", { name: "Its values" }).click();
  const peek = page.getByRole("region", { name: "The chosen tensor" });
  await expect(peek).toContainText("token_embd.weight");
  await peek.getByRole("link", { name: "byte 1,811,584" }).click();
  await expect(contents(page)).toContainText("token_embd.weight");
  await page.goBack();
  await page.goBack();
  await expect(contents(page)).toContainText("Bytes 1,811,584");
});

test("a click on the strip picks what lies there; the list follows what the strip shows", async ({ page }) => {
  await open(page, NAME, "bytes");
  await strip(page).locator("canvas").click({ position: { x: 200, y: 30 } });
  await expect(contents(page).getByRole("heading", { name: "token_embd.weight" })).toBeVisible();
  await page.getByRole("button", { name: "Zoom to it" }).click();
  await expect(page.getByRole("heading", { name: /^Parts in view/ })).toContainText("of 277");
  await expect(page.getByRole("row", { name: /blk\.29/ })).toHaveCount(0);
});

test("any byte of a 64 GB file is reached by its offset, and what is read is what is in sight", async ({ page }) => {
  await open(page, "huge.gguf", "bytes");
  await expect(hex(page).getByRole("row").first()).toContainText("47 47 55 46");
  const go = async (text: string) => {
    await page.getByLabel("Go to byte").fill(text);
    await page.getByLabel("Go to byte").press("Enter");
  };
  await go("0xe00000000");
  await expect(hex(page).getByRole("rowheader", { name: "e00000000" })).toBeVisible();
  await expect(hex(page).locator("mark")).toHaveText(/[0-9a-f]{2}/);
  expect(await hex(page).getByRole("row").count()).toBeLessThan(80);
  await expect(hex(page)).toHaveAttribute("aria-rowcount", String(64e9 / 16));
  await hex(page).focus();
  await page.keyboard.press("End");
  await expect(hex(page).getByRole("rowheader", { name: "ee6b27ff0" })).toBeVisible();
  await go("1");
  await expect(hex(page).getByRole("rowheader", { name: "000000000" })).toBeVisible();
  for (const [text, why] of [["64000000000", "The file ends at byte 64,000,000,000."], ["twelve", "An offset is a number"]] as const) {
    await go(text);
    await expect(contents(page)).toContainText(why);
  }
});

test("a file that is scrolled through for long goes on without a seam", async ({ page }) => {
  await open(page, "huge.gguf", "bytes");
  await expect(hex(page).getByRole("row").first()).toContainText("47 47 55 46");
  // Ten steps of 60,000 rows: more than the 400,000 that exist at once.
  const first = () => hex(page).getByRole("rowheader").first().textContent().then((t) => Number.parseInt(t ?? "", 16) / 16);
  for (let i = 0; i < 10; i++) {
    const before = await first();
    await hex(page).evaluate((element) => { element.scrollTop += 1_200_000; });
    await expect.poll(async () => Math.abs((await first()) - before - 60_000)).toBeLessThan(16);
  }
  expect(await first()).toBeGreaterThan(599_000);
});

test("the bytes of 100,000 tensors are drawn and listed at once", async ({ page }) => {
  await open(page, "huge.gguf", "bytes");
  const grid = page.getByRole("grid", { name: /^Parts of the file/ });
  await expect(grid).toHaveAttribute("aria-rowcount", "100008");
  expect(await grid.getByRole("row").count()).toBeLessThan(100);
  // Zooming asks for nothing but a new drawing: the time of one is below what a person sees as a wait.
  await strip(page).focus();
  const took = await page.evaluate(async () => {
    const box = document.querySelector(".bytestrip");
    const begin = performance.now();
    for (let i = 0; i < 10; i++) {
      box?.dispatchEvent(new KeyboardEvent("keydown", { key: i % 2 === 0 ? "+" : "-", bubbles: true }));
      await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    }
    return (performance.now() - begin) / 10;
  });
  expect(took).toBeLessThan(400);
});

test("what hides in bytes is seen, and controls nothing", async ({ page }) => {
  await open(page, NAME, "bytes");
  const first = hex(page).getByRole("row").first();
  await expect(first.locator(".chars")).toHaveText("GGUF·······↵·[31");
  await expect(first.locator(".hidden-char").first()).toHaveAttribute("title", /^U\+202E/);
});

test("a missing part that is dropped joins the open model, and says so", async ({ page }) => {
  await open(page, "part-00001-of-00002.gguf", "notes");
  await drop(page, "part-00002-of-00002.gguf", [1, 2, 3]);
  await expect(page.getByRole("status").filter({ hasText: "part-00002-of-00002.gguf has joined the open model" })).toBeVisible();
  await expect(page.locator("header")).toContainText("+ 1 more");
  // The view that was open still is.
  await expect(page.locator("nav [aria-current=page]")).toHaveText(/^Notes/);
  await page.getByRole("link", { name: "Bytes" }).click();
  await page.getByLabel("File", { exact: true }).selectOption({ index: 1 });
  await expect(where(page)).toContainText("All of it: 64 B");
  await page.getByRole("button", { name: "Open by itself" }).click();
  await expect(page.getByRole("heading", { name: "part-00002-of-00002.gguf", exact: true })).toBeVisible();
});

test("of a file that may belong to the open model a person decides", async ({ page }) => {
  await open(page, "part-00001-of-00002.gguf");
  for (const [answer, files] of [["Neither", 1], ["Add to this model", 2]] as const) {
    await drop(page, "tokenizer.json", [123, 125]);
    await expect(page.getByRole("alert")).toContainText("tokenizer.json may belong to part-00001-of-00002.gguf");
    await page.getByRole("button", { name: answer }).click();
    await expect(page.getByRole("alert")).toHaveCount(0);
    await expect(page.locator("header")).toContainText(files === 2 ? "+ 1 more" : "105.5 MB");
  }
  await drop(page, "another.gguf", [1]);
  await expect(page.getByRole("heading", { name: "another.gguf" })).toBeVisible();
});

test("a file's name with markup and bidi in it stays text, everywhere", async ({ page }) => {
  const name = "<img src=x onerror=alert(1)>\u202egpj.gguf";
  await open(page, name);
  await expect(page.getByRole("heading", { name: "<img src=x onerror=alert(1)><U+202E>gpj.gguf" })).toBeVisible();
  for (const tab of ["Overview", "Metadata", "Tensors", "Bytes", "Tokenizer", "Run", "Notes"]) {
    const link = page.getByRole("navigation", { name: "Views of this model" }).getByRole("link", { name: tab });
    await link.click();
    await expect(link).toHaveAttribute("aria-current", "page");
    expect(await page.locator("img").count()).toBe(0);
  }
  await page.getByRole("link", { name: "Bytes" }).click();
  await expect(contents(page).getByRole("heading")).toContainText("<U+202E>gpj.gguf");
  // No direction override reaches the document, its attributes or its title.
  expect(await page.evaluate(() => `${new XMLSerializer().serializeToString(document)}${document.title}`.includes("\u202e"))).toBe(false);
});

test("no character of a hostile file turns or hides text in any view", async ({ page }) => {
  await open(page, "hostile.gguf");
  for (const hash of ["overview", "metadata", "tensors", "tensors?tensor=blk.0.%E2%80%AEthgiew%E2%80%8B", "bytes", "bytes?tensor=blk.0.%E2%80%AEthgiew%E2%80%8B&at=31894912", "run", "notes"]) {
    await page.evaluate((to) => { location.hash = to; }, hash);
    await expect(page.locator("nav [aria-current=page]")).toHaveAttribute("href", `#${hash.split("?")[0]}`);
    const found = await page.evaluate(() => /[\u202a-\u202e\u2066-\u2069\u200b\u0000-\u0008\u001b]/.exec(new XMLSerializer().serializeToString(document)));
    expect(found, hash).toBeNull();
  }
});

test("the byte counter counts what the hex view reads", async ({ page }) => {
  await open(page, NAME, "bytes");
  const before = llama(NAME, 64).bytes_read;
  await expect(hex(page).getByRole("row").first()).toContainText("47 47 55 46");
  await expect(page.getByRole("progressbar", { name: "Share of the file that has been read" })).toHaveAttribute("aria-valuetext", /^1\.8 MB/);
  expect(before + 4096).toBeLessThan(1_850_000);
  for (const at of [20e6, 40e6, 60e6, 80e6]) {
    await page.getByLabel("Go to byte").fill(count(at));
    await page.getByLabel("Go to byte").press("Enter");
    await expect(hex(page).locator("mark")).toHaveText(/[0-9a-f]{2}/);
  }
});
