/**
 * The engine in Chromium, without the page: kernels on WebGPU (SwiftShader) against their twins, whole models against
 * references on the wasm CPU path and on WebGPU. `tests/rust/` makes the same comparisons natively.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Page } from "@playwright/test";

import type { DeviceReport, OpsReport, RunReport } from "../../../www/src/wire/report.ts";
import { installSubgroupShim } from "../../../www/src/worker/subgroups.ts";
import { test as base } from "./harness/test.ts";
import { expect } from "./page.ts";

/** What `harness.js` answers with. */
interface Runs {
  device: DeviceReport;
  pieces: number;
  /** Bytes of the wasm heap: before opening, after opening, after loading, after the runs. It never shrinks. */
  heap: { empty: number; opened: number; loaded: number; after: number };
  reports: RunReport[];
}
interface Harness {
  start(subgroups: boolean): void;
  ops(tier: string, only: string): Promise<OpsReport>;
  runs(device: string, tier: string, options: Options[]): Promise<Runs>;
  results(device: string, tier: string, ids: number[]): Promise<number[][]>;
}
type Options = { prompt?: string; prompt_ids?: number[]; max_tokens: number; logits?: boolean; temperature?: number; top_k?: number; top_p?: number; min_p?: number; seed?: number };
type Device = "cpu" | "gpu";

/** The references were computed in float64 from the decoded weights: f32 sums of these small models stay this close. */
const LOGIT_TOLERANCE = 1e-3;
const SAMPLE = "tests/corpus/sample";
const CORPUS = process.env["GLASSBOX_CORPUS"] ?? "../shared/corpus";
/** Every model, in full, on WebGPU too: SwiftShader takes five minutes for what the other devices do in seconds. */
const ALL_GPU = process.env["GLASSBOX_ALL_GPU"] === "1";
const LARGE = process.env["GLASSBOX_LARGE"] === "1";

/** The harness, opened; the engine has started, with the worker's shim in place where `subgroups` is asked for. */
class Engine {
  private readonly page: Page;
  constructor(page: Page) {
    this.page = page;
  }
  /** Whether the adapter has subgroups. The shim must lie in place before the engine asks for a device. */
  async start(): Promise<boolean> {
    const subgroups = await this.page.evaluate(installSubgroupShim);
    await this.page.evaluate((granted) => (globalThis as unknown as { harness: Harness }).harness.start(granted), subgroups);
    return subgroups;
  }
  ops(tier: string, only: string): Promise<OpsReport> {
    return this.page.evaluate(([t, o]) => (globalThis as unknown as { harness: Harness }).harness.ops(t, o), [tier, only] as const);
  }
  async results(files: string[], device: Device, tier: string, ids: number[]): Promise<number[][]> {
    await this.page.getByLabel("Model files").setInputFiles(files);
    return this.page.evaluate(
      ([d, t, i]) => (globalThis as unknown as { harness: Harness }).harness.results(d, t, i), [device, tier, ids] as const,
    );
  }
  async runs(files: string[], device: Device, options: Options[], tier = ""): Promise<Runs> {
    await this.page.getByLabel("Model files").setInputFiles(files);
    const runs = await this.page.evaluate(
      ([d, t, o]) => (globalThis as unknown as { harness: Harness }).harness.runs(d, t, o), [device, tier, options] as const,
    );
    // A run that quietly took another device would compare nothing.
    expect(runs.device.backend).toBe(device === "cpu" ? "CPU" : "WebGPU");
    return runs;
  }
}

const test = base.extend<{ engine: Engine }>({
  engine: async ({ page }, use) => {
    await use(new Engine(page));
  },
});

/** Says aloud what is not compared, and why. */
function skipAloud(unless: boolean, what: string): void {
  if (!unless) console.log(`skipped: ${what}`);
  test.skip(!unless, what);
}

function json<T>(path: string): T {
  return JSON.parse(readFileSync(path, "utf8")) as T;
}

