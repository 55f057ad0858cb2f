import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Pieces } from "../../../www/src/package/model.ts";
import { hostOf, nameOf } from "../../../www/src/package/address.ts";

const FOLDER = "target/package";
const archive = existsSync(FOLDER) ? readdirSync(FOLDER).find((name) => name.endsWith(".tgz")) : undefined;
if (archive === undefined) console.warn("SKIPPED: the npm package is not built (cargo xtask package)");

describe.skipIf(archive === undefined)("the npm package, installed from its archive", () => {
  let project = "";
  const script = (text: string): unknown => {
    writeFileSync(join(project, "try.mjs"), text);
    const printed = execFileSync(process.execPath, ["try.mjs"], { cwd: project, encoding: "utf8", maxBuffer: 1 << 24 });
    return JSON.parse(printed);
  };
  const sample = (name: string): string => JSON.stringify(resolve("tests/corpus/sample", name));

  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), "glassbox-package-"));
    writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    execFileSync(npm, ["install", "--offline", "--no-audit", "--no-fund", "--silent", resolve(FOLDER, archive ?? "")], { cwd: project, shell: process.platform === "win32" });
  }, 60_000);
  afterAll(() => rmSync(project, { recursive: true, force: true }));

  it("opens a file and a folder in Node.js, by the same report as the command's", () => {
    const [file, folder] = script(`
      import { open } from "@glassbox/web";
      const told = async (path) => { const model = await open(path); const { format, architecture, parameters, tensors, files } = model.report; model.close(); return { format, architecture, parameters, tensors: tensors.length, files: files.length }; };
      console.log(JSON.stringify([await told(${sample("gguf/sample-q8_0.gguf")}), await told(${sample("hf")})]));
    `) as { format: string; architecture: string; parameters: number; tensors: number; files: number }[];
    expect(file).toMatchObject({ format: "GGUF", architecture: "llama", files: 1 });
    expect(folder).toMatchObject({ format: "safetensors", files: 8 });
    expect(folder?.parameters).toBe(file?.parameters);
  }, 60_000);

  it("decodes rows, tokenizes and generates in Node.js as the reference does", () => {
    const reference = JSON.parse(readFileSync("tests/corpus/sample/reference.json", "utf8")) as Record<string, unknown>;
    const { row, ids, text, again, streamed, stop } = script(`
      import { open } from "@glassbox/web";
      const model = await open(${sample("gguf/sample-f16.gguf")});
      const peek = await model.rows("token_embd.weight", 1, 1);
      const runner = await model.runner();
      const { ids } = await runner.tokenize("Once upon a time");
      await runner.load({ device: "cpu" });
      const ask = { prompt: "Once upon a time", temperature: 0, max_tokens: 12 };
      const first = await runner.generate(ask).finished;
      let streamed = 0;
      const second = runner.generate({ ...ask, max_tokens: 200 });
      for await (const piece of second) if (++streamed === 3) break;
      const { stop } = await second.finished;
      const again = (await runner.generate(ask).finished).text;
      model.close();
      console.log(JSON.stringify({ row: peek.values[0].length, ids, text: first.text, again, streamed, stop }));
    `) as { row: number; ids: number[]; text: string; again: string; streamed: number; stop: string };
    expect(Object.keys(reference).length).toBeGreaterThan(0);
    expect(row).toBeGreaterThan(0);
    expect(ids.length).toBeGreaterThan(3);
    expect(text.length).toBeGreaterThan(10);
    expect(again).toBe(text);
    expect([streamed, stop]).toEqual([3, "stopped"]);
  }, 120_000);

  it("tells of a file that is no model, and of a model that is closed, by errors", () => {
    const { what, closed } = script(`
      import { open, FaultError } from "@glassbox/web";
      let what = null, closed = null;
      try { await open({ name: "note.gguf", file: new Blob(["GGUF is what this begins with"]) }); } catch (e) { what = e instanceof FaultError ? e.report : String(e); }
      const model = await open(${sample("gguf/sample-q8_0.gguf")});
      model.close();
      try { await model.check(); } catch (e) { closed = e.message; }
      console.log(JSON.stringify({ what, closed }));
    `) as { what: { what: string; file: string }; closed: string };
    expect(what.file).toBe("note.gguf");
    expect(what.what.length).toBeGreaterThan(10);
    expect(closed).toBe("the model is closed");
  }, 60_000);

  it("has types that a strict project compiles against", () => {
    writeFileSync(join(project, "use.ts"), `
      import { open, type ModelReport } from "@glassbox/web";
      import type { GlassboxViewer } from "@glassbox/web/viewer";
      export async function summary(path: string): Promise<string> { const model = await open(path); const report: ModelReport = model.report; return report.summary; }
      export function fault(viewer: GlassboxViewer): number { return viewer.model?.report.parameters ?? 0; }
      // @ts-expect-error a number is no source
      void open(1);
    `);
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: { strict: true, noEmit: true, module: "nodenext", target: "es2022", lib: ["es2023", "dom", "dom.iterable"], types: [] }, files: ["use.ts"] }));
    execFileSync(process.execPath, [resolve("node_modules/typescript/bin/tsc"), "--project", project], { encoding: "utf8" });
  }, 60_000);
});

describe("what the package is made of", () => {
  it("gives pieces out in order, whenever they arrive, and the error at the end", async () => {
    const pieces = new Pieces<number>();
    pieces.push(1);
    const seen: number[] = [];
    const loop = (async () => { for await (const piece of pieces.iterate(() => seen.push(-1))) seen.push(piece); })();
    pieces.push(2);
    await Promise.resolve();
    pieces.push(3);
    pieces.end(new Error("the device was lost"));
    await expect(loop).rejects.toThrow("the device was lost");
    expect(seen).toEqual([1, 2, 3]);
  });

  it("says that a loop was left before the end, and not that one has ended", async () => {
    const left = new Pieces<number>();
    left.push(1);
    let stopped = 0;
    for await (const piece of left.iterate(() => { stopped += 1; })) if (piece === 1) break;
    expect(stopped).toBe(1);
    const whole = new Pieces<number>();
    whole.end();
    for await (const piece of whole.iterate(() => { stopped += 1; })) expect.unreachable(String(piece));
    expect(stopped).toBe(1);
  });

  it("names a file by its address", () => {
    expect(nameOf(new URL("https://host.example/a/b/model%20one.gguf?download=true"))).toBe("model one.gguf");
    expect(nameOf(new URL("https://host.example/%ff"))).toBe("%ff");
    expect(nameOf(new URL("https://host.example/"))).toBe("host.example");
    expect([hostOf(new URL("https://host.example:81/x")), hostOf(new URL("file:///etc/passwd"))]).toEqual(["host.example:81", null]);
  });
});
