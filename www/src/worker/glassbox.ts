import type { BlobLike } from "./remote.ts";

// The contracts of the two wasm modules: crate/src/faces/wasm/. All reports are JSON texts; failures are fault reports in JSON.

export interface ReaderModel {
  report(): string;
  bytes_read(): number;
  array(key: string, start: number, count: number): Promise<string>;
  peek(tensor: number, firstRow: number, rows: number, stats: boolean): Promise<string>;
  values(tensor: number, first: number, count: number): Promise<Float32Array>;
  block(tensor: number, index: number): Promise<string>;
  bytes(file: string, start: number, count: number): Promise<string>;
  check(): Promise<string>;
  free(): void;
}

export interface ReaderWasm {
  default(): Promise<unknown>;
  Model: { open(names: string[], files: BlobLike[]): Promise<ReaderModel> };
}

export interface RunnerModel {
  bytes_read(): number;
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): string | Promise<string>;
  pieces(from: number, count: number): string;
  touching(start: number, end: number): string;
  ids(): string;
  explain(text: string, addSpecial: boolean, parseSpecial: boolean): Promise<string>;
  vocabulary(search: string, kind: string, sort: string, reverse: boolean, first: number, count: number): Promise<string>;
  open_other(names: string[], files: BlobLike[]): Promise<string>;
  compare(text: string, addSpecial: boolean, parseSpecial: boolean): Promise<string>;
  templates(): Promise<string>;
  chat_text(template: string | undefined, conversation: string): Promise<string>;
  compare_templates(left: string, right: string | undefined, conversation: string, names: string[], files: BlobLike[]): Promise<string>;
  load(device: string, tier: string, exact: boolean, progress: (json: string) => void): Promise<string>;
  generate(options: string, onToken: (json: string) => Promise<boolean> | boolean): Promise<string>;
  load_encoder(device: string, tier: string, progress: (json: string) => void): Promise<string>;
  embed(texts: string[], prompt: string): Promise<string>;
  bench(prefill: number, decode: number, repetitions: number): Promise<string>;
  free(): void;
}

export interface RunnerWasm {
  default(): Promise<unknown>;
  start(subgroups: boolean): void;
  devices(): Promise<string>;
  test_ops(device: string, tier: string, only: string): Promise<string>;
  Runner: { open(names: string[], files: BlobLike[]): Promise<RunnerModel> };
}
