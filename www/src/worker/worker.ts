/// <reference lib="webworker" />
import type { CallName, Calls, Question, Reply } from "../wire/calls.ts";
import { fault, FaultError, faultOf } from "../wire/fault.ts";
import type { Wasm } from "./glassbox.ts";
import { Engine } from "./handlers.ts";
import { seal } from "./seal.ts";
import { installSubgroupShim } from "./subgroups.ts";

declare const self: DedicatedWorkerGlobalScope;

const engine = new Engine(async () => {
  const subgroups = await installSubgroupShim();
  let wasm: Wasm;
  try {
    wasm = (await import("../wasm/glassbox.js")) as unknown as Wasm;
    await wasm.default();
  } catch (error) {
    throw new FaultError(fault("source", "Glassbox's engine could not be loaded from the page's host; reload the page to try again", [faultOf(error).what]));
  }
  seal(self);
  wasm.start(subgroups);
  return { wasm, subgroups };
});

const running = new Map<number, AbortController>();

self.onmessage = (event: MessageEvent<Question>) => {
  const question = event.data;
  if (question.call === "cancel") running.get(question.id)?.abort();
  else void answer(question.id, question.call, question.ask);
};

async function answer<C extends CallName>(id: number, call: C, ask: Calls[C]["ask"]): Promise<void> {
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
