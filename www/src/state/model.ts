import { batch, computed, signal } from "@preact/signals";

import type { Address } from "../lib/address.ts";
import { type CallName, type Calls, type NamedFile, type Part, PART, type SentFile } from "../wire/calls.ts";
import type { AskOptions } from "../wire/client.ts";
import { Cancelled, fault, FaultError, faultOf } from "../wire/fault.ts";
import type { FaultReport, ModelReport } from "../wire/report.ts";
import { RemoteFile } from "../wire/remote.ts";
import { fetchSample } from "../wire/sample.ts";
import { ask, type Askers, connect, engine, type Opener, openRemote } from "./engine.ts";

/** Work between a choice of files and their report. */
export interface Opening {
  what: string;
  /** Short name of what is being opened. */
  name: string;
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
/** Where the open model is read from, when that is an address: the address, and the hosts that answer for it. */
export const origin = signal<{ url: string; hosts: string[] } | null>(null);
/** Set after a worker was lost: what happened. The model is opened again by the next question about it. */
export const lost = signal<string | null>(null);

/** What was being opened when Cancel was pressed, until something else is opened or the notice is dismissed. */
export const cancelled = signal<string | null>(null);

/** Counts the runners that were lost or given up: whatever one of them had loaded is gone. */
export const losses = signal(0);

let files: NamedFile[] = [];
/** Settled once a worker has the open model; null where it was never told of it, or was lost since. */
const ready: Record<Part, Promise<unknown> | null> = { reader: null, runner: null };
/** Bytes that each worker read. */
const read: Record<Part, number> = { reader: 0, runner: 0 };
let attempt: AbortController | null = null;
/** Counts the readers that were ended because the opening of another model was given up. */
let cuts = 0;

/** Short name of what is open: the file, or the first of several. */
export const title = computed(() => {
  const list = report.value?.files ?? [];
  const main = list.find((f) => f.kind !== "side" && f.kind !== "index" && f.kind !== "data") ?? list[0];
  return main?.name.split("/").at(-1) ?? "";
});

/** Tensors of which some or all bytes are not here. */
export const tensorsMissing = computed(() => report.value?.tensors.filter((t) => t.place === "missing" || t.place === "partial" || t.place === "absent").length ?? 0);

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
  const salvage = report.value?.salvage;
  if (salvage !== undefined && missing === 0) return { kind: "bad", text: "incomplete" };
  if (missing > 0) return { kind: "bad", text: missing === 1 ? "1 tensor missing" : `${missing.toLocaleString("en")} tensors missing` };
  const files = report.value?.missing.length ?? 0;
  if (files > 0) return { kind: "bad", text: files === 1 ? "1 file missing" : `${files.toLocaleString("en")} files missing` };
  if (errors > 0) return { kind: "bad", text: errors === 1 ? "1 error" : `${errors} errors` };
  if (warnings > 0) return { kind: "warn", text: warnings === 1 ? "1 warning" : `${warnings} warnings` };
  return { kind: "ok", text: "complete" };
});

/** Connects the state to its workers. */
export function attach(clients: Askers, opener: Opener): void {
  connect(clients, opener);
  for (const part of ["reader", "runner"] as const) {
    clients[part].onBytesRead = (n) => {
      read[part] = n;
      // Of a file at an address the fetcher tells what has arrived, also before it was put to use.
      if (origin.value === null && report.value !== null) bytesRead.value = read.reader + read.runner;
    };
    clients[part].onRestart = (why) => {
      forget(part);
      if (report.value !== null) lost.value = why;
    };
  }
}

/** A worker has nothing open any more. */
function forget(part: Part): void {
  ready[part] = null;
  if (part === "runner") losses.value += 1;
}

/**
 * Starts the engine early, so that the first file need not wait for it: first what a file's view needs, then the rest.
 * Failures show up when a file is opened.
 */
export async function warm(): Promise<void> {
  await ask("warm", {}).catch(() => {});
  await ask("warmRunner", {}).catch(() => {});
}

/** Opens files that were dropped or chosen; what was open stays until they are. */
export function openFiles(chosen: NamedFile[], sample = false): Promise<void> {
  return attemptOpen(() => Promise.resolve(chosen), sample, "Reading the header", named(chosen));
}

/** Opens the model again together with these; of two files of one name the new one counts. True where that worked. */
export async function joinFiles(added: NamedFile[]): Promise<boolean> {
  const names = added.map((f) => f.name);
  const before = generation.value;
  const kept = files.filter((f) => !names.includes(f.name));
  await attemptOpen(() => Promise.resolve([...kept, ...added]), false, `Adding ${names.length === 1 ? names[0] : `${names.length} files`} to the open model`, named(added));
  return generation.value !== before;
}

export function openSample(): Promise<void> {
  return attemptOpen(
    (signal) => fetchSample((done, total) => {
      if (!signal.aborted) opening.value = { what: "Fetching the sample", name: "the sample", done, total };
    }, signal),
    true,
    "Fetching the sample",
    "the sample",
  );
}

/** Opens the file at an address: its first bytes say how long it is, and the header is all that is fetched of it. */
export function openAddress({ url, host, name }: Address): Promise<void> {
  const what = `Asking ${host}`;
  return attemptOpen(
    async (signal) => {
      const file: RemoteFile = await openRemote(url, (n) => fetched(url, n, signal), signal);
      return [{ name, file }];
    },
    false,
    what,
    name,
  );
}

