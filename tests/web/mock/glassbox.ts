/** A stand-in for both wasm modules with the contracts of worker/glassbox.ts. What it does is chosen by the opened file's name. */
import type { ReaderModel, RunnerModel } from "../../../www/src/worker/glassbox.ts";
import type { BlockReport, ChatReport, CheckReport, DeviceReport, EmbedReport, EmbedderReport, GeneratedReport, ModelReport, NoteReport, PeekReport, PieceReport, TokensReport } from "../../../www/src/wire/report.ts";
import { difference, lines, TEMPLATES, templates } from "./chat.ts";
import { comparison, explanation, vocabulary } from "./tokens.ts";
import { hostile, huge, llama, onnx, sharded } from "./reports.ts";

export default async function init(): Promise<void> {}
export function start(): void {}

const CPU: DeviceReport = { index: null, name: "CPU", backend: "CPU", driver: "", tier: null, detail: "wasm SIMD128, one thread.", software: false, limits: [], reason: "The only graphics adapter is a software one, which is slower than the CPU." };
const GPU: DeviceReport = { index: 0, name: "Imaginary RTX 9000", backend: "WebGPU", driver: "", tier: "subgroup", detail: "Subgroups of 32; kernels checked on this GPU: 14 of 14.", software: false, limits: [], reason: "Chosen because it is a real graphics device." };

