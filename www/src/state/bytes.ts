import { computed, effect, signal } from "@preact/signals";

import { byteMap, type ByteMap, type Part, partAt } from "../lib/bytemap.ts";
import { bytesOf } from "../lib/hexdump.ts";
import { faultOf } from "../wire/fault.ts";
import type { FaultReport } from "../wire/report.ts";
import { askModel, generation, report } from "./model.ts";
import { go, route } from "./route.ts";

/** A stretch of the file. */
export interface Stretch {
  from: number;
  to: number;
}

const EMPTY: ByteMap = { bytes: 0, extent: 0, parts: [], reach: new Float64Array() };
/** No closer than this many bytes across the strip. */
const CLOSEST = 16;

/** The file whose bytes are shown; an address may name one that does not exist. */
export const file = computed(() => Math.min(route.value.file, Math.max(0, (report.value?.files.length ?? 1) - 1)));
export const fileName = computed(() => report.value?.files[file.value]?.name ?? "");

/** Made when the view is first looked at. */
export const map = computed<ByteMap>(() => (report.value === null ? EMPTY : byteMap(report.value, file.value)));

const zoomed = signal<Stretch | null>(null);
/** What the strip shows. */
export const view = computed<Stretch>(() => zoomed.value ?? { from: 0, to: Math.max(1, map.value.extent) });
export const isWhole = computed(() => zoomed.value === null);

/** Shows these bytes, moved and cut to the file; all of it where that is as much. */
function look(from: number, length: number): void {
  const { extent } = map.value;
  const whole = Math.max(CLOSEST, length);
  if (whole >= extent) {
    zoomed.value = null;
    return;
  }
  const start = Math.max(0, Math.min(from, extent - whole));
  zoomed.value = { from: start, to: start + whole };
}

/** Shows `factor` times as many bytes; `around` stays where it is. */
export function zoom(factor: number, around?: number): void {
  const { from, to } = view.value;
  const fixed = around ?? (from + to) / 2;
  look(fixed - (fixed - from) * factor, (to - from) * factor);
}

export function move(by: number): void {
  const { from, to } = view.value;
  look(from + by, to - from);
}

export function showAll(): void {
  zoomed.value = null;
}

/** Shows a part with a little of its neighbours. */
export function zoomTo({ start, end }: Part): void {
  const margin = (end - start) * 0.25;
  look(start - margin, end - start + 2 * margin);
}

/** Brings a byte into the strip, without changing how much it shows. */
function reveal(at: number): void {
  const { from, to } = view.value;
  if (at < from || at >= to) look(at - (to - from) / 2, to - from);
}

/** The part that the address names: its tensor, else what lies at its byte; -1 for none. */
export const chosen = computed<number>(() => {
  const { tab, tensor, at } = route.value;
  if (tab !== "bytes") return -1;
  if (tensor !== null) {
    const i = report.value?.tensors.findIndex((t) => t.name === tensor) ?? -1;
    const named = i < 0 ? -1 : map.value.parts.findIndex((p) => p.tensor === i);
    if (named >= 0) return named;
  }
  return at === null ? -1 : partAt(map.value, at);
});

/** The byte that the hex view goes to. */
export const at = computed<number | null>(() => {
  const place = route.value.tab === "bytes" ? route.value.at : null;
  return place === null ? null : Math.min(place, Math.max(0, map.value.bytes - 1));
});

export function choose(i: number): void {
  const part = map.value.parts[i];
  if (part === undefined) return;
  const name = part.tensor < 0 ? null : (report.value?.tensors[part.tensor]?.name ?? null);
  go({ tab: "bytes", file: file.value, at: part.start, tensor: name });
}

/** Goes to a byte of a file, by its name or the one that is shown. */
export function goTo(place: number, name?: string | null): void {
  const number = name == null ? file.value : (report.value?.files.findIndex((f) => f.name === name) ?? -1);
  if (number < 0) return;
  go({ tab: "bytes", tensor: null, file: number, at: place });
  reveal(place);
}

export function chooseFile(number: number): void {
  go({ tab: "bytes", tensor: null, file: number, at: null });
}

/** Bytes are asked for in pieces of this size, and only those in sight. */
export const CHUNK = 4096;
/** Pieces kept: more than any screen shows. */
const KEPT = 64;

/** Pieces of the file that is shown, by their number. */
export const chunks = signal<ReadonlyMap<number, Uint8Array>>(new Map());
export const hexFault = signal<FaultReport | null>(null);
/** What the hex view shows. */
export const inSight = signal<Stretch>({ from: 0, to: 0 });

let ticket = 0;
let busy = false;

/** Tells which bytes are in sight; those that are not here are asked for, one piece after the other. */
export function see(from: number, to: number): void {
  if (inSight.value.from !== from || inSight.value.to !== to) inSight.value = { from, to };
  void pump();
}

function wanted(): number | null {
  const { from, to } = inSight.value;
  for (let n = Math.floor(from / CHUNK); n * CHUNK < Math.min(to, map.value.bytes); n++) if (!chunks.value.has(n)) return n;
  return null;
}

async function pump(): Promise<void> {
  if (busy || hexFault.value !== null) return;
  busy = true;
  const mine = ticket;
  try {
    // What has been scrolled past in the meantime is not asked for any more.
    for (let n = wanted(); n !== null && mine === ticket; n = wanted()) {
      const read = await askModel("bytes", { file: fileName.value, start: n * CHUNK, count: CHUNK });
      if (mine !== ticket) break;
      const next = new Map(chunks.value).set(n, bytesOf(read.hex));
      for (const old of next.keys()) if (next.size > KEPT) next.delete(old);
      chunks.value = next;
    }
  } catch (error) {
    if (mine === ticket) hexFault.value = faultOf(error);
  } finally {
    busy = false;
  }
  if (mine !== ticket) await pump();
}

/** Asks again after a failure. */
export function retry(): void {
  hexFault.value = null;
  void pump();
}

/** The bytes [from, to) as far as they are here; null for those that are not. */
export function bytesAt(from: number, to: number): (number | null)[] {
  const out: (number | null)[] = [];
  for (let i = from; i < to; i++) out.push(chunks.value.get(Math.floor(i / CHUNK))?.[i % CHUNK] ?? null);
  return out;
}

/** Another model or file starts from its beginning. */
export function watchModel(): () => void {
  let last = "";
  return effect(() => {
    const key = `${generation.value}:${file.value}`;
    if (key === last) return;
    last = key;
    ticket += 1;
    zoomed.value = null;
    chunks.value = new Map();
    hexFault.value = null;
    inSight.value = { from: 0, to: 0 };
  });
}
