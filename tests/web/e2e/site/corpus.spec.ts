import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";

import type { Page } from "@playwright/test";

import { byteMap } from "../../../../www/src/lib/bytemap.ts";
import { count } from "../../../../www/src/lib/format.ts";
import type { MapReport, ModelReport } from "../../../../www/src/wire/report.ts";
import { expect, SITE, test } from "../page.ts";

/** Real files that nobody in this project wrote; never part of the repository. */
const CORPUS = process.env["GLASSBOX_CORPUS"] ?? "../shared/corpus";
const MANIFEST = join(CORPUS, "MANIFEST.json");
/** Differences printed of one file. */
const TOLD = 5;

interface Case {
  /** Path in the corpus. */
  name: string;
  /** Paths of its files in the corpus, and the names by which both faces know them. */
  files: { path: string; name: string }[];
}

/** Every file of the manifest by itself, and every folder as one. */
function cases(): { paths: string[]; cases: Case[] } {
  const listed = (JSON.parse(readFileSync(MANIFEST, "utf8")) as { file: string }[]).map((row) => row.file).filter((file) => existsSync(join(CORPUS, file)));
  const base = (path: string) => path.split("/").at(-1) ?? path;
  const folders = new Set(listed.flatMap((path) => path.split("/").slice(0, -1).map((_, depth, parts) => parts.slice(0, depth + 1).join("/"))));
  const inside = (folder: string) => walk(folder).map((path) => ({ path, name: path.slice(folder.length + 1) }));
  const all = [
    ...listed.map((path) => ({ name: path, files: [{ path, name: base(path) }] })),
    ...[...folders].map((folder) => ({ name: folder, files: inside(folder) })),
  ];
  return { paths: [...new Set(all.flatMap((c) => c.files.map((f) => f.path)))], cases: all };
}