export async function devices(): Promise<string> {
  return JSON.stringify({ devices: [GPU, CPU] });
}
export async function test_ops(): Promise<string> {
  return JSON.stringify({ device: CPU, ops: [], ok: true });
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const faultText = (blame: string, what: string, file: string, at: number | null, because: string[] = []) => JSON.stringify({ blame, what, file, at, because });
const STORY = ", there was a little fox named Lily. She loved to play in the green forest. One day, she saw a big red ball. She wanted to play with it, but it was too high. Lily asked her friend the owl for help. The owl flew up and gave her the ball. They played until the sun went down, and they were happy.";

const hex = (b: Iterable<number>) => [...b].map((x) => x.toString(16).padStart(2, "0")).join("");

/** A text in pieces: words of at most five letters, and bytes of what is beyond Latin. */
function split(text: string, special: boolean): PieceReport[] {
  const encoder = new TextEncoder();
  const pieces: PieceReport[] = [];
  let at = 0;
  for (const found of text.matchAll(special ? /<\|\w+\|>| ?\p{L}{1,5}| ?\p{N}| ?(?!<\|)[^\s\p{L}\p{N}]|\s|</gu : / ?\p{L}{1,5}| ?\p{N}| ?[^\s\p{L}\p{N}]|\s/gu)) {
    const bytes = encoder.encode(found[0]);
    const control = special && found[0].startsWith("<|") && found[0].endsWith("|>");
    const wide = !control && bytes.length > found[0].length + 1 && found[0].length <= 2;
    if (wide) for (const [i, b] of [...bytes].entries()) pieces.push({ id: 3 + b, text: `<0x${hex([b]).toUpperCase()}>`, start: at + i, end: at + i + 1, kind: "byte", hex: hex([b]), added: false, part_of: "character" });
    else pieces.push({ id: control ? 1 : [...found[0]].reduce((n, c) => (n * 31 + (c.codePointAt(0) ?? 0)) % 49_152, 7), text: found[0], start: at, end: at + bytes.length, kind: control ? "control" : "normal", hex: hex(bytes), added: false, part_of: "" });
    at += bytes.length;
  }
  return pieces;
}

/** What both modules open, and how. */
class Opened {
  protected read = 0;
  protected readonly name: string;
  protected readonly about: ModelReport;

  constructor(name: string, about: ModelReport) {
    this.name = name;
    this.about = about;
    this.read = about.bytes_read;
  }

  static async about(names: string[], files: Blob[]): Promise<[string, ModelReport]> {
    const name = names[0] ?? "";
    const size = files.reduce((n, f) => n + f.size, 0);
    if (name.startsWith("slow")) await wait(600_000);
    if (name.startsWith("trap")) throw new WebAssembly.RuntimeError("unreachable");
    if (name.endsWith(".txt")) throw faultText("unsupported", "This is none of the formats that Glassbox reads: it begins with 48 65 6c 6c, expected GGUF, a safetensors header length or an ONNX model", name, 0);
    if (name.startsWith("broken")) throw faultText("file", "The header says 4,294,967,295 metadata entries, but the file has 200,000 bytes", name, 16, ["a count was larger than the bytes that could hold it"]);
    const about = name.startsWith("huge") ? huge(name) : name.startsWith("hostile") ? hostile(name) : name.startsWith("part-") ? sharded(names) : name.endsWith(".onnx") ? onnx(name, size) : llama(name, size);
    return [name, about];
  }

  bytes_read(): number { return this.read; }
  free(): void {}
}

/** Numbers that look normal, made once: sums of a few sines. */
const NOISE = Float32Array.from({ length: 4096 }, (_, i) => (Math.sin(i * 12.9898) + Math.sin(i * 78.233) + Math.sin(i * 37.719)) * 0.04);

/** One value lies far from the others, and one column is stronger than the others. */
function valueOf(tensor: number, r: number, c: number): number {
  const noise = NOISE[(r * 977 + c * 131 + tensor * 7) & 4095] ?? 0;
  return r === 7 && c === 11 ? 1.5 : c === 100 ? noise * 4 : noise;
}

export class Model extends Opened implements ReaderModel {
  static async open(names: string[], files: Blob[]): Promise<Model> {
    return new Model(...(await Opened.about(names, files)));
  }

  report(): string { return JSON.stringify(this.about); }

  async array(key: string, start: number, count: number): Promise<string> {
    this.read += count * 9;
    return JSON.stringify(Array.from({ length: count }, (_, i) => (key.endsWith("tokens") ? `token${start + i}` : 1)));
  }

  /** Bytes that depend on their place alone, with hidden characters at 64. */
  async bytes(file: string, start: number, count: number): Promise<string> {
    const end = Math.min(this.about.files.find((f) => f.name === file)?.bytes ?? 0, start + count);
    this.read += Math.max(0, end - start);
    const fixed = new Uint8Array([0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, 0xe2, 0x80, 0xae, 0x0a, 0x1b, 0x5b, 0x33, 0x31]);
    const hex = Array.from({ length: Math.max(0, end - start) }, (_, i) => (fixed[start + i] ?? ((start + i) * 37 + ((start + i) >> 8)) & 255).toString(16).padStart(2, "0")).join(" ");
    return JSON.stringify({ file, bytes_total: this.about.files[0]?.bytes ?? 0, start, hex });
  }

  async check(): Promise<string> {
    const errors = this.about.notes.filter((n) => n.severity === "error").length;
    const found: NoteReport = { code: "padding", severity: "warning", what: "Padding of 28 bytes from byte 4,096 is not zero", file: this.name, at: 4_100, why: "Writers pad with zeros.", advice: "Compare with the original." };
    const answer: CheckReport = {
      format: "GGUF", summary: this.about.summary, files: 1, errors, warnings: 1, findings: [...this.about.notes, found],
      refusals: errors > 0 ? [{ program: "llama.cpp", because: "Tensor blk.0.ffn_down.weight overlaps", more: 0 }] : [], checks: ["layers", "fillers", "values"], looked_at: ["512 values of 2 of 3 tensors"], bytes_read: this.read,
    };
    return JSON.stringify(answer);
  }

  async values(tensor: number, first: number, count: number): Promise<Float32Array> {
    const t = this.about.tensors[tensor];
    if (t === undefined || t.place !== "here") throw faultText("file", "The tensor's bytes are not in this file", this.name, null);
    if (this.name.startsWith("large")) await wait(12);
    const row = t.shape.at(-1) ?? 1;
    const loud = t.name === "blk.3.attn_k.weight" ? 8 : 1;
    this.read = Math.min(this.about.bytes_total, this.read + count);
    const values = new Float32Array(count);
    let [r, c] = [Math.floor(first / row), first % row];
    for (let i = 0; i < count; i++) {
      values[i] = loud * valueOf(tensor, r, c);
      c += 1;
      if (c === row) [r, c] = [r + 1, 0];
    }
    return values;
  }

  /** A block of Q8_0, or of Q4_K; plain values have no fields. */
  async block(tensor: number, index: number): Promise<string> {
    const t = this.about.tensors[tensor];
    if (t === undefined || t.place !== "here") throw faultText("file", "The tensor's bytes are not in this file", this.name, null);
    const elements = t.shape.reduce((n, d) => n * d, 1);
    const [len, size] = t.encoding === "Q4_K" ? [256, 144] : t.encoding === "F32" ? [1, 4] : [32, 34];
    const bytes = Array.from({ length: size }, (_, i) => (i * 37 + index) & 255);
    const field = (name: string, role: string, at: number, n: number, stored: string | null, numbers: number[], about: string) => ({ name, role, at, bytes: n, stored, numbers, about });
    const d = field("d", "scale", 0, 2, "f16", [0.0123], "scale of the block");
    const answer: BlockReport = {
      encoding: t.encoding, index, count: Math.ceil(elements / len), block_len: len, at: (t.offset ?? 0) + index * size, hex: bytes.map((b) => b.toString(16).padStart(2, "0")).join(" "),
      values: [...(await this.values(tensor, index * len, len))], formula: len === 1 ? null : len === 256 ? "w = d * scale[g] * q - dmin * min[g]" : "w = d * q",
      fields: len === 1 ? [] : len === 256 ? [
        d, field("dmin", "minimum", 2, 2, "f16", [0.004], "scale of the groups' minima"),
        field("scales", "group scales", 4, 12, "6 bits", Array.from({ length: 16 }, (_, i) => i * 3), "eight scales, then eight minima, of groups of 32"),
        field("qs", "weights", 16, 128, null, [], "4 bits each: 32 bytes hold two groups of 32"),
      ] : [d, field("qs", "weights", 2, 32, "i8", bytes.slice(2).map((b) => (b << 24) >> 24), "a signed byte for each weight")],
    };
    return JSON.stringify(answer);
  }

  async peek(tensor: number, first: number, rows: number, stats: boolean): Promise<string> {
    if (this.name.startsWith("crash")) throw new WebAssembly.RuntimeError("memory access out of bounds");
    const t = this.about.tensors[tensor];
    if (t === undefined || t.place !== "here") throw faultText("file", "The tensor's bytes are not in this file", this.name, null);
    if (tensor === 5 && this.name.startsWith("hostile")) throw faultText("file", "The tensor ends at byte 105,454,432, but the file has 200,000 bytes", this.name, 200_000);
    const row = t.shape.at(-1) ?? 1;
    const total = t.shape.slice(0, -1).reduce((a, b) => a * b, 1);
    const value = (r: number, c: number) => valueOf(tensor, r, c);
    const bytes = stats ? (t.bytes ?? 0) : rows * row;
    this.read = Math.min(this.about.bytes_total, this.read + bytes);
    const bins = Array.from({ length: 64 }, (_, i) => Math.round(4000 * Math.exp(-(((i - 32) / 10) ** 2) / 2)));
    const answer: PeekReport = {
      name: t.name, shape: t.shape, encoding: t.encoding, about: "", file: this.name, offset: t.offset ?? 0, bytes: t.bytes ?? 0, first_row: first, row_len: row, rows: total,
      values: Array.from({ length: Math.min(rows, total - first) }, (_, r) => Array.from({ length: row }, (_, c) => (r === 1 && c === 2 ? null : value(first + r, c)))),
      block_hex: Array.from({ length: t.encoding === "Q6_K" ? 210 : 34 }, (_, i) => ((i * 37 + 11) & 255).toString(16).padStart(2, "0")).join(""),
      stats: stats ? { count: row * total, min: -0.412, max: 0.398, mean: 0.00031, std: 0.0521, zeros: 12, nans: 0, infinities: 0, histogram: bins } : null,
      bytes_read: bytes,
    };
    return JSON.stringify(answer);
  }
}

export class Runner extends Opened implements RunnerModel {
  static async open(names: string[], files: Blob[]): Promise<Runner> {
    return new Runner(...(await Opened.about(names, files)));
  }

  private pieces_: PieceReport[] = [];

  pieces(from: number, count: number): string { return JSON.stringify({ first: from, pieces: this.pieces_.slice(from, from + count) }); }
  ids(): string { return JSON.stringify(this.pieces_.map((p) => p.id)); }
  touching(start: number, end: number): string {
    const hits = (p: PieceReport) => p.end > p.start && (start === end ? p.start <= start && start < p.end : p.start < end && p.end > start);
    const first = this.pieces_.findIndex(hits);
    return JSON.stringify(first < 0 ? [0, 0] : [first, this.pieces_.findLastIndex(hits) + 1]);
  }

  async explain(text: string, addSpecial: boolean): Promise<string> { return JSON.stringify(explanation(text, split(text, false), addSpecial)); }
  async vocabulary(search: string, kind: string, sort: string, reverse: boolean, first: number, count: number): Promise<string> { return JSON.stringify(vocabulary(search, kind, sort, reverse, first, count)); }
  async open_other(names: string[]): Promise<string> {
    if (names.some((n) => n.endsWith(".txt") && n !== "vocab.txt")) throw faultText("unsupported", "No tokenizer is in these files", names[0] ?? "", null);
    return JSON.stringify("WordPiece (vocab.txt), 30,522 tokens");
  }
  async compare(text: string): Promise<string> { return JSON.stringify(comparison(text, split(text, false))); }

  async templates(): Promise<string> { return JSON.stringify(templates(this.name)); }

  async chat_text(name: string | undefined, conversation: string): Promise<string> {
    const asked = JSON.parse(conversation) as { messages: { role: string; content: string }[]; tools: unknown; variables: Record<string, unknown>; add_generation_prompt: boolean };
    const all = templates(this.name).templates;
    const template = all.find((t) => t.name === name) ?? all[0];
    if (template === undefined) throw faultText("caller", "no chat template", this.name, null);
    const answer: ChatReport = { template: template.name, from: template.from, templates: all.map((t) => t.name), text: "", ids: null, pieces: null, failure: null, notes: [] };
    const unknown = asked.messages.find((m) => !["system", "user", "assistant", "tool"].includes(m.role));
    if (unknown !== undefined) {
      answer.failure = { line: 3, fault: { blame: "file", what: `chat template "${template.name}" (${template.from}): line 3: the template says: Unknown role ${unknown.role}`, file: null, at: null, because: [] } };
      return JSON.stringify(answer);
    }
    answer.text = asked.messages.map((m) => `<|im_start|>${m.role}\n${m.content}<|im_end|>\n`).join("") + (template.name === "tool_use" ? `${JSON.stringify(asked.tools)}\n` : "") + (asked.add_generation_prompt ? "<|im_start|>assistant\n" : "");
    answer.pieces = split(answer.text, true);
    answer.ids = answer.pieces.map((p) => p.id);
    return JSON.stringify(answer);
  }

  async compare_templates(left: string, right: string | undefined, _conversation: string, names: string[]): Promise<string> {
    const of = (name: string) => TEMPLATES.find((t) => t.name === name);
    const [a, b] = [of(left), right === undefined ? { name: "default", from: names[0] ?? "", source: "{{ messages }}" } : of(right)];
    if (a === undefined || b === undefined) throw faultText("caller", "no such template", this.name, null);
    return JSON.stringify({ left: a.name, left_from: a.from, right: b.name, right_from: b.from, source: difference(lines(a.source), lines(b.source)), rendered: difference(["a\n", "b\n"], ["a\n", "c\n"]), left_failure: null, right_failure: null });
  }

  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): string {
    const encoder = new TextEncoder();
    const pieces = split(text, parseSpecial);
    if (addSpecial) pieces.unshift({ id: 1, text: "<|im_start|>", start: 0, end: 0, kind: "control", hex: "", added: true, part_of: "" });
    this.pieces_ = pieces;
    const head = pieces.slice(0, 2048);
    const answer: TokensReport = { tokenizer: "Byte-level BPE (gpt2, pre smollm), 49,152 tokens", count: pieces.length, ids: head.map((p) => p.id), pieces: head, characters: [...text].length, graphemes: [...text].length, specials: pieces.filter((p) => p.kind === "control").length, bytes: encoder.encode(text).length, roundtrips: true, notes: [] };
    return JSON.stringify(answer);
  }

  async load(device: string, _tier: string, _exact: boolean, progress: (json: string) => void): Promise<string> {
    if (device === "gpu" && this.name.startsWith("nogpu")) throw faultText("device", "This browser offers no WebGPU adapter", this.name, null, ["navigator.gpu.requestAdapter() gave null"]);
    const total = this.about.bytes_total;
    const steps = this.name.startsWith("loading") ? 100_000 : 8;
    for (let i = 1; i <= steps; i++) {
      progress(JSON.stringify({ what: "Loading weights", done: Math.round((total * i) / steps), total }));
      await wait(20);
    }
    this.read = total;
    return JSON.stringify(device === "cpu" ? CPU : device === "gpu" ? GPU : CPU);
  }

  async generate(optionsJson: string, onToken: (json: string) => Promise<boolean> | boolean): Promise<string> {
    const options = JSON.parse(optionsJson) as { prompt: string; max_tokens: number };
    const words = STORY.match(/ ?[^\s]+/g) ?? [];
    const ids: number[] = [];
    let text = "";
    let stop = "limit";
    for (let i = 0; i < Math.min(options.max_tokens, 600); i++) {
      await wait(this.name.startsWith("fast") ? 0 : 12);
      const word = words[i % words.length] ?? "";
      const probability = 0.35 + 0.6 * Math.abs(Math.sin(i * 1.7));
      const token: GeneratedReport = {
        id: i, text: word, probability,
        alternatives: [[i, word, probability], [i + 1000, " red", (1 - probability) * 0.5], [i + 2000, " small", (1 - probability) * 0.2], [i + 3000, "\n", (1 - probability) * 0.1], [i + 4000, " Lily", (1 - probability) * 0.05]].map(([id, t, p]) => ({ id: id as number, text: t as string, probability: p as number })),
      };
      ids.push(i);
      text += word;
      if (await onToken(JSON.stringify(token))) { stop = "stopped"; break; }
    }
    return JSON.stringify({ prompt_ids: [1, 2, 3, 4], ids, text, stop, device: CPU, notes: [], timing: { load_s: 0.41, prefill_tokens: 4, prefill_s: 0.021, decode_tokens: ids.length - 1, decode_s: ids.length * 0.012, dispatches_per_token: 0, memory: 149_000_000 } });
  }

  async load_encoder(device: string, tier: string, progress: (json: string) => void): Promise<string> {
    const loaded = JSON.parse(await this.load(device, tier, false, progress)) as DeviceReport;
    const answer: EmbedderReport = { device: loaded, prompts: [{ name: "query", text: "query: " }], default_prompt: null, most: 512 };
    return JSON.stringify(answer);
  }

  /** Counts of letters, scaled to length 1: alike texts have alike vectors. */
  async embed(texts: string[], prompt: string): Promise<string> {
    const vector = (text: string) => {
      const counts = [..."abcdefghijklmnopqrstuvwxyz"].map((letter) => text.toLowerCase().split(letter).length - 1);
      const length = Math.hypot(...counts) || 1;
      return counts.map((n) => n / length);
    };
    const answer: EmbedReport = { embeddings: texts.map(vector), tokens: texts.map((t) => split(t, false).length), pooling: "mean", normalized: true, prompt, device: CPU, notes: [] };
    return JSON.stringify(answer);
  }

  async bench(): Promise<string> { throw faultText("unsupported", "The stand-in has no speed", this.name, null); }
}
