import { computed, effect, signal } from "@preact/signals";

import { around, type Box, drawable, drawing, openAtFirst } from "../lib/graph/boxes.ts";
import type { Layered } from "../lib/graph/layered.ts";
import { bare } from "../lib/graph/links.ts";
import { shape } from "../lib/format.ts";
import { layOut, stopLayout } from "../wire/layout.ts";
import { faultOf } from "../wire/fault.ts";
import type { FaultReport, GraphValueReport, PeekReport } from "../wire/report.ts";
import { askModel, generation, report } from "./model.ts";
import { fill, reset, resource } from "./resource.ts";
import { go, route } from "./route.ts";

/** What of the drawing is chosen. */
export type Chosen = Pick<Box, "kind" | "index">;

const EMPTY = { nodes: [], inputs: [], outputs: [] };

/** The open model's graph, its groups and who reads what. */
export const graph = computed(() => drawable(report.value?.graph ?? EMPTY));

/** Groups that are open, by their names. */
export const open = signal<ReadonlySet<string>>(new Set());
export const chosen = signal<Chosen | null>(null);
/** What is to be brought into the middle once it is laid out. */
export const wanted = signal<Chosen | null>(null);

const tensorByName = computed(() => new Map((report.value?.tensors ?? []).map((t, i) => [t.name, i])));

/** Types and shapes by the values' names, as far as the file states them. */
export const types = computed(() => {
  const known = new Map<string, string>();
  const told = report.value?.graph;
  for (const v of [...(told?.values ?? []), ...(told?.inputs ?? []), ...(told?.outputs ?? [])]) if (v.encoding !== null || v.dims.length > 0) known.set(v.name, typeOf(v));
  return known;
});

function typeOf(v: GraphValueReport): string {
  return [v.encoding ?? "", v.dims.length === 0 ? "scalar" : v.dims.join(" × ")].join(" ").trim();
}

/** Numbers of the tensors that each node reads as weights. */
export const weights = computed<number[][]>(() => {
  const tensors = tensorByName.value;
  return (report.value?.graph?.nodes ?? []).map((node) => node.inputs.flatMap((v) => tensors.get(v) ?? tensors.get(bare(v)) ?? []));
});

/** Bytes and elements of some nodes' weights, each tensor once. */
export function cost(nodes: readonly number[]): { bytes: number; elements: number } {
  const tensors = report.value?.tensors ?? [];
  const sum = { bytes: 0, elements: 0 };
  for (const t of new Set(nodes.flatMap((i) => weights.value[i] ?? []))) {
    sum.bytes += tensors[t]?.bytes ?? 0;
    sum.elements += tensors[t]?.shape.reduce((n, d) => n * d, 1) ?? 0;
  }
  return sum;
}

/** The largest weight of a node, as it stands in its box. */
function note(node: number): string {
  const tensors = report.value?.tensors ?? [];
  const [largest] = (weights.value[node] ?? []).flatMap((t) => tensors[t] ?? []).sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
  // A single number is an axis or an index more often than a weight.
  return largest === undefined || largest.shape.every((d) => d === 1) ? "" : `${largest.encoding} ${shape(largest.shape)}`;
}

export const shown = computed(() => drawing(graph.value, open.value, note));

/** All nodes that a box stands for. */
export function nodesOf(box: Chosen): number[] {
  if (box.kind === "node") return [box.index];
  if (box.kind !== "group") return [];
  const group = graph.value.groups[box.index];
  return group === undefined ? [] : [...group.nodes, ...group.groups.flatMap((g) => nodesOf({ kind: "group", index: g }))];
}

/** The box in which something is drawn now; -1 where it is not. */
export function boxFor(what: Chosen): number {
  const { source } = graph.value;
  if (what.kind === "node") return shown.value.boxOf[what.index] ?? -1;
  if (what.kind === "input") return shown.value.boxOf[source.nodes.length + what.index] ?? -1;
  if (what.kind === "output") return shown.value.boxOf[source.nodes.length + source.inputs.length + what.index] ?? -1;
  return shown.value.boxes.findIndex((b) => b.kind === "group" && b.index === what.index);
}

export interface Scene {
  boxes: Box[];
  edges: ReturnType<typeof drawing>["edges"];
  widths: number[];
  heights: number[];
  layout: Layered;
}

/** The last drawing that was laid out; it stays while the next one is. */
export const scene = signal<Scene | null>(null);
/** How far the layout is, 0 to 1; null while none is made. */
export const progress = signal<number | null>(null);
export const layoutFault = signal<FaultReport | null>(null);

