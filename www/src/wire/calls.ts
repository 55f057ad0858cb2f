import type {
  BenchReport, BlockReport, BytesReport, ChatReport, CheckReport, CompareReport, DeviceReport, DevicesReport, EmbedderReport, EmbedReport, ExplainReport, FaultReport, GeneratedReport, ModelReport, OpsReport, PeekReport, PiecesReport, ProgressReport, RunReport, TemplateDiffReport, TemplatesReport, TokensReport, VocabularyReport,
} from "./report.ts";
import type { ChannelsReport } from "../lib/values/channels.ts";
import type { Budget, HeatReport } from "../lib/values/heat.ts";
import type { NormReport } from "../lib/values/norms.ts";
import type { Plane, Window } from "../lib/values/plane.ts";
import type { SpectrumReport } from "../lib/values/svd.ts";
import type { RemoteFile } from "./remote.ts";

/** A file and the name under which the model knows it: its path inside the dropped folder. */
export interface NamedFile {
  name: string;
  file: Blob | RemoteFile;
}

/** The same on its way to the worker: of a file at an address go its length and the way to its bytes. */
export interface SentFile {
  name: string;
  file: Blob | { size: number; port: MessagePort };
}

export type DeviceChoice = "auto" | "gpu" | "cpu";
export type MetaItem = string | number | boolean | null;

export interface GenerateOptions {
  prompt: string;
  /** Whether the tokenizer puts its BOS before the prompt; a chat template writes its own. */
  add_special: boolean;
  max_tokens: number;
  temperature: number;
  top_k: number;
  top_p: number;
  min_p: number;
  seed: number;
  /** Read each token's probability and its alternatives back; costs a little speed. */
  alternatives: boolean;
  /** Texts that end the text and are no part of it. */
  stop?: string[];
  /** Token ids and what is added to their logits; all logits are then read back. */
  logit_bias?: [number, number][];
}

/** One line per question that the page may ask its reader: what a file is. All that the first view needs. */
export interface ReaderCalls {
  warm: { ask: Record<never, never>; tell: null; piece: never };
  open: { ask: { files: SentFile[] }; tell: ModelReport; piece: never };
  array: { ask: { key: string; start: number; count: number }; tell: MetaItem[]; piece: never };
  peek: { ask: { tensor: number; firstRow: number; rows: number; stats: boolean }; tell: PeekReport; piece: never };
  /** One block of a tensor, field by field. */
  block: { ask: { tensor: number; index: number }; tell: BlockReport; piece: never };
  /** A window of a plane as cells to be coloured, from as many values as the budget allows. */
  heat: { ask: { tensor: number; plane: Plane; window: Window; cells: { height: number; width: number }; budget: Budget }; tell: HeatReport; piece: never };
  /** Statistics by row, column and block over all of a tensor; pieces are the share that is read. */
  channels: { ask: { tensor: number; rows: number; rowLen: number }; tell: ChannelsReport; piece: number };
  /** Singular values of a window of at most some hundred rows and columns. */
  spectrum: { ask: { tensor: number; plane: Plane; window: Window }; tell: SpectrumReport; piece: never };
  /** The size of all values of many tensors, a piece for each; stopped, the rest is left out. */
  norms: { ask: { tensors: { tensor: number; elements: number }[] }; tell: null; piece: NormReport };
  check: { ask: Record<never, never>; tell: CheckReport; piece: never };
  /** Bytes of the file of this name as they are; fewer where it ends. */
  bytes: { ask: { file: string; start: number; count: number }; tell: BytesReport; piece: never };
}

