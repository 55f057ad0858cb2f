import { batch, computed, effect, signal } from "@preact/signals";

import type { DeviceChoice, GenerateOptions } from "../wire/calls.ts";
import { Cancelled, fault, faultOf } from "../wire/fault.ts";
import type { DeviceReport, EmbedderReport, FaultReport, GeneratedReport, ProgressReport, RunReport } from "../wire/report.ts";
import { abandon, askModel, generation, isSample, losses, report } from "./model.ts";

export const SAMPLE_PROMPT = "Once upon a time";

/** Writing on from a text, or answering in turns by the model's chat template. */
export type Mode = "write" | "chat";
export const mode = signal<Mode>("write");

export type Phase = "idle" | "loading" | "reading" | "writing";

export const prompt = signal("");
export const device = signal<DeviceChoice>("auto");
export const options = signal<Omit<GenerateOptions, "prompt" | "add_special">>({
  max_tokens: 200, temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05, seed: 1, alternatives: true,
});
export const phase = signal<Phase>("idle");
export const progress = signal<ProgressReport | null>(null);
export const loadSpeed = signal<number | null>(null);
/** The device that holds the weights. */
export const loaded = signal<DeviceReport | null>(null);
/** The encoder that is loaded, of models that make vectors. */
export const encoder = signal<EmbedderReport | null>(null);
/** Whether the model makes vectors of texts, and writes none. */
export const makesVectors = computed(() => report.value?.fit?.vectors === true);
export const runFault = signal<FaultReport | null>(null);
export const finished = signal<RunReport | null>(null);
/** The prompt of the text on show. */
export const asked = signal("");
/** Token of which the alternatives are shown. */
export const pointed = signal<number | null>(null);

/** Pieces in fixed chunks: a full chunk never changes again, so a view need not look at it. */
export const CHUNK = 64;
export const chunks = signal<readonly (readonly GeneratedReport[])[]>([]);
export const produced = computed(() => chunks.value.reduce((n, c) => n + c.length, 0));
export const busy = computed(() => phase.value !== "idle");

/** Times of the stream as the page sees them, until the report brings the engine's own. */
export const live = signal<{ first: number; last: number; tokens: number } | null>(null);

export function piece(at: number): GeneratedReport | undefined {
  return chunks.value[Math.floor(at / CHUNK)]?.[at % CHUNK];
}

/** What was loaded, and into which worker; null where nothing is. */
let loadedAs: { choice: DeviceChoice; worker: number } | null = null;
let stopper: AbortController | null = null;
let buffer: GeneratedReport[] = [];
let timer: ReturnType<typeof setTimeout> | null = null;

/** Redraws at most this often, however fast tokens come; in milliseconds. */
const FRAME = 40;

function receive(token: GeneratedReport): void {
  const now = performance.now();
  buffer.push(token);
  const before = live.value;
  if (before === null) flush(now);
  else timer ??= setTimeout(() => flush(performance.now()), FRAME);
}

function flush(now: number): void {
  if (timer !== null) clearTimeout(timer);
  timer = null;
  if (buffer.length === 0) return;
  const next = chunks.value.slice();
  for (const token of buffer) {
    const last = next.at(-1);
    if (last === undefined || last.length === CHUNK) next.push([token]);
    else next[next.length - 1] = [...last, token];
  }
  const fresh = buffer.length;
  buffer = [];
  batch(() => {
    chunks.value = next;
    phase.value = "writing";
    live.value = { first: live.value?.first ?? now, last: now, tokens: (live.value?.tokens ?? 0) + fresh };
  });
}

/** Writes on from the prompt. */
export async function run(): Promise<void> {
  await produce(() => Promise.resolve(prompt.value), true);
}

/**
 * Loads the weights where they are not loaded yet, then goes on from a text. Gives what came of it; null after a
 * failure, which is in `runFault`, and where it was stopped before it began.
 */
