import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type Page } from "@playwright/test";

export { expect } from "@playwright/test";

export const MOCK = "/views/sub/path/";
export const SITE = "/some/sub/path/";

/** Every test fails on an error in the page or its console, but for those `expected`: a policy violation is one, too. */
export const test = base.extend<{ errors: string[]; expected: RegExp | null }>({
  expected: [null, { option: true }],
  errors: [
    async ({ page, expected }, use) => {
      const errors: string[] = [];
      page.on("pageerror", (e) => errors.push(e.message));
      page.on("console", (m) => { if (m.type() === "error" && expected?.test(m.text()) !== true) errors.push(m.text()); });
      await use(errors);
      expect(errors).toEqual([]);
    },
    { auto: true },
  ],
});

/** Chooses a file of this name; the stand-in behaves by the name. */
export async function choose(page: Page, name: string): Promise<void> {
  await page.getByTestId("files").first().setInputFiles({ name, mimeType: "application/octet-stream", buffer: Buffer.alloc(64) });
}

/** Opens the page at a view with a file of this name. */
export async function open(page: Page, name: string, hash = "overview"): Promise<void> {
  await page.goto(`${MOCK}#${hash}`);
  await choose(page, name);
  await expect(page.getByRole("navigation", { name: "Views of this model" })).toBeVisible();
}

/** Chooses, in the Run view, that the model goes on from a text; with a chat template it would chat. */
export async function writeOn(page: Page): Promise<void> {
  await page.getByText("Write on", { exact: true }).click();
}

/** Drops a file on the middle of the page. */
export async function drop(page: Page, name: string, bytes: number[]): Promise<void> {
  const data = await page.evaluateHandle(([n, b]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(b as number[])], n as string));
    return transfer;
  }, [name, bytes] as const);
  for (const type of ["dragenter", "dragover", "drop"]) await page.dispatchEvent("main", type, { dataTransfer: data });
}

/** Nothing that axe calls serious or critical. */
export async function accessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const grave = violations.filter((v) => v.impact === "serious" || v.impact === "critical");
  expect(grave.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html).join(" | ")}`)).toEqual([]);
}