/** The same for its runner, a larger module: tokenizing and generating. It opens a model when it is first asked about it. */
export interface RunnerCalls {
  warmRunner: { ask: Record<never, never>; tell: null; piece: never };
  openRunner: { ask: { files: SentFile[] }; tell: null; piece: never };
  closeRunner: { ask: Record<never, never>; tell: null; piece: never };
  tokenize: { ask: { text: string; addSpecial: boolean; parseSpecial: boolean }; tell: TokensReport; piece: never };
  /** Tokens of the text that was tokenized last: `count` of them from number `from` on. */
  pieces: { ask: { from: number; count: number }; tell: PiecesReport; piece: never };
  /** First and one past the last token that bytes [start, end) of that text touch. */
  touching: { ask: { start: number; end: number }; tell: [number, number]; piece: never };
  /** All ids of that text. */
  ids: { ask: Record<never, never>; tell: number[]; piece: never };
  /** How a text of at most 64 KiB becomes ids, step by step. */
  explain: { ask: { text: string; addSpecial: boolean; parseSpecial: boolean }; tell: ExplainReport; piece: never };
  /** `search` is text, "#" and an id, or "0x" and bytes; `kind` is a type of token, or empty for all. */
  vocabulary: { ask: { search: string; kind: string; sort: "id" | "length" | "score"; reverse: boolean; first: number; count: number }; tell: VocabularyReport; piece: never };
  /** Opens a second tokenizer; `compare` splits a text with both. */
  openOther: { ask: { files: SentFile[] }; tell: string; piece: never };
  compare: { ask: { text: string; addSpecial: boolean; parseSpecial: boolean }; tell: CompareReport; piece: never };
  templates: { ask: Record<never, never>; tell: TemplatesReport; piece: never };
  /** `conversation` is JSON: messages, tools, variables, add_generation_prompt, now. `template` null is the default. */
  chat: { ask: { template: string | null; conversation: string }; tell: ChatReport; piece: never };
  /** With the template named `right`, or where it is null with that of the files. */
  compareTemplates: { ask: { left: string; right: string | null; files: SentFile[]; conversation: string }; tell: TemplateDiffReport; piece: never };
  /** `tier` forces one ("core", "subgroup"); empty takes the best that passes its self-test. `exact` keeps the CPU's activations in f32. */
  load: { ask: { device: DeviceChoice; tier: string; exact: boolean }; tell: DeviceReport; piece: ProgressReport };
  generate: { ask: GenerateOptions; tell: RunReport; piece: GeneratedReport };
  /** The same for an encoder, which makes vectors of texts. */
  loadEncoder: { ask: { device: DeviceChoice; tier: string }; tell: EmbedderReport; piece: ProgressReport };
  /** Vectors of texts, each behind the prompt. */
  embed: { ask: { texts: string[]; prompt: string }; tell: EmbedReport; piece: never };
  devices: { ask: Record<never, never>; tell: DevicesReport; piece: never };
  bench: { ask: { prefill: number; decode: number; repetitions: number }; tell: BenchReport; piece: never };
  testOps: { ask: { device: string; tier: string; only: string }; tell: OpsReport; piece: never };
}

export interface Calls extends ReaderCalls, RunnerCalls {}
export type CallName = keyof Calls;

/** The two workers of the page, each with a wasm module of its own. */
export type Part = "reader" | "runner";

/** Which of them answers a question. */
export const PART: { [C in keyof ReaderCalls]: "reader" } & { [C in keyof RunnerCalls]: "runner" } = {
  warm: "reader", open: "reader", array: "reader", peek: "reader", block: "reader", heat: "reader", channels: "reader", spectrum: "reader", norms: "reader", check: "reader", bytes: "reader",
  warmRunner: "runner", openRunner: "runner", closeRunner: "runner", tokenize: "runner", pieces: "runner", touching: "runner", ids: "runner",
  explain: "runner", vocabulary: "runner", openOther: "runner", compare: "runner",
  templates: "runner", chat: "runner", compareTemplates: "runner", load: "runner", generate: "runner", loadEncoder: "runner", embed: "runner", devices: "runner", bench: "runner", testOps: "runner",
};

/** What the page sends. */
export type Question =
  | { [C in CallName]: { id: number; call: C; ask: Calls[C]["ask"] } }[CallName]
  | { id: number; call: "cancel" };

/**
 * What the worker sends. Reports travel as the JSON text that the wasm wrote: a string crosses threads far faster than
 * a graph of objects. `read` is the open model's byte counter.
 */
export type Reply =
  | { id: number; kind: "tell"; json: string; read: number | null }
  | { id: number; kind: "piece"; json: string; read: number | null }
  | { id: number; kind: "fault"; fault: FaultReport; read: number | null }
  | { id: number; kind: "trap"; fault: FaultReport };
