/// <reference lib="webworker" />
import type { CallName, Calls, Question, Reply } from "../wire/calls.ts";
import { fault, FaultError, faultOf } from "../wire/fault.ts";
import { seal } from "./seal.ts";

declare const self: DedicatedWorkerGlobalScope;

/** One handler per call of a part. Answers are JSON texts, passed on as the wasm wrote them. */
export type Handlers<C extends CallName> = {
  [K in C]: (ask: Calls[K]["ask"], emit: (json: string) => void, stop: AbortSignal) => Promise<string>;
};

/** What a worker does for the page. */
export interface Engine<C extends CallName> {
  readonly handlers: Handlers<C>;
  /** The open model's byte counter; null where none is open. */
  bytesRead(): number | null;
}

/** Loads a wasm module, once it is needed; afterwards nothing in this worker can reach the network any more. */
export function loader<W extends { default(): Promise<unknown> }>(load: () => Promise<unknown>): () => Promise<W> {
  let loading: Promise<W> | null = null;
  const start = async (): Promise<W> => {
    let wasm: W;
    try {
      wasm = (await load()) as W;
      await wasm.default();
    } catch (error) {
      throw new FaultError(fault("source", "Glassbox's engine could not be loaded from the page's host; reload the page to try again", [faultOf(error).what]));
    }
    seal(self);
    return wasm;
  };
  return () => {
    // A failed start is forgotten, so that the next question tries again.
    loading ??= start().catch((error: unknown) => {
      loading = null;
      throw error;
    });
    return loading;
  };
}

/** Answers the page's questions with an engine, for as long as the worker lives. */
export function serve<C extends CallName>(engine: Engine<C>): void {
  const running = new Map<number, AbortController>();

  self.onmessage = (event: MessageEvent<Question>) => {
    const question = event.data;
    if (question.call === "cancel") running.get(question.id)?.abort();
    else void answer(question.id, question.call as C, question.ask as Calls[C]["ask"]);
  };

  async function answer(id: number, call: C, ask: Calls[C]["ask"]): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    const emit = (json: string) => post({ id, kind: "piece", json, read: bytesRead() });
    try {
      const json = await engine.handlers[call](ask, emit, controller.signal);
      post({ id, kind: "tell", json, read: bytesRead() });
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) trapped(id, error);
      else post({ id, kind: "fault", fault: faultOf(error), read: bytesRead() });
    } finally {
      running.delete(id);
    }
  }

  /** The counter is asked of the wasm; while the model is borrowed by a running call it may be out of reach. */
  function bytesRead(): number | null {
    try {
      return engine.bytesRead();
    } catch {
      return null;
    }
  }
}

/** After a trap nothing in the wasm's memory can be trusted: the page ends this worker and starts another. */
function trapped(id: number, error: Error): void {
  post({ id, kind: "trap", fault: fault("bug", `Glassbox's engine stopped: ${error.message}`) });
}

// A trap inside a callback of the browser (a finished promise) reaches no caller.
self.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof WebAssembly.RuntimeError) trapped(0, event.reason);
});
self.addEventListener("error", (event) => {
  if (event.error instanceof WebAssembly.RuntimeError) trapped(0, event.error);
});

function post(reply: Reply): void {
  self.postMessage(reply);
}
