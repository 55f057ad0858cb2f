import type { Calls, RunnerCalls } from "../wire/calls.ts";
import { fault, FaultError } from "../wire/fault.ts";
import type { RunnerModel, RunnerWasm } from "./glassbox.ts";
import { macrotask } from "./macrotask.ts";
import type { Engine, Handlers } from "./pump.ts";
import { blobs } from "./remote.ts";

/** Longest stretch of generation without letting messages (Stop) in, in milliseconds. */
const TURN = 30;

/** Tokenizes and generates. It holds at most one open model. */
export class Runner implements Engine<keyof RunnerCalls> {
  private readonly wasm: () => Promise<RunnerWasm>;
  private model: RunnerModel | null = null;

  /** @param wasm loads the module once and gives the same one every time. */
  constructor(wasm: () => Promise<RunnerWasm>) {
    this.wasm = wasm;
  }

  bytesRead(): number | null {
    return this.model?.bytes_read() ?? null;
  }

  readonly handlers: Handlers<keyof RunnerCalls> = {
    warmRunner: async () => {
      await this.wasm();
      return "null";
    },
    openRunner: async ({ files }) => {
      const { Runner } = await this.wasm();
      this.close();
      this.model = await Runner.open(...blobs(files));
      return "null";
    },
    closeRunner: async () => {
      this.close();
      return "null";
    },
    tokenize: async ({ text, addSpecial, parseSpecial }) => this.opened().tokenize(text, addSpecial, parseSpecial),
    pieces: async ({ from, count }) => this.opened().pieces(from, count),
    touching: async ({ start, end }) => this.opened().touching(start, end),
    ids: async () => this.opened().ids(),
    explain: ({ text, addSpecial, parseSpecial }) => this.opened().explain(text, addSpecial, parseSpecial),
    vocabulary: ({ search, kind, sort, reverse, first, count }) => this.opened().vocabulary(search, kind, sort, reverse, first, count),
    openOther: ({ files }) => this.opened().open_other(...blobs(files)),
    compare: ({ text, addSpecial, parseSpecial }) => this.opened().compare(text, addSpecial, parseSpecial),
    templates: () => this.opened().templates(),
    chat: ({ template, conversation }) => this.opened().chat_text(template ?? undefined, conversation),
    compareTemplates: ({ left, right, files, conversation }) => this.opened().compare_templates(left, right ?? undefined, conversation, ...blobs(files)),
    load: ({ device, tier, exact }, emit) => this.opened().load(device, tier, exact, emit),
    generate: (ask, emit, stop) => this.generate(ask, emit, stop),
    loadEncoder: ({ device, tier }, emit) => this.opened().load_encoder(device, tier, emit),
    embed: ({ texts, prompt }) => this.opened().embed(texts, prompt),
    devices: async () => (await this.wasm()).devices(),
    bench: ({ prefill, decode, repetitions }) => this.opened().bench(prefill, decode, repetitions),
    testOps: async ({ device, tier, only }) => (await this.wasm()).test_ops(device, tier, only),
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

  /** Gives the model's memory back, the device's too. */
  close(): void {
    this.model?.free();
    this.model = null;
  }

  private opened(): RunnerModel {
    if (this.model === null) throw new FaultError(fault("caller", "No model is open"));
    return this.model;
  }
}
