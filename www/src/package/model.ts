import type { CallName, Calls, GenerateOptions, MetaItem, NamedFile, SentFile } from "../wire/calls.ts";
import type { AskOptions } from "../wire/client.ts";
import type {
  BytesReport, ChatReport, CheckReport, DeviceReport, EmbedderReport, EmbedReport, GeneratedReport, ModelReport, PeekReport, ProgressReport, RunReport, TemplatesReport, TokensReport,
} from "../wire/report.ts";

/** What answers for one of the two modules: a worker in a browser, the module itself in Node.js. */
export interface Asker {
  ask<C extends CallName>(call: C, ask: Calls[C]["ask"], options?: AskOptions<C>): Promise<Calls[C]["tell"]>;
  /** Ends everything it does and frees what it holds. */
  close(): void;
}

/** How a platform opens files; `browser.ts` and `node.ts` have one each. */
export interface Platform {
  reader(): Asker;
  runner(): Asker;
  /** The files as they are handed to an engine, and what goes with them for good. */
  send(part: "reader" | "runner", files: NamedFile[]): { files: SentFile[]; transfer: Transferable[] };
  /** The model was closed: its files are read no more. */
  release(files: NamedFile[]): void;
}

/** Where a model computes. */
export interface LoadOptions {
  /** "auto" takes a GPU where there is one that is no software. */
  device?: "auto" | "gpu" | "cpu";
  /** The CPU's activations stay in f32. */
  exact?: boolean;
  onProgress?: (progress: ProgressReport) => void;
}

/** An open model: what its files are. Nothing beyond headers has been read. */
export class Model {
  /** Everything that the headers tell: kind, shape, tensors, metadata, findings, what can run it. */
  readonly report: ModelReport;
  private readonly platform: Platform;
  private readonly files: NamedFile[];
  private readonly reader: Asker;
  private running: Promise<Runner> | null = null;
  private closed = false;

  private constructor(platform: Platform, files: NamedFile[], reader: Asker, report: ModelReport) {
    this.platform = platform;
    this.files = files;
    this.reader = reader;
    this.report = report;
  }

  /** @internal Use `open`. */
  static async open(platform: Platform, files: NamedFile[], signal?: AbortSignal): Promise<Model> {
    const reader = platform.reader();
    const end = (): void => reader.close();
    signal?.addEventListener("abort", end, { once: true });
    try {
      const sent = platform.send("reader", files);
      const report = await reader.ask("open", { files: sent.files }, { transfer: sent.transfer });
      signal?.throwIfAborted();
      return new Model(platform, files, reader, report);
    } catch (error) {
      reader.close();
      platform.release(files);
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", end);
    }
  }

  /** Looks into tensors, vocabulary and template for what the headers cannot tell. Reads a bounded part of the weights. */
  check(): Promise<CheckReport> {
    return this.ask("check", {});
  }

  /** Items of an array in the metadata: `count` of them from number `start` on. */
  array(key: string, start: number, count: number): Promise<MetaItem[]> {
    return this.ask("array", { key, start, count });
  }

  /**
   * Rows of a tensor, decoded to numbers; its last dimension is a row.
   * @param tensor its name, or its number in `report.tensors`
   */
  rows(tensor: string | number, first: number, count: number, options: { stats?: boolean } = {}): Promise<PeekReport> {
    const number = typeof tensor === "number" ? tensor : this.report.tensors.findIndex((t) => t.name === tensor);
    if (number < 0 || number >= this.report.tensors.length) return Promise.reject(new RangeError(`the model has no tensor ${JSON.stringify(tensor)}`));
    return this.ask("peek", { tensor: number, firstRow: first, rows: count, stats: options.stats ?? false });
  }

  /** Bytes of one of its files as they are; fewer where it ends. */
  bytes(file: string, start: number, count: number): Promise<BytesReport> {
    return this.ask("bytes", { file, start, count });
  }

  /** What tokenizes and computes: a second, larger module, fetched with the first call. */
  runner(): Promise<Runner> {
    if (this.closed) return Promise.reject(new Error("the model is closed"));
    this.running ??= Runner.open(this.platform, this.files).catch((error: unknown) => {
      this.running = null;
      throw error;
    });
    return this.running;
  }

  /** Frees all it holds, on the device too. Calls that still run are rejected. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.reader.close();
    void this.running?.then((runner) => runner.close(), () => {});
    this.platform.release(this.files);
  }

  private ask<C extends CallName>(call: C, ask: Calls[C]["ask"]): Promise<Calls[C]["tell"]> {
    return this.closed ? Promise.reject(new Error("the model is closed")) : this.reader.ask(call, ask);
  }
}

/** Generated tokens one by one, and the whole once it has ended. Leaving the loop stops the generation. */
export interface Generation extends AsyncIterable<GeneratedReport> {
  /** Ids, text, why it ended, times. */
  readonly finished: Promise<RunReport>;
  /** Ends it; `finished` then tells what there is. */
  stop(): void;
}

/** A model's tokenizer, template and engine. */
export class Runner {
  private readonly asker: Asker;

