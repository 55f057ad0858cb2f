import type { ReaderCalls } from "../wire/calls.ts";
import { fault, FaultError } from "../wire/fault.ts";
import type { ReaderModel, ReaderWasm } from "./glassbox.ts";
import type { Engine, Handlers } from "./pump.ts";
import { blobs } from "./remote.ts";

/** Says what files are. It holds at most one open model. */
export class Reader implements Engine<keyof ReaderCalls> {
  private readonly wasm: () => Promise<ReaderWasm>;
  private model: ReaderModel | null = null;

  /** @param wasm loads the module once and gives the same one every time. */
  constructor(wasm: () => Promise<ReaderWasm>) {
    this.wasm = wasm;
  }

  bytesRead(): number | null {
    return this.model?.bytes_read() ?? null;
  }

  readonly handlers: Handlers<keyof ReaderCalls> = {
    warm: async () => {
      await this.wasm();
      return "null";
    },
    open: async ({ files }) => {
      const { Model } = await this.wasm();
      // The old model stays open until the new one is: a failed open loses nothing.
      const opened = await Model.open(...blobs(files));
      this.model?.free();
      this.model = opened;
      return opened.report();
    },
    array: ({ key, start, count }) => this.opened().array(key, start, count),
    peek: ({ tensor, firstRow, rows, stats }) => this.opened().peek(tensor, firstRow, rows, stats),
    check: () => this.opened().check(),
    bytes: ({ file, start, count }) => this.opened().bytes(file, start, count),
  };

  /** Forgets the open model. */
  close(): void {
    this.model?.free();
    this.model = null;
  }

  private opened(): ReaderModel {
    if (this.model === null) throw new FaultError(fault("caller", "No model is open"));
    return this.model;
  }
}
