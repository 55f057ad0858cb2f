import { readFileSync } from "node:fs";

import type { Page } from "@playwright/test";

import { expect, SITE, test } from "../page.ts";

/** The built site with the real wasm: the sample's folder, with a chat template of the test's own beside it. */
const SAMPLE = "tests/corpus/sample/hf";
const FILES = ["config.json", "generation_config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "tokenizer.json"];
const TEMPLATE = `{%- for m in messages %}
{%- if m.role == "robot" %}{{ raise_exception("no robots") }}{% endif %}
{{- m.role ~ ": " ~ m.content ~ eos_token ~ "\\n" }}
{%- endfor %}
{%- if add_generation_prompt %}{{ "> " }}{% endif %}`;

async function openFolder(page: Page, hash: string, template = TEMPLATE): Promise<void> {
  const file = (name: string, buffer: Buffer) => ({ name, mimeType: "application/octet-stream", buffer });
  await page.goto(`${SITE}#${hash}`);
  await page.getByTestId("files").first().setInputFiles([
    ...FILES.map((name) => file(name, readFileSync(`${SAMPLE}/${name}`))),
    file("tokenizer_config.json", Buffer.from(JSON.stringify({ eos_token: "<|endoftext|>" }))),
    file("chat_template.jinja", Buffer.from(template)),
    file("short.jinja", Buffer.from("{{ messages[-1].content }}")),
  ]);
  await expect(page.getByRole("navigation", { name: "Views of this model" })).toBeVisible();
}

test("a model's own template writes the conversation in the page, names its error's line, and is compared", async ({ page }) => {
  await openFolder(page, "tokenizer?part=chat");
  const text = page.getByRole("region", { name: "The prompt as text" });
  await expect(text).toContainText("user: What is the capital of France?");
  await expect(text.locator(".special-token")).toHaveText(["<|endoftext|>", "<|endoftext|>"]);
  await page.getByLabel("Role of message 2").fill("robot");
  await expect(page.getByRole("alert")).toContainText("The template ended with an error in line 2");
  await expect(page.locator(".line.bad")).toContainText("no robots");
  await page.getByLabel("Role of message 2").fill("user");
  await page.getByLabel("The template to compare with").selectOption("short");
  await expect(page.getByRole("region", { name: "What they render, line by line" }).locator("tr.added")).toContainText("What is the capital of France?");
});

test("a template that copies without end is given up, said so, and the page goes on", async ({ page }) => {
  test.setTimeout(300_000);
  // The engine's steps are bounded, its copies of lists are not: memory or the deadline ends it.
  const bomb = "{% set n = namespace(x=[1]) %}{% for a in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x | length }}";
  await openFolder(page, "tokenizer?part=chat", bomb);
  await expect(page.getByText(/took more than 20 seconds|The engine had to be restarted/).first()).toBeVisible({ timeout: 240_000 });
  await page.getByLabel("Which template").selectOption("short");
  await expect(page.getByRole("region", { name: "The prompt as text" })).toHaveText("What is the capital of France?", { timeout: 60_000 });
});

test("a talk with the sample streams by its template and stops", async ({ page }) => {
  await openFolder(page, "run");
  await page.getByText("Chat", { exact: true }).click();
  await page.getByText("CPU", { exact: true }).click();
  await page.getByLabel("New tokens").fill("8");
  await page.getByLabel("Temperature").fill("0");
  await page.getByLabel("Message", { exact: true }).fill("Once upon a time");
  await page.keyboard.press("Enter");
  const log = page.getByRole("log", { name: "Conversation with the model" });
  await expect(log.locator(".turn.assistant .text")).not.toBeEmpty();
  await expect(page.getByText(/new tokens;/)).toBeVisible();
  await page.getByLabel("Message", { exact: true }).fill("And then?");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(log.locator(".turn")).toHaveCount(4);
});

test("a megabyte of text is split by the real tokenizer, and its last piece is reached", async ({ page }) => {
  await openFolder(page, "tokenizer");
  await page.getByLabel("Text to split").evaluate((area: HTMLTextAreaElement) => {
    area.value = `${"Once upon a time there was a little fox. ".repeat(25_000)}The end`;
    area.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });
  await expect(page.locator(".figures")).toContainText("characters1,025,007", { timeout: 60_000 });
  await page.getByRole("option").first().focus();
  await page.keyboard.press("End");
  await expect(page.locator(".quoted")).toContainText("The end");
  expect(await page.getByRole("option").count()).toBeLessThan(5000);
});

test("steps, vocabulary and a second tokenizer come from the real engine", async ({ page }) => {
  await openFolder(page, "tokenizer");
  await page.getByLabel("Text to split").fill("Once upon a time");
  await page.getByRole("option", { name: /upon/ }).click();
  const xray = page.getByRole("region", { name: "How a token was made" });
  await expect(xray.locator(".word-box.chosen")).toHaveText("\u0120upon");
  await expect(xray.locator(".merged").last()).toHaveText("\u0120upon");
  await page.getByRole("link", { name: "Vocabulary" }).click();
  await page.getByLabel("Search the vocabulary").fill("upon");
  await expect(page.getByRole("grid", { name: "Tokens of the vocabulary" }).getByRole("row", { name: /upon/ }).first()).toBeVisible();
  await page.getByRole("link", { name: "Two tokenizers" }).click();
  await page.getByTestId("second-tokenizer").setInputFiles(`${SAMPLE}/tokenizer.json`);
  await expect(page.getByRole("heading", { name: "Both give the same token ids" })).toBeVisible();
});