/** Sizes by the number of letters: the worker has no fonts, and nothing may depend on which one the reader has. */
function size(box: Box): [number, number] {
  const width = Math.max(box.title.length * 7.6, box.note.length * 6.2) + (box.kind === "group" ? 46 : 28);
  return [Math.min(260, Math.max(64, width)), box.note === "" ? 28 : 42];
}

/** Lays out what is shown whenever that changes. */
export function watchDrawing(): () => void {
  const stop = effect(() => {
    const { boxes, edges } = shown.value;
    const sizes = boxes.map(size);
    const [widths, heights] = [sizes.map(([w]) => w), sizes.map(([, h]) => h)];
    progress.value = 0;
    layoutFault.value = null;
    const ends = { from: edges.map((e) => e.from), to: edges.map((e) => e.to) };
    layOut({ widths, heights, ...ends }, (share) => { progress.value = share; })
      .then((layout) => {
        if (layout === null) return;
        progress.value = null;
        scene.value = { boxes, edges, widths, heights, layout };
      })
      .catch((error: unknown) => {
        progress.value = null;
        layoutFault.value = faultOf(error);
      });
  });
  return () => {
    stop();
    stopLayout();
  };
}

/** A new model starts with its own open groups, and with the node that the address names. */
export function watchGraph(): () => void {
  let last = -1;
  return effect(() => {
    if (generation.value === last) return;
    last = generation.value;
    const made = graph.value;
    scene.value = null;
    open.value = openAtFirst(made);
    const node = route.peek().node;
    if (node !== null && node < made.source.nodes.length) reveal({ kind: "node", index: node });
    else choose(null);
  });
}

export function choose(what: Chosen | null): void {
  chosen.value = what;
  go({ node: what?.kind === "node" ? what.index : null }, true);
}

/** Opens or closes a group. */
export function toggleGroup(index: number, to: boolean): void {
  const group = graph.value.groups[index];
  if (group === undefined) return;
  const next = new Set(open.value);
  if (to) next.add(group.id);
  else next.delete(group.id);
  open.value = next;
}

/** Opens every group, or closes them all. */
export function openAll(to: boolean): void {
  open.value = new Set(to ? graph.value.groups.map((g) => g.id) : []);
}

/** Chooses something and brings it into the middle, whatever must be opened for that. */
export function reveal(what: Chosen): void {
  const made = graph.value;
  if (what.kind === "node" && boxFor(what) >= 0) {
    const closed = around(made, made.groupOf[what.index] ?? -1).map((g) => made.groups[g]?.id ?? "");
    if (closed.some((id) => !open.value.has(id))) open.value = new Set([...open.value, ...closed]);
  }
  choose(what);
  wanted.value = what;
}

/** Numbers of the nodes that the search finds. */
export const found = computed<number[]>(() => {
  if (route.value.tab !== "graph") return [];
  const words = route.value.search.toLowerCase().split(/\s+/).filter((w) => w !== "");
  if (words.length === 0) return [];
  return graph.value.source.nodes.flatMap((n, i) => {
    const text = `${n.name}\n${n.op}\n${n.inputs.join("\n")}\n${n.outputs.join("\n")}`.toLowerCase();
    return words.every((w) => text.includes(w)) ? [i] : [];
  });
});

/** First values of the weights of the chosen node. */
export const firstValues = resource<{ tensor: number; peek: PeekReport }[]>();
/** Rows longer than this are not read for a glance. */
const GLANCE = 1 << 20;

/** Reads the first values of what the chosen node holds. */
export function watchChosen(): () => void {
  let ticket = 0;
  return effect(() => {
    const now = chosen.value;
    const mine = ++ticket;
    reset(firstValues);
    if (now?.kind !== "node") return;
    const tensors = report.peek()?.tensors ?? [];
    const small = (weights.value[now.index] ?? []).filter((t) => tensors[t]?.place === "here" && (tensors[t]?.shape.at(-1) ?? 1) * 8 <= GLANCE).slice(0, 4);
    if (small.length === 0) return;
    const ask = async () => {
      const out: { tensor: number; peek: PeekReport }[] = [];
      for (const tensor of small) out.push({ tensor, peek: await askModel("peek", { tensor, firstRow: 0, rows: 1, stats: false }) });
      return out;
    };
    void fill(firstValues, ask, () => mine === ticket);
  });
}
