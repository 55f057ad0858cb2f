import type { CallName, Calls } from "../wire/calls.ts";
import { fault, FaultError } from "../wire/fault.ts";
import type { Wasm, WasmModel } from "./glassbox.ts";
import { RemoteBlob } from "./remote.ts";

/** Answers are JSON texts, passed on as the wasm wrote them. */
type Handlers = {
  [C in CallName]: (ask: Calls[C]["ask"], emit: (json: string) => void, stop: AbortSignal) => Promise<string>;
};

/** Longest stretch of generation without letting messages (Stop) in, in milliseconds. */
const TURN = 30;

/** One handler per call. The worker holds at most one open model. */
export class Engine {
  private readonly boot: () => Promise<{ wasm: Wasm; subgroups: boolean }>;
  private booted: Promise<{ wasm: Wasm; subgroups: boolean }> | null = null;
  private model: WasmModel | null = null;

  constructor(boot: () => Promise<{ wasm: Wasm; subgroups: boolean }>) {
    this.boot = boot;
  }

  bytesRead(): number | null {
    return this.model?.bytes_read() ?? null;
  }

  readonly handlers: Handlers = {
    warm: async () => JSON.stringify({ subgroups: (await this.start()).subgroups }),
    open: async ({ files }) => {
      const { wasm } = await this.start();
      // The old model stays open until the new one is: a failed open loses nothing.
      const opened = await wasm.Model.open(files.map((f) => f.name), files.map(({ file }) => (file instanceof Blob ? file : new RemoteBlob(file.size, file.port))));
      this.model?.free();
      this.model = opened;
      return opened.report();
    },
    close: async () => {
      this.model?.free();
      this.model = null;
      return "null";
    },
    array: ({ key, start, count }) => this.opened().array(key, start, count),
    peek: ({ tensor, firstRow, rows, stats }) => this.opened().peek(tensor, firstRow, rows, stats),
    bytes: ({ file, start, count }) => this.opened().bytes(file, start, count),
    tokenize: async ({ text, addSpecial, parseSpecial }) => this.opened().tokenize(text, addSpecial, parseSpecial),
    load: ({ device, tier }, emit) => this.opened().load(device, tier, emit),
    generate: (ask, emit, stop) => this.generate(ask, emit, stop),
    devices: async () => (await this.start()).wasm.devices(),
    bench: ({ prefill, decode, repetitions }) => this.opened().bench(prefill, decode, repetitions),
    testOps: async ({ device, tier, only }) => (await this.start()).wasm.test_ops(device, tier, only),
  };

  private generate(ask: Calls["generate"]["ask"], emit: (json: string) => void, stop: AbortSignal): Promise<string> {
    let turn = performance.now();
    return this.opened().generate(JSON.stringify(ask), async (json) => {
      emit(json);
      if (performance.now() - turn >= TURN) {
        await macrotask();
        turn = performance.now();
      }
      return stop.aborted;
    });
  }

  private start(): Promise<{ wasm: Wasm; subgroups: boolean }> {
    // A failed start is forgotten, so that the next question tries again.
    this.booted ??= this.boot().catch((error: unknown) => {
      this.booted = null;
      throw error;
    });
    return this.booted;
  }

  private opened(): WasmModel {
    if (this.model === null) throw new FaultError(fault("caller", "No model is open"));
    return this.model;
  }
}

/** Lets waiting messages in; unlike a timer it is not clamped to 4 ms. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}