export async function produce(text: () => Promise<string>, addSpecial: boolean): Promise<RunReport | null> {
  if (busy.value) return null;
  const mine = generation.value;
  const stop = new AbortController();
  stopper = stop;
  batch(() => {
    phase.value = "loading";
    runFault.value = null;
    finished.value = null;
    chunks.value = [];
    pointed.value = null;
    live.value = null;
    asked.value = "";
  });
  try {
    const from = await text();
    if (stop.signal.aborted || mine !== generation.value) return null;
    asked.value = from;
    if (loadedAs?.choice !== device.value || loadedAs.worker !== losses.value) await load(stop.signal);
    if (stop.signal.aborted || mine !== generation.value) return null;
    phase.value = "reading";
    const done = await askModel("generate", { prompt: from, add_special: addSpecial, ...options.value }, { onPiece: receive, signal: stop.signal });
    flush(performance.now());
    if (mine !== generation.value) return null;
    finished.value = done;
    loaded.value = done.device;
    return done;
  } catch (error) {
    if (mine === generation.value) runFault.value = ended(error, stop.signal);
    return null;
  } finally {
    flush(performance.now());
    if (stopper === stop) {
      stopper = null;
      phase.value = "idle";
      progress.value = null;
    }
  }
}

/**
 * Does one piece of work on an encoder, loading it first where it is not loaded yet. Null after a failure, which is in `runFault`,
 * and where it was stopped before it began.
 */
export async function encode<T>(work: () => Promise<T>): Promise<T | null> {
  if (busy.value) return null;
  const mine = generation.value;
  const stop = new AbortController();
  stopper = stop;
  batch(() => {
    phase.value = "loading";
    runFault.value = null;
  });
  try {
    if (loadedAs?.choice !== device.value || loadedAs.worker !== losses.value) await loadEncoder(stop.signal);
    if (stop.signal.aborted || mine !== generation.value) return null;
    phase.value = "reading";
    const done = await work();
    return mine === generation.value ? done : null;
  } catch (error) {
    if (mine === generation.value) runFault.value = ended(error, stop.signal);
    return null;
  } finally {
    if (stopper === stop) {
      stopper = null;
      phase.value = "idle";
      progress.value = null;
    }
  }
}

/** Why work ended early; null where the person stopped it. */
function ended(error: unknown, own: AbortSignal): FaultReport | null {
  if (!(error instanceof Cancelled)) return faultOf(error);
  return own.aborted ? null : fault("cancelled", "This was cut short: its worker was ended by a question about a text, pattern or template that took too long");
}

/** The text that was written so far. */
export function written(): string {
  return chunks.value.flat().map((token) => token.text).join("");
}

/** What loading tells on the way. */
function watchLoading(): (p: ProgressReport) => void {
  const begun = performance.now();
  return (p) => {
    batch(() => {
      progress.value = p;
      const seconds = (performance.now() - begun) / 1000;
      loadSpeed.value = seconds > 0.2 ? p.done / seconds : null;
    });
  };
}

async function load(signal: AbortSignal): Promise<void> {
  loadedAs = null;
  loaded.value = null;
  const choice = device.value;
  const report = await askModel("load", { device: choice, tier: "", exact: false }, { signal, onPiece: watchLoading() });
  loadedAs = { choice, worker: losses.value };
  loaded.value = report;
}

async function loadEncoder(signal: AbortSignal): Promise<void> {
  loadedAs = null;
  encoder.value = null;
  loaded.value = null;
  const choice = device.value;
  const report = await askModel("loadEncoder", { device: choice, tier: "" }, { signal, onPiece: watchLoading() });
  loadedAs = { choice, worker: losses.value };
  batch(() => {
    encoder.value = report;
    loaded.value = report.device;
  });
}

/** Stops after the token in the making; loading cannot stop half-way, so it is given up with its worker. */
export function stop(): void {
  if (phase.value === "loading") {
    stopper?.abort();
    abandon("runner");
  } else {
    stopper?.abort();
  }
}

/** A new model is not loaded, and what an old one wrote is not its text. */
export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    stopper?.abort();
    stopper = null;
    loadedAs = null;
    buffer = [];
    batch(() => {
      phase.value = "idle";
      progress.value = null;
      loaded.value = null;
      encoder.value = null;
      finished.value = null;
      runFault.value = null;
      chunks.value = [];
      live.value = null;
      pointed.value = null;
      asked.value = "";
      prompt.value = isSample.peek() ? SAMPLE_PROMPT : "";
      mode.value = report.peek()?.metadata.some((m) => m.key.startsWith("tokenizer.chat_template")) === true ? "chat" : "write";
    });
  });
}
