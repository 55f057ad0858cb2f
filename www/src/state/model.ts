import { batch, computed, signal } from "@preact/signals";

import type { CallName, Calls, NamedFile } from "../wire/calls.ts";
import type { AskOptions } from "../wire/client.ts";
import { Cancelled, faultOf } from "../wire/fault.ts";
import type { FaultReport, ModelReport } from "../wire/report.ts";
import { fetchSample } from "../wire/sample.ts";
import { ask, type Asker, connect, engine } from "./engine.ts";

/** Work between a choice of files and their report. */
export interface Opening {
  what: string;
  done: number;
  total: number | null;
}

/** The open model; null on arrival. */
export const report = signal<ModelReport | null>(null);
/** Counts up with every model that opens: what depends on one model watches this. */
export const generation = signal(0);
export const opening = signal<Opening | null>(null);
/** Why the last choice of files could not be opened. */
export const openFault = signal<FaultReport | null>(null);
export const bytesRead = signal(0);
/** Whether the open model is the page's own sample. */
export const isSample = signal(false);
/** Set after the worker was lost: what happened. The model is opened again by the next question about it. */
export const lost = signal<string | null>(null);

/** Counts the workers that were lost or given up: whatever one of them held is gone. */
export const losses = signal(0);

let files: NamedFile[] = [];
let stale = false;
let attempt: AbortController | null = null;

/** Short name of what is open: the file, or the first of several. */
export const title = computed(() => {
  const list = report.value?.files ?? [];
  const main = list.find((f) => /weights|shard|graph|model/i.test(f.role)) ?? list[0];
  return main?.name.split("/").at(-1) ?? "";
});

export const tensorsMissing = computed(() => report.value?.tensors.filter((t) => t.place === "missing" || t.place === "absent").length ?? 0);

export interface Status {
  kind: "ok" | "warn" | "bad";
  text: string;
}

/** The chip of the header: whole, or what is wrong first. */
export const status = computed<Status>(() => {
  const notes = report.value?.notes ?? [];
  const number = (severity: string) => notes.filter((n) => n.severity === severity).length;
  const missing = tensorsMissing.value;
  const errors = number("error");
  const warnings = number("warning");
  if (missing > 0) return { kind: "bad", text: missing === 1 ? "1 tensor missing" : `${missing.toLocaleString("en")} tensors missing` };
  if (errors > 0) return { kind: "bad", text: errors === 1 ? "1 error" : `${errors} errors` };
  if (warnings > 0) return { kind: "warn", text: warnings === 1 ? "1 warning" : `${warnings} warnings` };
  return { kind: "ok", text: "whole" };
});

/** Connects the state to its worker. */
export function attach(client: Asker): void {
  connect(client);
  client.onBytesRead = (n) => {
    bytesRead.value = n;
  };
  client.onRestart = (why) => {
    stale = true;
    losses.value += 1;
    if (report.value !== null) lost.value = why;
  };
}

/** Starts the engine early, so that the first file need not wait for it. Failures show up when a file is opened. */
export function warm(): void {
  ask("warm", {}).catch(() => {});
}

/** Opens files that were dropped or chosen; what was open stays until they are. */
export function openFiles(chosen: NamedFile[], sample = false): Promise<void> {
  return attemptOpen(() => Promise.resolve(chosen), sample, "Reading the header");
}

export function openSample(): Promise<void> {
  return attemptOpen(
    (signal) => fetchSample((done, total) => {
      if (!signal.aborted) opening.value = { what: "Fetching the sample", done, total };
    }, signal),
    true,
    "Fetching the sample",
  );
}

async function attemptOpen(get: (signal: AbortSignal) => Promise<NamedFile[]>, sample: boolean, what: string): Promise<void> {
  if (opening.value !== null) cancelOpen();
  const mine = new AbortController();
  attempt = mine;
  batch(() => {
    opening.value = { what, done: 0, total: null };
    openFault.value = null;
  });
  try {
    const chosen = await get(mine.signal);
    if (mine.signal.aborted) return;
    if (chosen.length === 0) return;
    opening.value = { what: "Reading the header", done: 0, total: null };
    const opened = await ask("open", { files: chosen });
    if (mine.signal.aborted) return;
    batch(() => {
      files = chosen;
      stale = false;
      lost.value = null;
      isSample.value = sample;
      report.value = opened;
      bytesRead.value = Math.max(opened.bytes_read, 0);
      generation.value += 1;
    });
  } catch (error) {
    if (!mine.signal.aborted && !(error instanceof Cancelled)) openFault.value = faultOf(error);
  } finally {
    if (attempt === mine) {
      attempt = null;
      opening.value = null;
    }
  }
}

/** Gives up opening. Parsing cannot be interrupted, so its worker is replaced. */
export function cancelOpen(): void {
  attempt?.abort();
  attempt = null;
  opening.value = null;
  abandonWorker();
}

export function dismissFault(): void {
  openFault.value = null;
}

export function dismissLost(): void {
  lost.value = null;
}

/** Asks about the open model; opens it again first where its worker was lost. */
export async function askModel<C extends CallName>(call: C, question: Calls[C]["ask"], options?: AskOptions<C>): Promise<Calls[C]["tell"]> {
  if (stale) {
    stale = false;
    await ask("open", { files }).catch((error: unknown) => {
      stale = true;
      throw error;
    });
  }
  return ask(call, question, options);
}

/** Ends everything the worker does, at once; the model is opened again when it is next asked about. */
export function abandonWorker(): void {
  losses.value += 1;
  stale = report.value !== null;
  engine().restart(null);
}
