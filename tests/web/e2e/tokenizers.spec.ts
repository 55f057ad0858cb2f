/**
 * Token ids in Chromium, by the wasm that the page uses, against other programs': llama.cpp's on its own vocabularies,
 * the tokenizers and sentencepiece libraries' on 58 texts a file, the reference's for MiniLM and llama2.c's.
 * `tests/rust/tokenize/` makes the same comparisons natively.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { Page } from "@playwright/test";

import { test } from "./harness/test.ts";
import { expect } from "./page.ts";

const CORPUS = process.env["GLASSBOX_CORPUS"] ?? "../shared/corpus";
/** llama.cpp's vocabularies that come with cases and ids. */
const VOCABULARIES = ["bert-bge", "deepseek-coder", "gpt-2", "llama-bpe", "llama-spm", "qwen2", "refact"];

/** What a text is to become. */
interface Case {
  text: string;
  ids: number[];
}

interface Harness {
  ids(texts: string[], addSpecial: boolean, parseSpecial: boolean): Promise<number[][]>;
}

/** Ids as reference.json holds them: two lists for a tokenizer.json, one for a SentencePiece model. */
interface Reference {
  texts: string[];
  files: Record<string, { kind: string; with_special?: number[][]; without_special?: number[][]; ids?: number[][] }>;
}

function json<T>(path: string): T {
  return JSON.parse(readFileSync(join(CORPUS, path), "utf8")) as T;
}

/** Says aloud what is not compared, and why. */
function skipAloud(path: string): void {
  const what = `${path}, because the corpus is not there (set GLASSBOX_CORPUS)`;
  const isHere = existsSync(join(CORPUS, path));
  if (!isHere) console.log(`skipped: ${what}`);
  test.skip(!isHere, what);
}

/** The ids of a file's tokenizer equal those of every case. */
async function compare(page: Page, file: string, cases: Case[], addSpecial: boolean, parseSpecial: boolean): Promise<void> {
  await page.getByLabel("Model files").setInputFiles(join(CORPUS, file));
  const got = await page.evaluate(
    ([texts, add, parse]) => (globalThis as unknown as { harness: Harness }).harness.ids(texts, add, parse),
    [cases.map((c) => c.text), addSpecial, parseSpecial] as const,
  );
  // Against an empty list everything would be equal.
  expect(got.length).toBeGreaterThan(0);
  for (const [i, c] of cases.entries()) expect(got[i], `${file}: ${JSON.stringify(c.text)}`).toEqual(c.ids);
}

function numbers(line: string): number[] {
  return line.split(/\s+/u).filter((word) => word !== "").map(Number);
}

for (const name of VOCABULARIES) {
  test(`ids of ${name} equal llama.cpp's in Chromium`, async ({ page }) => {
    const file = `vocab/ggml-vocab-${name}.gguf`;
    skipAloud(`${file}.inp`);
    const texts = readFileSync(join(CORPUS, `${file}.inp`), "utf8").split("\n__ggml_vocab_test__\n");
    const lines = readFileSync(join(CORPUS, `${file}.out`), "utf8").split("\n");
    expect(lines).toHaveLength(47);
    await compare(page, file, lines.map((line, i) => ({ text: texts[i] ?? "", ids: numbers(line) })), false, false);
  });
}

test("ids of tokenizer.json and SentencePiece files equal the libraries' in Chromium", async ({ page }) => {
  test.setTimeout(300_000);
  skipAloud("tokenizers/reference.json");
  const reference = json<Reference>("tokenizers/reference.json");
  let compared = 0;
  for (const [file, expected] of Object.entries(reference.files)) {
    const cases = (lists: number[][]): Case[] => reference.texts.map((text, i) => ({ text, ids: lists[i] ?? [] }));
    if (expected.kind.startsWith("rejected")) continue;
    if (expected.with_special) await compare(page, file, cases(expected.with_special), true, true);
    if (expected.without_special) await compare(page, file, cases(expected.without_special), false, true);
    if (expected.ids) await compare(page, file, cases(expected.ids), false, false);
    compared += 1;
  }
  expect(compared).toBe(7);
});

test("ids of MiniLM and of the llama models equal their references in Chromium", async ({ page }) => {
  skipAloud("minilm/minilm_reference.json");
  const { sentences } = json<{ sentences: Case[] }>("minilm/minilm_reference.json");
  await compare(page, "minilm/tokenizer.json", sentences, true, true);
  for (const [model, file] of [["stories260K", "stories260K-f16"], ["llama2xs", "llama2xs-f16"]]) {
    const reference = json<{ tokenization: Case[]; prompts: { prompt: string; prompt_ids: number[] }[] }>(`llama/${model}.reference.json`);
    const prompts = reference.prompts.map((p) => ({ text: p.prompt, ids: p.prompt_ids }));
    await compare(page, `llama/${file}.gguf`, [...reference.tokenization, ...prompts], true, false);
  }
  const folder = json<{ prompt: string; ids: number[] }>("hf-llama2xs/reference.json");
  await compare(page, "hf-llama2xs/tokenizer.json", [{ text: folder.prompt, ids: folder.ids }], true, true);
});
