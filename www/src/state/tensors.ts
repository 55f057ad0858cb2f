import { computed, effect, signal } from "@preact/signals";

import type { PeekReport, TensorReport } from "../wire/report.ts";
import { askModel, generation, report } from "./model.ts";
import { fill, reset, resource } from "./resource.ts";
import { go, route } from "./route.ts";
import { buildTree, flatten, type Row } from "./tree.ts";

export type SortKey = "name" | "encoding" | "shape" | "bytes";
export interface Sort {
  key: SortKey;
  descending: boolean;
}

export const mode = signal<"tree" | "table">("tree");
export const sort = signal<Sort>({ key: "name", descending: false });
/** Groups that the person opened (true) or closed (false); the others follow `opensByItself`. */
export const toggled = signal<ReadonlyMap<string, boolean>>(new Map());

const NO_TENSORS: TensorReport[] = [];
export const tensors = computed(() => report.value?.tensors ?? NO_TENSORS);

/** Texts to search in, and keys that sort numbers in names as people count; made once per model. */
const index = computed(() => {
  const list = tensors.value;
  const texts = list.map((t) => `${t.name}\n${t.encoding}\n${t.shape.join("x")}\n${t.place}`.toLowerCase());
  const names = list.map((t) => t.name.replace(/\d+/g, (digits) => digits.padStart(12, "0")));
  const byName = list.map((_, i) => i).sort((a, b) => ((names[a] ?? "") < (names[b] ?? "") ? -1 : (names[a] ?? "") > (names[b] ?? "") ? 1 : a - b));
  return { texts, byName };
});

/** Every term must occur in the name, the encoding, the place or the shape; "576x1536", "576×1536" and "576,1536" are one. */
export function terms(search: string): string[] {
  return search
    .toLowerCase()
    .replace(/(\d)\s*[×*,x]\s*(?=\d)/g, "$1x")
    .split(/\s+/)
    .filter((t) => t !== "");
}

/** Indices of the tensors that the search finds, in the order asked for. */
export const found = computed<number[]>(() => {
  const wanted = terms(route.value.tab === "tensors" ? route.value.search : "");
  const { texts, byName } = index.value;
  const hits = byName.filter((i) => wanted.every((t) => texts[i]?.includes(t)));
  const { key, descending } = sort.value;
  // Sorting is stable: equals stay in the order of their names.
  return key === "name" ? (descending ? hits.reverse() : hits) : hits.sort(comparison(sort.value, tensors.value));
});

function comparison({ key, descending }: Sort, list: TensorReport[]): (a: number, b: number) => number {
  const sign = descending ? -1 : 1;
  const elements = (i: number) => list[i]?.shape.reduce((n, d) => n * d, 1) ?? 0;
  switch (key) {
    case "name": return () => 0;
    case "encoding": return (a, b) => sign * (list[a]?.encoding ?? "").localeCompare(list[b]?.encoding ?? "");
    case "shape": return (a, b) => sign * (elements(a) - elements(b));
    case "bytes": return (a, b) => sign * ((list[a]?.bytes ?? 0) - (list[b]?.bytes ?? 0));
  }
}

export const foundBytes = computed(() => found.value.reduce((n, i) => n + (tensors.value[i]?.bytes ?? 0), 0));

const searching = computed(() => route.value.tab === "tensors" && route.value.search.trim() !== "");
const tree = computed(() => buildTree(tensors.value, found.value));

/** Without a person's choice: few results are shown open, otherwise the outermost groups that fit a screen or two. */
function opensByItself(level: number, members: number): boolean {
  return searching.value ? found.value.length <= 500 : level === 0 && members <= 100;
}

export const rows = computed<Row[]>(() => {
  if (mode.value === "table") {
    return found.value.map((i) => ({ kind: "tensor", key: `t${i}`, label: tensors.value[i]?.name ?? "", level: 0, index: i }));
  }
  const choice = toggled.value;
  const chosen = selected.value === null ? null : route.value.tensor;
  const isOpen = (key: string, level: number, members: number) => choice.get(key) ?? (opensByItself(level, members) || chosen?.startsWith(key) === true);
  return flatten(tree.value, isOpen, sort.value.key === "bytes");
});

export function toggle(key: string, open: boolean): void {
  toggled.value = new Map(toggled.value).set(key, open);
}

/** Sorts by a column; a second click turns it round. Sizes start with the largest. */
export function sortBy(key: SortKey): void {
  const now = sort.value;
  sort.value = now.key === key ? { key, descending: !now.descending } : { key, descending: key === "bytes" || key === "shape" };
}

export function select(i: number): void {
  const name = tensors.value[i]?.name;
  if (name !== undefined) go({ tab: "tensors", tensor: name });
}

export function deselect(): void {
  go({ tensor: null });
}

/** The open tensor's number, by the name in the address; null where there is none of that name. */
export const selected = computed<number | null>(() => {
  const name = route.value.tensor;
  if (name === null || route.value.tab !== "tensors") return null;
  const at = tensors.value.findIndex((t) => t.name === name);
  return at < 0 ? null : at;
});

/** How the open tensor's contents are shown; it stays from tensor to tensor. */
export type Contents = "numbers" | "heat" | "channels" | "blocks" | "spectrum";
export const contents = signal<Contents>("numbers");

/** Decoded rows of the open tensor. */
export const values = resource<PeekReport>();
/** Statistics over all of it. */
export const stats = resource<PeekReport>();
/** First row shown. */
export const firstRow = signal(0);

/** Statistics read the whole tensor: above this, only when asked. */
export const STATS_BY_ITSELF = 64e6;
/** Rows shown at once. */
export const ROWS = 8;

/** Rows that one question asks for: long rows come singly. */
export function rowsAtOnce(shape: readonly number[]): number {
  return (shape.at(-1) ?? 1) > 16384 ? 1 : ROWS;
}

let ticket = 0;

export function showRows(first: number): Promise<void> {
  const i = selected.value;
  const tensor = i === null ? undefined : tensors.value[i];
  if (i === null || tensor === undefined) return Promise.resolve();
  const mine = ticket;
  firstRow.value = first;
  return fill(
    values,
    () => askModel("peek", { tensor: i, firstRow: first, rows: rowsAtOnce(tensor.shape), stats: false }),
    () => mine === ticket && firstRow.value === first,
  );
}

export function computeStats(): Promise<void> {
  const i = selected.value;
  if (i === null) return Promise.resolve();
  const mine = ticket;
  return fill(stats, () => askModel("peek", { tensor: i, firstRow: 0, rows: 1, stats: true }), () => mine === ticket);
}

/** Reads the tensor that the address names, whenever that changes. */
export function watchSelection(): () => void {
  let last = "";
  return effect(() => {
    const i = selected.value;
    const key = `${generation.value}:${i}`;
    if (key === last) return;
    last = key;
    ticket += 1;
    reset(values);
    reset(stats);
    firstRow.value = 0;
    const tensor = i === null ? undefined : tensors.value[i];
    if (tensor === undefined || tensor.place !== "here") return;
    const mine = ticket;
    void showRows(0).then(() => {
      if (mine === ticket && (tensor.bytes ?? Infinity) <= STATS_BY_ITSELF && values.value.fault === null) void computeStats();
    });
  });
}

/** A new model starts with its own open groups. */
export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    toggled.value = new Map();
  });
}
