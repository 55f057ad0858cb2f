import type { BlobLike } from "./remote.ts";

/** The wasm module's contract: crate/src/faces/wasm.rs. All reports are JSON texts; failures are fault reports in JSON. */
export interface WasmModel {
  report(): string;
  bytes_read(): number;
  array(key: string, start: number, count: number): Promise<string>;
  peek(tensor: number, firstRow: number, rows: number, stats: boolean): Promise<string>;
  bytes(file: string, start: number, count: number): Promise<string>;
  tokenize(text: string, addSpecial: boolean, parseSpecial: boolean): string | Promise<string>;
  load(device: string, tier: string, progress: (json: string) => void): Promise<string>;
  generate(options: string, onToken: (json: string) => Promise<boolean> | boolean): Promise<string>;
  bench(prefill: number, decode: number, repetitions: number): Promise<string>;
  free(): void;
}

export interface Wasm {
  default(): Promise<unknown>;
  start(subgroups: boolean): void;
  devices(): Promise<string>;
  test_ops(device: string, tier: string, only: string): Promise<string>;
  Model: { open(names: string[], files: BlobLike[]): Promise<WasmModel> };
}
