import { accessible, expect, open, test } from "../page.ts";

const NAME = "smollm2-135m.gguf";

test("a conversation is written by the template as it is edited, with special tokens marked and counted", async ({ page }) => {
  await open(page, NAME, "tokenizer?part=chat");
  const text = page.getByRole("region", { name: "The prompt as text" });
  await expect(text).toContainText("What is the capital of France?");
  await expect(text.locator(".special-token")).toHaveText(["<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>", "<|im_start|>"]);
  await expect(text.locator(".hidden-char[title='line feed']").first()).toHaveText("\u21b5");
  await page.getByLabel("Content of message 2").fill("Hello\u200b there ");
  await expect(text).toContainText("Hello<U+200B>\u00b7there\u00b7");
  await page.getByLabel("Add the generation prompt").uncheck();
  await expect(text.locator(".special-token")).toHaveCount(4);
  await page.getByRole("button", { name: "Add a message" }).click();
  await expect(page.getByLabel("Content of message 3")).toBeFocused();
  await page.getByLabel("Content of message 3").fill("Hi!");
  await expect(text).toContainText("assistant\u21b5\nHi!");
  await page.getByRole("button", { name: "Move message 3 up" }).click();
  await expect(page.getByLabel("Content of message 2")).toHaveValue("Hi!");
  await page.getByRole("button", { name: "Remove message 2" }).click();
  await expect(text).not.toContainText("Hi!");
});

test("tokens of the conversation are shown with their ids", async ({ page }) => {
  await open(page, NAME, "tokenizer?part=chat");
  await page.getByText("Tokens", { exact: true }).click();
  const tokens = page.getByRole("listbox", { name: /Tokens of the conversation/ });
  await expect(tokens.getByRole("option").first()).toHaveText("<|im_start|>1");
  await tokens.getByRole("option").first().focus();
  await page.keyboard.press("ArrowRight");
  await expect(page.getByText(/token 2: id/)).toBeVisible();
});

test("a template's error names its line, and the line is marked in the template", async ({ page }) => {
  await open(page, NAME, "tokenizer?part=chat");
  await page.getByLabel("Role of message 2").fill("robot");
  await expect(page.getByRole("alert")).toContainText("The template ended with an error in line 3");
  await expect(page.getByRole("alert")).toContainText("Unknown role robot");
  await expect(page.locator(".line.bad")).toContainText("raise_exception");
  await page.getByRole("button", { name: "Show line 3" }).click();
  await expect(page.locator(".line[data-line='3']")).toBeFocused();
  await page.getByLabel("Role of message 2").fill("user");
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("findings about a template lead to their lines, and hidden characters in it are seen", async ({ page }) => {
  await open(page, NAME, "tokenizer?part=chat");
  await expect(page.getByText("The template writes the address https://example.org in line 5.")).toBeVisible();
  await page.getByRole("button", { name: "line 5" }).first().click();
  await expect(page.locator(".line[data-line='5']")).toBeFocused();
  await expect(page.getByRole("region", { name: "Text of the template" })).toContainText("<U+200B>");
});

test("JSON that cannot be read is named beside its field, and the text before stays", async ({ page }) => {
  await open(page, NAME, "tokenizer?part=chat");
  const text = page.getByRole("region", { name: "The prompt as text" });
  await expect(text).toContainText("France");
  await page.getByLabel("Tools").fill("[{");
  await expect(page.getByText(/^Not JSON/)).toBeVisible();
  await expect(page.getByText("this is still the prompt of the conversation before")).toBeVisible();
  await expect(text).toContainText("France");
});

test("two templates are compared in their text and in what they write, also with another file's", async ({ page }) => {
  await open(page, NAME, "tokenizer?part=chat");
  await page.getByLabel("The template to compare with").selectOption("tool_use");
  const source = page.getByRole("region", { name: "The templates, line by line" });
  await expect(source.locator("tr.added").first()).toContainText("For tools.");
  await expect(page.getByRole("region", { name: "What they render, line by line" }).locator("tr.removed")).toHaveText(/b/);
  await page.getByTestId("template-files").setInputFiles({ name: "tokenizer_config.json", mimeType: "application/json", buffer: Buffer.from("{}") });
  await expect(source.locator("tr.added")).toHaveText(/messages/);
  await expect(page.getByText("default from tokenizer_config.json")).toBeVisible();
});

test("a model without a template says what would hold one", async ({ page }) => {
  await open(page, "plain.gguf", "tokenizer?part=chat");
  await expect(page.getByRole("heading", { name: "This model has no chat template" })).toBeVisible();
});

test("a talk goes on turn by turn, stops, and starts anew", async ({ page }) => {
  await open(page, NAME, "run");
  const log = page.getByRole("log", { name: "Conversation with the model" });
  await page.getByLabel("New tokens").fill("12");
  await page.getByLabel("Message", { exact: true }).fill("Tell me a story");
  await page.keyboard.press("Enter");
  await expect(log.locator(".turn.assistant")).toContainText("there was a little fox");
  await expect(log).toContainText("cut at the limit of new tokens");
  await page.getByLabel("New tokens").fill("100000");
  await page.getByLabel("Message", { exact: true }).fill("Go on");
  await page.getByRole("button", { name: "Send" }).click();
  await expect(log.locator(".turn")).toHaveCount(4);
  await expect(log.locator(".turn.assistant").last()).toContainText("fox named Lily");
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(log.locator(".turn.assistant").last()).toContainText("(stopped)");
  await accessible(page);
  await page.getByText("System message").click();
  await page.getByRole("button", { name: "Show the prompt" }).click();
  await expect(page.getByRole("region", { name: "The prompt as text" })).toContainText("Tell me a story");
  await page.getByRole("link", { name: "Run" }).click();
  await page.getByRole("button", { name: "New conversation" }).click();
  await expect(log.locator(".turn")).toHaveCount(0);
});

test("a model without a template says so where it would chat", async ({ page }) => {
  await open(page, "plain.gguf", "run");
  await page.getByText("Chat", { exact: true }).click();
  await expect(page.getByText("This model has no chat template")).toBeVisible();
});