/** The rows of a `.npy` file of f32 `[rows, columns]`. */
function npy(path: string): Float32Array[] {
  const bytes = readFileSync(path);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, start);
  const shape = /'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\)/.exec(header);
  if (shape === null) throw new Error(`${path} is not a matrix of f32: ${header}`);
  const [rows, columns] = [Number(shape[1]), Number(shape[2])];
  return Array.from({ length: rows }, (_, row) =>
    Float32Array.from({ length: columns }, (_, column) => bytes.readFloatLE(start + 4 * (row * columns + column))));
}

function largestDifference(got: number[] | undefined, want: Float32Array | undefined): number {
  if (got === undefined || want === undefined) throw new Error("there are no logits to compare");
  expect(got.length).toBe(want.length);
  return got.reduce((most, value, i) => Math.max(most, Math.abs(value - (want[i] ?? NaN))), 0);
}

/**
 * Which cases run in each tier: words select by kernel and size, the empty word takes all. `tests/rust/` runs every case
 * natively; here the small ones are a fair part (each compiles its shaders by the browser's own compiler, which takes most of the time).
 * The kernels that reduce across a workgroup are the only ones that differ in the subgroup tier.
 */
const OPS: [string, string[]][] = [
  ["core", ALL_GPU ? [""] : ["quick"]],
  ["subgroup", ALL_GPU ? [""] : ["quick attention", "quick matvec", "quick rms_norm"]],
];

for (const [tier, kernels] of OPS) {
  test(`every kernel agrees with the operation it stands for on SwiftShader in the ${tier} tier`, async ({ engine }) => {
    test.setTimeout(1_200_000);
    const subgroups = await engine.start();
    skipAloud(tier === "core" || subgroups, "the subgroup tier, because this Chromium's adapter has no subgroups");
    for (const kernel of kernels) {
      const report = await engine.ops(tier, kernel);
      expect(report.device.backend).toBe("WebGPU");
      expect(report.device.tier).toBe(tier);
      expect(report.ops.filter((o) => !o.ok)).toEqual([]);
      expect(report.ok).toBe(true);
      console.log(`${tier} tier: ${report.ops.length} cases ${kernel === "" ? "of all kernels" : `of ${kernel}`}`);
    }
  });
}

interface CorpusRun { prompt: string; prompt_ids: number[]; sequence: number[]; min_top2_gap: number }

/** Models of the corpus: file, logits after each token of the prompt, greedy sequence. */
function corpusModels(): { file: string; logits: string; run: CorpusRun }[] {
  const folder = join(CORPUS, "llama");
  const floats = ["stories260K", "llama2xs"].flatMap((model) => {
    const run = json<{ prompts: CorpusRun[] }>(join(folder, `${model}.reference.json`)).prompts[1];
    return run === undefined ? [] : [{ file: `${model}-f32.gguf`, logits: `${model}.logits_prompt1.npy`, run }];
  });
  const { files } = json<{ files: Record<string, CorpusRun> }>(join(folder, "quantised.reference.json"));
  const quantised = Object.entries(files).map(([file, run]) => ({ file, logits: file.replace(".gguf", ".logits_prompt1.npy"), run }));
  return [...floats, ...quantised];
}

for (const device of ["cpu", "gpu"] as const) {
  const where = device === "cpu" ? "the wasm CPU path" : "SwiftShader";

  test(`models of the corpus give the reference's logits and greedy text on ${where}`, async ({ engine }) => {
    test.setTimeout(600_000);
    skipAloud(existsSync(join(CORPUS, "llama")), `stories260K and llama2xs, because the corpus is not at ${CORPUS}`);
    await engine.start();
    const models = corpusModels();
    expect(models.length).toBeGreaterThanOrEqual(10);
    const part = device === "cpu" || ALL_GPU ? models : models.filter((m) => m.file.endsWith("-f32.gguf"));
    for (const { file, logits, run } of part) {
      const wanted = run.sequence.slice(run.prompt_ids.length);
      const tokens = device === "cpu" || ALL_GPU ? wanted : wanted.slice(0, 24);
      const { reports: [report] } = await engine.runs([join(CORPUS, "llama", file)], device, [{ prompt: run.prompt, max_tokens: tokens.length, logits: true }]);
      expect(report?.prompt_ids, file).toEqual(run.prompt_ids);
      expect(largestDifference(report?.logits, npy(join(CORPUS, "llama", logits)).at(-1)), file).toBeLessThan(LOGIT_TOLERANCE);
      if (run.min_top2_gap < LOGIT_TOLERANCE) {
        console.log(`skipped: ${file}: greedy text, because its closest choice is ${run.min_top2_gap} apart`);
        continue;
      }
      expect(report?.ids, `${file}: greedy ids`).toEqual(tokens);
    }
  });
}

