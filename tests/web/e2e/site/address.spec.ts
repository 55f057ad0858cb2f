import { readFileSync } from "node:fs";

import type { Page } from "@playwright/test";

import { bytes } from "../../../../www/src/lib/format.ts";
import { accessible, expect, SITE, test as base } from "../page.ts";
import { type FileHost, serveFile } from "./host.ts";

/** Files opened by their address, from a host that is not the page's. What is read must be the sample, as from the disk. */
const FILE = "tests/corpus/sample/gguf/sample-q8_0.gguf";
const SIZE = readFileSync(FILE).length;
const reference = JSON.parse(readFileSync("tests/corpus/sample/reference.json", "utf8")) as {
  weights: { files: string[]; runs: { prompt: string; text: string }[] }[];
};

const test = base.extend<{ host: FileHost }>({
  host: async ({}, use) => {
    const host = await serveFile(FILE);
    await use(host);
    await host.close();
  },
});

// Chromium writes every failed request to the console; these tests are about those.
test.use({ expected: /Failed to load resource|CORS policy/ });

async function type(page: Page, url: string): Promise<void> {
  const field = page.getByLabel("Address of a model file");
  if (!(await field.isVisible())) await page.getByRole("button", { name: "Open a URL" }).click();
  await field.fill(url);
}

async function openUrl(page: Page, url: string): Promise<void> {
  await type(page, url);
  await page.getByRole("button", { name: "Open", exact: true }).click();
}

test("a file at an address is read by ranges: its header to see it, its tensors when they are looked at", async ({ page, host }) => {
  await page.goto(SITE);
  await type(page, host.url("good"));
  await expect(page.getByText(`Glassbox will ask ${host.name} for parts of model.gguf`)).toBeVisible();
  expect(host.asked, "nothing is asked before the person does").toEqual([]);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await expect(page.getByRole("heading", { name: "model.gguf" })).toBeVisible();
  await expect(page.locator("header")).toContainText(`from ${host.name}`);
  const sent = () => host.asked.reduce((n, { range }) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    return n + Math.min(Number(last), SIZE - 1) - Number(first) + 1;
  }, 0);
  const afterHeader = sent();
  expect(afterHeader).toBeLessThan(SIZE / 2);
  await expect(page.locator("header .read")).toHaveText(`${bytes(afterHeader)} of ${bytes(SIZE)} read`);
  for (const { headers } of host.asked) {
    expect(headers.cookie).toBeUndefined();
    expect(headers.referer).toBeUndefined();
  }
  await page.getByRole("link", { name: "Tensors" }).click();
  const asked = host.asked.length;
  await page.getByLabel("Search tensors").fill("output_norm");
  expect(host.asked).toHaveLength(asked);
  await page.getByRole("row", { name: /output_norm\.weight/ }).click();
  await expect(page.getByRole("img", { name: /^Histogram of 256 values/ })).toBeVisible();
  expect(host.asked.length).toBeGreaterThan(asked);
  await expect(page.locator("header .read")).toHaveText(`${bytes(sent())} of ${bytes(SIZE)} read`);
});

test("a model at an address writes the reference's text", async ({ page, host }) => {
  await page.goto(`${SITE}#run`);
  await openUrl(page, host.url("hidden"));
  const run = reference.weights.find((w) => w.files.includes("gguf/sample-q8_0.gguf"))?.runs.find((r) => r.prompt === "Once upon a time");
  await page.getByLabel("Prompt").fill("Once upon a time");
  await page.getByLabel("Temperature").fill("0");
  await page.getByText("CPU", { exact: true }).click();
  await page.getByRole("button", { name: "Load and run" }).click();
  await expect(page.getByText(/new tokens;/)).toBeVisible();
  expect(await page.getByRole("region", { name: "Completion" }).textContent()).toBe(`Once upon a time${run?.text}`);
});

test("a host that sends on to another is followed, and both are named", async ({ page, host }) => {
  await page.goto(SITE);
  await openUrl(page, host.url("moved"));
  await expect(page.locator("header")).toContainText(`from ${host.name}, ${host.name.replace("localhost", "127.0.0.1")}`);
});

const FAILURES: [string, string, RegExp][] = [
  ["without ranges", "whole", /sends only whole files/],
  ["that answers with a page", "page", /answered with a web page/],
  ["without the file", "missing", /no file at this address: localhost:\d+ answered 404/],
  ["without CORS", "no-cors", /does not let other sites' pages read the answer/],
  ["that sends another range", "shifted", /asked for bytes 0 to 4095 and answered with other bytes: bytes 1-4096/],
  ["that sends too much", "long", /sent more than the 4096 bytes/],
  ["that hangs up", "torn", /The connection to localhost:\d+ broke|does not answer any more/],
];
for (const [what, path, words] of FAILURES) {
  test(`a host ${what} is explained`, async ({ page, host }) => {
    await page.goto(SITE);
    await openUrl(page, host.url(path));
    await expect(page.getByRole("alert")).toContainText(words);
    await expect(page.getByText(/^Asking|^Fetching/)).toHaveCount(0);
    await expect(page.getByRole("heading", { name: "Drop a model, or a whole folder" })).toBeVisible();
  });
}

test("a host that is not there is explained", async ({ page, host }) => {
  await page.goto(SITE);
  const url = host.url("good");
  await host.close();
  await openUrl(page, url);
  await expect(page.getByRole("alert")).toContainText("cannot be reached");
});

test("an answer that does not come can be given up, and the next address opens", async ({ page, host }) => {
  await page.goto(SITE);
  await openUrl(page, host.url("never"));
  await expect(page.getByText(`Asking ${host.name}`)).toBeVisible();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText(`Asking ${host.name}`)).toHaveCount(0);
  await openUrl(page, host.url("good"));
  await expect(page.getByRole("heading", { name: "model.gguf" })).toBeVisible();
});

test("a host that dies while a tensor is read is named there, and loading from one that stalls can be stopped", async ({ page, host }) => {
  await page.goto(`${SITE}#tensors?tensor=output_norm.weight`);
  await openUrl(page, host.url("dies"));
  await expect(page.getByRole("alert")).toContainText(`${host.name}`);
  await page.getByRole("button", { name: "Open…" }).click();
  await openUrl(page, host.url("stalls"));
  await expect(page.locator("header [title]").filter({ hasText: "from" })).toHaveAttribute("title", host.url("stalls"));
  await page.getByRole("link", { name: "Run" }).click();
  await page.getByRole("button", { name: "Load and run" }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByRole("button", { name: "Load and run" })).toBeVisible();
  await expect(page.getByText("The engine had to be restarted")).toHaveCount(0);
});

test("what is no address is refused where it was typed, and nothing is asked", async ({ page, host }) => {
  await page.goto(SITE);
  await openUrl(page, `http://me:secret@${host.name}/good/model.gguf`);
  await expect(page.getByText("The address carries a user name or a password")).toBeVisible();
  await accessible(page);
  await openUrl(page, "C:\\models\\model.gguf");
  await expect(page.getByText("This is a place on a disk")).toBeVisible();
  expect(host.asked).toEqual([]);
});

test("an address in the page's own address opens nothing", async ({ page, host }) => {
  await page.goto(`${SITE}?url=${encodeURIComponent(host.url("good"))}#overview?url=${encodeURIComponent(host.url("good"))}`);
  await expect(page.getByRole("button", { name: "Open a URL" })).toBeVisible();
  await page.waitForLoadState("networkidle");
  expect(host.asked).toEqual([]);
});