/** Files below a folder as the command takes them: nothing hidden, in the order of their paths' parts. */
function walk(folder: string): string[] {
  const found = readdirSync(join(CORPUS, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => resolve(entry.parentPath, entry.name).slice(resolve(CORPUS).length + 1))
    .filter((path) => !path.slice(folder.length + 1).split("/").some((part) => part.startsWith(".")));
  const key = (path: string) => path.split("/").join("\0");
  return found.sort((a, b) => Buffer.compare(Buffer.from(key(a)), Buffer.from(key(b))));
}

/** The newest build of the command. */
function command(): string {
  const built = ["target/debug/glassbox", "target/release/glassbox", "target/debug/glassbox.exe"].filter((path) => existsSync(path));
  const [newest] = built.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (newest === undefined) throw new Error("the command is not built: run `cargo build -p glassbox` (`npm test` has done so by now)");
  return newest;
}

/** Where files stand without their neighbours: the command looks in a file's folder for what belongs to it, a page cannot. */
const ALONE = mkdtempSync(join(tmpdir(), "glassbox-alone-"));
let links = 0;
test.afterAll(() => rmSync(ALONE, { recursive: true, force: true }));

/** A folder as it is; a file by a link of its own. */
function alone(path: string): string {
  if (statSync(path).isDirectory()) return path;
  const folder = join(ALONE, String(links += 1));
  mkdirSync(folder, { recursive: true });
  symlinkSync(resolve(path), join(folder, basename(path)));
  return join(folder, basename(path));
}

/** What the command prints as JSON, whatever its exit code. */
async function native(verb: "inspect" | "map", path: string): Promise<unknown> {
  const run = promisify(execFile)(command(), [verb, "--json", alone(path)], { maxBuffer: 1 << 30 });
  const { stdout } = await run.catch((failed: { stdout: string; code: number }) => {
    // 1 means that the file has errors, which are in the report.
    if (failed.code !== 1) throw failed;
    return failed;
  });
  return JSON.parse(stdout);
}

/** Where two values differ: path, native, wasm. */
function differences(a: unknown, b: unknown, path = ""): string[] {
  if (Object.is(a, b)) return [];
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return [`${path}: ${short(a)} natively, ${short(b)} in the browser`];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].flatMap((key) => differences((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], `${path}.${key}`));
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "absent";
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

type Answer = { kind: "tell"; json: string } | { kind: "fault" | "trap"; fault: unknown };

/** The page's own worker, with all files within its reach. Started from a document of the same host that has no policy against it. */
async function reader(page: Page, paths: string[]): Promise<(files: Case["files"]) => Promise<Answer>> {
  // Of two scripts called reader, one is the worker: the page names it, and the worker the other.
  const main = readdirSync("dist/assets").find((name) => /^index-[\w-]+\.js$/.test(name)) ?? "";
  const script = /reader-[\w-]+\.js/.exec(readFileSync(`dist/assets/${main}`, "utf8"))?.[0];
  expect(script, "the page names its reader's worker").toBeDefined();
  await page.goto(`${SITE}sample/index.json`);
  await page.evaluate((address) => {
    const input = document.body.appendChild(document.createElement("input"));
    input.type = "file";
    input.multiple = true;
    const start = () => new Worker(new URL(`../assets/${address}`, location.href), { type: "module" });
    let worker = start();
    Object.assign(globalThis, {
      inspect: (files: { name: string; at: number }[]) => new Promise((resolve) => {
        worker.onmessage = ({ data }) => {
          if (data.kind === "trap") {
            worker.terminate();
            worker = start();
          }
          resolve(data);
        };
        worker.onerror = (error) => resolve({ kind: "trap", fault: error.message });
        worker.postMessage({ id: 1, call: "open", ask: { files: files.map(({ name, at }) => ({ name, file: input.files?.[at] })) } });
      }),
    });
  }, script ?? "");
  await page.setInputFiles("input", paths.map((path) => join(CORPUS, path)));
  const at = new Map(paths.map((path, i) => [path, i]));
  return (files) => page.evaluate(
    (asked) => (globalThis as unknown as { inspect: (files: unknown) => Promise<Answer> }).inspect(asked),
    files.map((f) => ({ name: f.name, at: at.get(f.path) ?? -1 })),
  );
}

/** The byte map that the page draws, in the words of the command's. */
function drawn(report: ModelReport): MapReport["parts"] {
  return report.files.flatMap((_, file) => {
    const { parts } = byteMap(report, file);
    const name = (i: number) => report.tensors[parts[i]?.tensor ?? -1]?.name ?? null;
    return parts.map((p, i) => ({
      file, start: p.start, end: p.end, kind: p.kind, name: name(i), encoding: report.tensors[p.tensor]?.encoding ?? null,
      shares_with: name(p.sharesWith) ?? parts[p.sharesWith]?.kind ?? null, shared_bytes: p.shared,
    }));
  });
}

test.describe("the corpus", () => {
  // Chromium asks for an icon of the JSON document that the worker is started from.
  test.use({ expected: /Failed to load resource.*404/ });

  test("every file and folder of the corpus gets the same report and the same byte map in the browser as natively", async ({ page }) => {
    if (!existsSync(MANIFEST)) console.log(`SKIPPED: the corpus in the browser, because ${MANIFEST} is not there (set GLASSBOX_CORPUS)`);
    test.skip(!existsSync(MANIFEST), `${MANIFEST} is not there`);
    test.setTimeout(600_000);
    const { paths, cases: all } = cases();
    const open = await reader(page, paths);
    const wrong: string[] = [];
    let models = 0;
    for (const { name, files } of all) {
      const [expected, answer] = await Promise.all([native("inspect", join(CORPUS, name)), open(files)]);
      const got = answer.kind === "tell" ? (JSON.parse(answer.json) as ModelReport) : { [answer.kind]: answer.fault };
      const found = differences(expected, got);
      wrong.push(...found.slice(0, TOLD).map((d) => `${name}${d}`));
      if (found.length > TOLD) wrong.push(`${name}: ${found.length - TOLD} more differences`);
      if (answer.kind !== "tell") continue;
      models += 1;
      const map = (await native("map", join(CORPUS, name))) as MapReport;
      wrong.push(...differences(map.parts, drawn(got as ModelReport), ".map").slice(0, TOLD).map((d) => `${name}${d}`));
    }
    console.log(`${all.length} files and folders of the corpus compared, ${models} of them models`);
    expect(wrong).toEqual([]);
  });
});

test("files of the corpus are shown as their reports say", async ({ page }) => {
  if (!existsSync(MANIFEST)) console.log(`SKIPPED: the corpus on the page, because ${MANIFEST} is not there (set GLASSBOX_CORPUS)`);
  test.skip(!existsSync(MANIFEST), `${MANIFEST} is not there`);
  for (const name of ["gguf/superpoint.gguf", "safetensors", "pytorch", "onnx", "tensorflow", "ggml"].flatMap((path) => (statSync(join(CORPUS, path)).isDirectory() ? walk(path).slice(0, 2) : [path]))) {
    const expected = (await native("inspect", join(CORPUS, name))) as ModelReport & { fault?: { what: string } };
    await page.goto(SITE);
    await page.getByTestId("files").first().setInputFiles(join(CORPUS, name));
    if (expected.fault !== undefined) {
      await expect(page.getByRole("alert"), name).toBeVisible();
      continue;
    }
    await expect(page.locator("header .chip").first(), name).toContainText(expected.format);
    if (expected.tensors.length > 0) {
      await page.getByRole("link", { name: "Tensors" }).click();
      await expect(page.locator(".tensors .sum"), name).toContainText(count(expected.tensors.length));
    }
    await page.getByRole("link", { name: "Bytes" }).click();
    await expect(page.getByRole("table", { name: /in hexadecimal/ }).getByRole("row").first(), name).toBeVisible();
  }
});