/** Architectures whose tiny models run on SwiftShader in every test; GLASSBOX_ALL_GPU=1 takes all of them. */
const FAIR = ["bert", "gemma3", "gpt2", "llama", "qwen3"];
const ARCHITECTURES = [
  ...FAIR, "gptneox", "gptneox-serial", "llama-biases", "llama-linear-rope", "llama-llama3-rope", "llama-yarn-rope", "phi3", "phi3-longrope",
  "qwen2", "roberta",
];
/** Per ten units of the reference's range, as natively. */
const ARCHITECTURE_TOLERANCE = 2e-3;

interface ArchitectureReference { prompt_ids: number[]; greedy_ids?: number[]; min_top2_gap?: number }

/** The largest difference of a value, per ten units of the reference's range. */
function offBy(got: number[][], want: Float32Array[]): number {
  expect(got.length).toBe(want.length);
  const values = want.flatMap((row) => [...row]);
  const range = values.reduce((m, v) => Math.max(m, v), -Infinity) - values.reduce((m, v) => Math.min(m, v), Infinity);
  const most = got.reduce((m, row, i) => Math.max(m, largestDifference(row, want[i])), 0);
  return most / Math.max(range / 10, 1);
}

for (const device of ["cpu", "gpu"] as const) {
  const where = device === "cpu" ? "the wasm CPU path" : "SwiftShader in both tiers";
  test(`tiny models of the architectures give the references' values at every position on ${where}`, async ({ engine }) => {
    test.setTimeout(600_000);
    skipAloud(existsSync(join(CORPUS, "arch")), `models of every architecture, because the corpus is not at ${CORPUS}`);
    const subgroups = await engine.start();
    const tiers = device === "cpu" ? [""] : subgroups ? ["core", "subgroup"] : ["core"];
    for (const tier of tiers) {
      for (const name of device === "cpu" || ALL_GPU ? ARCHITECTURES : FAIR) {
        const folder = join(CORPUS, "arch", name);
        const about = json<ArchitectureReference>(join(folder, "reference.json"));
        const encoder = existsSync(join(folder, "hidden.npy"));
        const own = join(folder, "gguf-logits.npy");
        const want = npy(encoder ? join(folder, "hidden.npy") : existsSync(own) ? own : join(folder, "logits.npy"));
        const file = join(folder, "model.gguf");
        const off = offBy(await engine.results([file], device, tier, about.prompt_ids), want);
        console.log(`${name}, ${device} ${tier}: off by ${off.toExponential(1)}`);
        expect(off, `${name} ${tier}`).toBeLessThan(ARCHITECTURE_TOLERANCE);
        if (encoder || existsSync(own) || (about.min_top2_gap ?? 0) < 2 * ARCHITECTURE_TOLERANCE) continue;
        const options = [{ prompt_ids: about.prompt_ids, max_tokens: 8 }];
        const { reports: [report] } = await engine.runs([file], device, options, tier);
        // An end token ends a run; the reference goes on.
        expect(report?.ids, `${name} ${tier}`).toEqual(about.greedy_ids?.slice(0, report?.ids.length));
      }
    }
  });
}

interface SampleReference {
  prompts: { text: string; ids: number[] }[];
  weights: { files: string[]; logits: string; runs: { prompt: string; ids: number[]; min_top2_gap: number }[] }[];
}
const reference = json<SampleReference>(`${SAMPLE}/reference.json`);
/** Every GGUF of the sample, one per encoding. */
const SAMPLE_FILES = reference.weights.flatMap((w) => w.files.filter((f) => f.endsWith(".gguf")).map((file) => ({ file, ...w })));
/** The sample's end token: in the reference's ids, not in a run's. */
const END = 0;

