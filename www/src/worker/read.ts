import type { ReaderCalls } from "../wire/calls.ts";
import { fault, FaultError } from "../wire/fault.ts";
import type { ReaderModel, ReaderWasm } from "./glassbox.ts";
import type * as measuring from "./measures.ts";
import type { Engine, Handlers } from "./pump.ts";
import { blobs } from "./remote.ts";

type Measures = typeof measuring;

/** Says what files are. It holds at most one open model. */
export class Reader implements Engine<keyof ReaderCalls> {
  private readonly wasm: () => Promise<ReaderWasm>;
  private model: ReaderModel | null = null;
  /** Ends what is still being measured of the model when another one takes its place. */
  private closing = new AbortController();
  private readonly busy = new Set<Promise<unknown>>();

  private readonly measures: () => Promise<Measures>;

  /**
   * @param wasm loads the module once and gives the same one every time.
   * @param measures loads what draws tensors, which the first view does not wait for; the package for Node.js has none.
   */
  constructor(wasm: () => Promise<ReaderWasm>, measures: () => Promise<Measures> = none) {
    this.wasm = wasm;
    this.measures = measures;
  }

  bytesRead(): number | null {
    return this.model?.bytes_read() ?? null;
  }

  readonly handlers: Handlers<keyof ReaderCalls> = {
    warm: async () => {
      await this.wasm();
      // Once the page is warm it need not ask its host for anything; where this fails, the first question tries again.
      await this.measures().catch(() => {});
      return "null";
    },
    open: async ({ files }) => {
      const { Model } = await this.wasm();
      // The old model stays open until the new one is: a failed open loses nothing.
      const opened = await Model.open(...blobs(files));
      this.close();
      this.model = opened;
      return opened.report();
    },
    array: ({ key, start, count }) => this.use((model) => model.array(key, start, count)),
    peek: ({ tensor, firstRow, rows, stats }) => this.use((model) => model.peek(tensor, firstRow, rows, stats)),
    block: ({ tensor, index }) => this.use((model) => model.block(tensor, index)),
    heat: (ask) => this.use(async (model) => (await this.measures()).heatOf(model, ask)),
    channels: (ask, emit, stop) => this.use(async (model, closing) => (await this.measures()).channelsOf(model, ask, emit, AbortSignal.any([stop, closing]))),
    spectrum: (ask) => this.use(async (model) => (await this.measures()).spectrumOf(model, ask)),
    norms: (ask, emit, stop) => this.use(async (model, closing) => (await this.measures()).normsOf(model, ask, emit, AbortSignal.any([stop, closing]))),
    check: () => this.use((model) => model.check()),
    bytes: ({ file, start, count }) => this.use((model) => model.bytes(file, start, count)),
  };

  /** Forgets the open model; its memory is given back once nobody asks it any more. */
  close(): void {
    const old = this.model;
    this.model = null;
    this.closing.abort();
    this.closing = new AbortController();
    void Promise.allSettled([...this.busy]).then(() => old?.free());
  }

  /** Asks the open model, which stays until it has answered. */
  private async use(ask: (model: ReaderModel, closing: AbortSignal) => Promise<string>): Promise<string> {
    if (this.model === null) throw new FaultError(fault("caller", "No model is open"));
    const answer = ask(this.model, this.closing.signal);
    this.busy.add(answer);
    try {
      return await answer;
    } finally {
      this.busy.delete(answer);
    }
  }
}

function none(): Promise<never> {
  return Promise.reject(new FaultError(fault("unsupported", "Pictures of tensors are made for the page alone")));
}