/** The first of some files, and how many more there are. */
function named(chosen: NamedFile[]): string {
  const more = chosen.length - 1;
  return `${chosen[0]?.name ?? "nothing"}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Bytes arrive: for the file that is being opened, later for the open one. */
function fetched(url: string, n: number, attempted: AbortSignal): void {
  if (attempt?.signal === attempted) opening.value = { what: `Fetching from ${new URL(url).host}`, name: opening.value?.name ?? url, done: n, total: null };
  else if (origin.value?.url === url) bytesRead.value = n;
}

/** Hands files to a worker; those at an address with a way to their bytes. */
function openIn<C extends "open" | "openRunner">(call: C, chosen: NamedFile[]): Promise<Calls[C]["tell"]> {
  const transfer: Transferable[] = [];
  const sent = chosen.map(({ name, file }): SentFile => {
    if (!(file instanceof RemoteFile)) return { name, file };
    const port = file.connect(PART[call]);
    transfer.push(port);
    return { name, file: { size: file.size, port } };
  });
  return ask(call, { files: sent }, { transfer });
}

/** Waits until a worker has the open model: the runner is told of it when it is first needed. */
function opened(part: Part): Promise<unknown> {
  if (ready[part] !== null) return ready[part];
  const mine = openIn(part === "reader" ? "open" : "openRunner", files).catch((error: unknown) => {
    if (ready[part] === mine) ready[part] = null;
    throw error;
  });
  ready[part] = mine;
  return mine;
}

function remotes(of: NamedFile[]): RemoteFile[] {
  return of.flatMap(({ file }) => (file instanceof RemoteFile ? [file] : []));
}

async function attemptOpen(get: (signal: AbortSignal) => Promise<NamedFile[]>, sample: boolean, what: string, name: string): Promise<void> {
  if (opening.value !== null) giveUp();
  const mine = new AbortController();
  const before = generation.value;
  attempt = mine;
  let chosen: NamedFile[] = [];
  batch(() => {
    opening.value = { what, name, done: 0, total: null };
    openFault.value = null;
    cancelled.value = null;
  });
  try {
    chosen = await get(mine.signal);
    if (mine.signal.aborted) return;
    if (chosen.length === 0) return;
    const [remote] = remotes(chosen);
    if (remote === undefined) opening.value = { what: "Reading the header", name, done: 0, total: null };
    const opened = await openIn("open", chosen);
    if (mine.signal.aborted) return;
    // What the old model holds of a GPU's memory, the new one may need.
    if (ready.runner !== null) void ask("closeRunner", {}).catch(() => {});
    ready.runner = null;
    ready.reader = Promise.resolve();
    Object.assign(read, { reader: opened.bytes_read, runner: 0 });
    batch(() => {
      [files, chosen] = [chosen, files];
      origin.value = remote === undefined ? null : { url: remote.url, hosts: remote.hosts };
      lost.value = null;
      isSample.value = sample;
      report.value = opened;
      bytesRead.value = remote?.fetched ?? Math.max(opened.bytes_read, 0);
      generation.value += 1;
    });
  } catch (error) {
    if (!mine.signal.aborted && !(error instanceof Cancelled)) openFault.value = faultOf(error);
  } finally {
    // Whichever was not kept: the old files after a success, the new ones otherwise.
    for (const file of remotes(chosen)) {
      if (!remotes(files).includes(file)) file.close();
      // A file that was to be opened again has a new way to its bytes; the reader must be told of it.
      else if (report.value !== null && generation.value === before) forget("reader");
    }
    if (attempt === mine) {
      attempt = null;
      opening.value = null;
    }
  }
}

/** Gives up opening, as the person asked, and says what it was. */
export function cancelOpen(): void {
  const name = opening.value?.name ?? null;
  giveUp();
  cancelled.value = name;
}

/** Parsing cannot be interrupted, so its worker is replaced; what that worker was asked about the open model is asked again. */
function giveUp(): void {
  attempt?.abort();
  attempt = null;
  opening.value = null;
  cuts += 1;
  abandon("reader");
}

export function dismissCancelled(): void {
  cancelled.value = null;
}

export function dismissFault(): void {
  openFault.value = null;
}

export function dismissLost(): void {
  lost.value = null;
}

/** Asks about the open model; opens it first in a worker that has not got it. */
export async function askModel<C extends CallName>(call: C, question: Calls[C]["ask"], options?: AskOptions<C>): Promise<Calls[C]["tell"]> {
  const of = generation.value;
  for (;;) {
    const before = cuts;
    try {
      if (report.value !== null) await opened(PART[call]);
      return await ask(call, question, options);
    } catch (error) {
      // The reader was ended in the middle of it by another model's opening that was given up: that is not this question's end.
      const cut = PART[call] === "reader" && cuts !== before && of === generation.value && options?.signal?.aborted !== true;
      if (!(cut && error instanceof Cancelled)) throw error;
    }
  }
}

/** The same of work that foreign text decides about: after so many seconds its worker is ended, and the question has failed. */
export async function askWithin<C extends CallName>(seconds: number, call: C, question: Calls[C]["ask"], options?: AskOptions<C>): Promise<Calls[C]["tell"]> {
  // Opening waits for disks and hosts: that is not the text's doing.
  if (report.value !== null) await opened(PART[call]);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new FaultError(fault("limit", `This took more than ${seconds} seconds and was stopped`)));
      abandon(PART[call]);
    }, seconds * 1000);
  });
  try {
    return await Promise.race([ask(call, question, options), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends everything a worker does, at once; it opens the model again when it is next asked about it. */
export function abandon(part: Part): void {
  forget(part);
  for (const file of remotes(files)) file.stop(part);
  engine(part).restart(null);
}