  private constructor(asker: Asker) {
    this.asker = asker;
  }

  /** @internal Use `Model.runner`. */
  static async open(platform: Platform, files: NamedFile[]): Promise<Runner> {
    const asker = platform.runner();
    try {
      const sent = platform.send("runner", files);
      await asker.ask("openRunner", { files: sent.files }, { transfer: sent.transfer });
    } catch (error) {
      asker.close();
      throw error;
    }
    return new Runner(asker);
  }

  /**
   * Splits a text: ids, pieces with the bytes that each covers, counts.
   * @param options `addSpecial` (true): the tokenizer's own special tokens around the text; `parseSpecial` (false): special tokens written in the text count as such
   */
  tokenize(text: string, options: { addSpecial?: boolean; parseSpecial?: boolean } = {}): Promise<TokensReport> {
    return this.asker.ask("tokenize", { text, addSpecial: options.addSpecial ?? true, parseSpecial: options.parseSpecial ?? false });
  }

  /** All ids of the text that was tokenized last; the report itself holds the first ones. */
  ids(): Promise<number[]> {
    return this.asker.ask("ids", {});
  }

  /** The model's chat templates. */
  templates(): Promise<TemplatesReport> {
    return this.asker.ask("templates", {});
  }

  /**
   * A conversation as the prompt that the model was trained on.
   * @param conversation messages, tools, further variables of the template
   * @param template a template's name; null takes the default
   */
  chat(conversation: { messages: unknown[]; tools?: unknown[]; add_generation_prompt?: boolean; [variable: string]: unknown }, template: string | null = null): Promise<ChatReport> {
    return this.asker.ask("chat", { template, conversation: JSON.stringify(conversation) });
  }

  /** Puts the weights on a device; `generate` needs it. */
  load(options: LoadOptions = {}): Promise<DeviceReport> {
    return this.asker.ask("load", { device: options.device ?? "auto", tier: "", exact: options.exact ?? false }, onPiece(options.onProgress));
  }

  /** Continues a prompt. What is not given: 200 tokens, temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, seed 1. */
  generate(options: { prompt: string } & Partial<GenerateOptions>): Generation {
    const pieces = new Pieces<GeneratedReport>();
    const stop = new AbortController();
    const ask: GenerateOptions = {
      add_special: true, max_tokens: 200, temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, seed: 1, alternatives: false, ...options,
    };
    const finished = this.asker.ask("generate", ask, { onPiece: (piece) => pieces.push(piece), signal: stop.signal });
    finished.then(() => pieces.end(), (error: unknown) => pieces.end(error));
    return { finished, stop: () => stop.abort(), [Symbol.asyncIterator]: () => pieces.iterate(() => stop.abort()) };
  }

  /** Puts an encoder's weights on a device; `embed` needs it. */
  loadEncoder(options: LoadOptions = {}): Promise<EmbedderReport> {
    return this.asker.ask("loadEncoder", { device: options.device ?? "auto", tier: "" }, onPiece(options.onProgress));
  }

  /** Vectors of texts, each behind the prompt that the model asks for, or another. */
  embed(texts: string[], prompt = ""): Promise<EmbedReport> {
    return this.asker.ask("embed", { texts, prompt });
  }

  /** @internal The model closes it. */
  close(): void {
    this.asker.close();
  }
}

function onPiece(listener: ((progress: ProgressReport) => void) | undefined): { onPiece?: (progress: ProgressReport) => void } {
  return listener === undefined ? {} : { onPiece: listener };
}

/** What arrives by calls, given out by awaiting. */
export class Pieces<T> {
  private readonly waiting: T[] = [];
  private wake: (() => void) | null = null;
  private ended: { error: unknown; failed: boolean } | null = null;

  push(piece: T): void {
    this.waiting.push(piece);
    this.wake?.();
  }

  end(...error: [unknown?]): void {
    this.ended ??= { error: error[0], failed: error.length > 0 };
    this.wake?.();
  }

  /** @param left is called where the loop ends before the pieces do. */
  async *iterate(left: () => void): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const piece = this.waiting.shift();
        if (piece !== undefined) yield piece;
        else if (this.ended !== null) break;
        else await new Promise<void>((resolve) => { this.wake = resolve; });
      }
    } finally {
      if (this.ended === null) left();
    }
    if (this.ended.failed) throw this.ended.error;
  }
}