for (const { file, logits, runs } of SAMPLE_FILES) {
  for (const device of ["cpu", "gpu"] as const) {
    const where = device === "cpu" ? "the wasm CPU path" : "SwiftShader";
    // A plain layout and a mix of two K-quants; test-ops above meets the blocks of every encoding.
    if (device === "gpu" && !ALL_GPU && !/q8_0|q4_k_m/.test(file)) continue;
    test(`${file} gives the reference's logits and greedy ids on ${where}`, async ({ engine }) => {
      test.setTimeout(300_000);
        await engine.start();
      // Every prompt's logits; the first run to its end token, or to 64 tokens on SwiftShader.
      const most = device === "cpu" || ALL_GPU ? Infinity : 64;
      const options = runs.map((run, i) => ({ prompt: run.prompt, max_tokens: i === 0 ? Math.min(run.ids.length, most) : 1, logits: true }));
      const { reports } = await engine.runs([`${SAMPLE}/${file}`], device, options);
      const want = npy(`${SAMPLE}/${logits}`);
      for (const [i, prompt] of reference.prompts.entries()) {
        expect(reports[i]?.prompt_ids).toEqual(prompt.ids);
        expect(largestDifference(reports[i]?.logits, want[i]), `"${prompt.text}"`).toBeLessThan(LOGIT_TOLERANCE);
      }
      const run = runs[0];
      expect(run?.ids.length).toBeGreaterThan(60);
      expect(run?.min_top2_gap).toBeGreaterThan(LOGIT_TOLERANCE);
      const ended = reports[0]?.stop === "end token";
      expect(ended).toBe(most === Infinity);
      expect([...reports[0]?.ids ?? [], ...(ended ? [END] : [])]).toEqual(run?.ids.slice(0, most));
    });
  }
}

interface Seeds {
  model: string;
  max_tokens: number;
  sampling: { temperature: number; top_k: number; top_p: number; min_p: number; seed: number };
  runs: { prompt: string; ids: number[] }[];
}

for (const device of ["cpu", "gpu"] as const) {
  const where = device === "cpu" ? "the wasm CPU path" : "SwiftShader";
  test(`a seed gives the ids that every device gives, on ${where}`, async ({ engine }) => {
    test.setTimeout(300_000);
    // The ids are those of `glassbox run --json` with these options, on the CPU and on llvmpipe.
    const golden = json<Seeds>("tests/golden/seeds.json");
    await engine.start();
    const options = golden.runs.map(({ prompt }) => ({ prompt, max_tokens: golden.max_tokens, ...golden.sampling }));
    const { reports } = await engine.runs([`${SAMPLE}/${golden.model}`], device, options);
    expect(reports.map((r) => r.ids)).toEqual(golden.runs.map((r) => r.ids));
    expect(reports.map((r) => r.ids.length).reduce((a, b) => a + b)).toBeGreaterThanOrEqual(200);
  });
}

test("a model of 1.2 GB loads with a wasm heap hardly larger than what the device holds", async ({ engine }) => {
  skipAloud(LARGE, "the 1.2 GB model, which takes minutes and as much disk; GLASSBOX_LARGE=1 runs it");
  test.setTimeout(1_200_000);
  const folder = mkdtempSync(join(tmpdir(), "glassbox-large-"));
  try {
    const file = join(folder, "synthetic-1.1b-q8_0.gguf");
    const program = "target/release/glassbox";
    if (!existsSync(program)) throw new Error(`${program} is missing: run \`cargo build --release\` first`);
    execFileSync(program, ["synth", "--size", "1.1b", "--quant", "Q8_0", "-o", file]);
    await engine.start();
    const { heap, reports: [report] } = await engine.runs([file], "cpu", [{ prompt: "Once", max_tokens: 1 }]);
    const held = report?.timing.memory ?? 0;
    const beyond = heap.after - heap.empty - held;
    const mb = (n: number) => `${(n / 1e6).toFixed(1)} MB`;
    console.log(`heap ${mb(heap.empty)} before, ${mb(heap.opened)} opened, ${mb(heap.loaded)} loaded, ${mb(heap.after)} after; the device holds ${mb(held)}; beyond it ${mb(beyond)}`);
    expect(held).toBeGreaterThan(1.1e9);
    // The CPU device's weights lie in the wasm heap, which never shrinks: so this is the peak of everything else.
    expect(beyond).toBeLessThan(300e6);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
