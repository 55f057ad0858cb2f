import type { ReaderCalls } from "../wire/calls.ts";
import { fault, FaultError } from "../wire/fault.ts";
import type { ReaderModel, ReaderWasm } from "./glassbox.ts";
import { type Engine, type Handlers, loader, serve } from "./pump.ts";
import { blobs } from "./remote.ts";

/** Says what files are. It holds at most one open model. */
class Reader implements Engine<keyof ReaderCalls> {
  private readonly wasm = loader<ReaderWasm>(() => import("../wasm/reader.js"));
  private model: ReaderModel | null = null;

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

  private opened(): ReaderModel {
    if (this.model === null) throw new FaultError(fault("caller", "No model is open"));
    return this.model;
  }
}

serve(new Reader());
