/** The byte map of one file: every part in the order of its bytes, as crate/src/report/map.rs lists them. */

/** What the map is made of; a model report has all of it. */
export interface MapSource {
  files: readonly { name: string; bytes: number }[];
  sections: readonly { file: number; start: number; end: number; kind: string }[];
  tensors: readonly { name: string; encoding: string; offset: number | null; bytes: number | null; span?: number; file: string | null; place: string }[];
}

export interface Part {
  start: number;
  /** One past the last byte; beyond the file's length for a tensor that a cut file lost. */
  end: number;
  /** "header", "metadata", "tensor list", "padding", "tensor", "graph", "gap", "trailing" or "missing". */
  kind: string;
  /** Index into the report's tensors; -1 for none. */
  tensor: number;
  /** Index of an earlier part that holds some of the same bytes; -1 for none. */
  sharesWith: number;
  /** How many of its bytes that part holds too. */
  shared: number;
}

export interface ByteMap {
  /** Length of the file. */
  bytes: number;
  /** Length, or the end of what the header places behind it. */
  extent: number;
  /** Sorted by first byte, then end. */
  parts: Part[];
  /** For each part, the furthest end of it and all before it. */
  reach: Float64Array;
}

/** Kinds whose bytes nothing names: a cut tensor takes them. */
const UNNAMED = new Set(["gap", "trailing", "padding"]);

/** Tensors of one file are told by its name; of files of one name the first is meant, as in the report. */
export function byteMap(source: MapSource, file: number): ByteMap {
  const { name, bytes } = source.files[file] ?? { name: "", bytes: 0 };
  const parts: Part[] = [];
  let cut = Infinity;
  source.tensors.forEach((t, i) => {
    if (t.file !== name || t.offset === null || t.bytes === null || t.bytes <= 0) return;
    const lost = t.place === "missing" || t.place === "partial";
    if (!lost && t.place !== "here") return;
    if (lost) cut = Math.min(cut, t.offset);
    parts.push({ start: t.offset, end: t.offset + (t.span ?? t.bytes), kind: lost ? "missing" : "tensor", tensor: i, sharesWith: -1, shared: 0 });
  });
  parts.sort(byPlace);
  const known = parts.slice();
  for (const s of source.sections) {
    if (s.file !== file) continue;
    if (s.kind === "tensors") holes(s.start, s.end, known, (start, end) => parts.push(plain(start, end, "padding")));
    else {
      const end = UNNAMED.has(s.kind) ? Math.min(s.end, cut) : s.end;
      if (s.start < end) parts.push(plain(s.start, end, s.kind));
    }
  }
  parts.sort(byPlace);
  const reach = share(parts);
  return { bytes, parts, reach, extent: Math.max(bytes, reach.at(-1) ?? 0) };
}

function plain(start: number, end: number, kind: string): Part {
  return { start, end, kind, tensor: -1, sharesWith: -1, shared: 0 };
}

function byPlace(a: Part, b: Part): number {
  return a.start - b.start || a.end - b.end;
}

/** What no tensor covers of a run of them is padding: reports join neighbours across it. */
function holes(from: number, to: number, sorted: readonly Part[], each: (start: number, end: number) => void): void {
  let at = from;
  for (let i = firstEndingAfter(sorted, from); i < sorted.length; i++) {
    const part = sorted[i];
    if (part === undefined || part.start >= to) break;
    if (part.start > at) each(at, part.start);
    at = Math.max(at, part.end);
  }
  if (at < to) each(at, to);
}

/** Tensors rarely overlap: from the last that starts at or before `at`, back over those that reach it. */
function firstEndingAfter(sorted: readonly Part[], at: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.start ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  while (low > 0 && (sorted[low - 1]?.end ?? 0) > at) low -= 1;
  return low;
}

/** Tells each part of the earlier one that reaches furthest into it; returns the furthest ends. */
function share(parts: Part[]): Float64Array {
  const reach = new Float64Array(parts.length);
  let furthest = -1;
  let most = 0;
  parts.forEach((part, i) => {
    most = Math.max(most, part.end);
    reach[i] = most;
    if (part.kind === "missing") return;
    const before = parts[furthest];
    if (before !== undefined && part.start < before.end) {
      part.sharesWith = furthest;
      part.shared = Math.min(part.end, before.end) - part.start;
    }
    if (before === undefined || part.end > before.end) furthest = i;
  });
  return reach;
}

/** The parts that lie in bytes [from, to), as a range of indices; among overlapping ones it may hold a few that do not. */
export function inView(map: ByteMap, from: number, to: number): { first: number; last: number } {
  return { first: lowest(map.reach.length, (i) => (map.reach[i] ?? 0) > from), last: lowest(map.parts.length, (i) => (map.parts[i]?.start ?? 0) >= to) };
}

/** The part that byte `at` belongs to: of several the one that starts last; -1 behind the end. */
export function partAt(map: ByteMap, at: number): number {
  const { first, last } = inView(map, at, at + 1);
  for (let i = last - 1; i >= first; i--) {
    const part = map.parts[i];
    if (part !== undefined && part.start <= at && at < part.end) return i;
  }
  return -1;
}

/** The first index for which `holds`, which must stay true once it is. */
function lowest(count: number, holds: (i: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Pixels of a strip. */
export interface Columns {
  /** Index of the part per pixel column; -1 where there is none. */
  part: Int32Array;
  /** 1 where a column holds bytes that belong to nothing, to several parts, or are missing. */
  marked: Uint8Array;
}

const ODD = new Set(["gap", "trailing", "missing"]);

/**
 * Spreads the parts of [from, to) over `width` pixels: work grows with the parts in view, never with their bytes.
 *
 * A pixel that holds many parts takes the one at a point of it, so that of 30,000 tensors each encoding has as many
 * pixels as its share. The points are spread, since layers repeat: at equal distances they would meet the same tensor again and again.
 */
export function columns(map: ByteMap, from: number, to: number, width: number): Columns {
  const part = new Int32Array(width).fill(-1);
  const marked = new Uint8Array(width);
  const scale = width / (to - from);
  const { first, last } = inView(map, from, to);
  for (let i = first; i < last; i++) {
    const p = map.parts[i];
    if (p === undefined) continue;
    const x0 = Math.max(0, (p.start - from) * scale);
    const x1 = Math.min(width, (p.end - from) * scale);
    if (x1 <= x0) continue;
    const odd = ODD.has(p.kind);
    for (let x = Math.floor(x0); x < x1 && x < width; x++) {
      const point = x + spread(x);
      if (x0 <= point && point < x1) part[x] = i;
      if (odd) marked[x] = 1;
    }
    if (p.shared > 0) {
      const end = Math.min(width, (p.start + p.shared - from) * scale);
      for (let x = Math.floor(x0); x < end && x < width; x++) marked[x] = 1;
    }
  }
  return { part, marked };
}

/** A place inside pixel `x`, from 0.1 to 0.9: multiples of the golden ratio lie evenly and never repeat. */
function spread(x: number): number {
  return 0.1 + 0.8 * ((x * 0.6180339887498949 + 0.5) % 1);
}
