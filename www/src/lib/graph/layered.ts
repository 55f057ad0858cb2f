/**
 * A layered drawing of a directed graph, after Sugiyama, Tagawa and Toda: what reads a value lies below what writes it.
 * All steps but the sorting inside a layer take time linear in nodes, edges and the layers that edges pass.
 */
import { orderLayers } from "./order.ts";
import { place, type Proper } from "./place.ts";
import { acyclic, rank } from "./rank.ts";

export interface Boxes {
  widths: readonly number[];
  heights: readonly number[];
  /** Edges by their ends, numbers of boxes; none from a box to itself, none twice. */
  from: readonly number[];
  to: readonly number[];
}

export interface Layered {
  /** Centres of the boxes. */
  x: Float64Array;
  y: Float64Array;
  width: number;
  height: number;
  /** For each edge its points from start to end: x, y, x, y, ... */
  routes: Float64Array[];
}

/** Between boxes of a layer, and between what only passes it. */
const GAP = 20;
const GAP_PASSING = 12;
/** Between layers: room for a label on an edge. */
const GAP_LAYERS = 44;
/** Places where edges pass layers, in all; the longest edges are drawn straight where there would be more. */
const PASSING_MOST = 120_000;

export function layered({ widths, heights, from, to }: Boxes, tell: (share: number) => void = () => {}): Layered {
  const n = widths.length;
  const turned = acyclic(n, from, to);
  const start = from.map((v, e) => (turned[e] === 1 ? (to[e] ?? 0) : v));
  const end = to.map((v, e) => (turned[e] === 1 ? (from[e] ?? 0) : v));
  const layerOf = rank(n, start, end);
  tell(0.1);
  const { graph, chains } = proper(n, widths, start, end, layerOf);
  const layers = orderLayers(graph, (share) => tell(0.1 + 0.6 * share));
  const x = place(graph, layers, (v) => (v < n ? GAP : GAP_PASSING));
  tell(0.9);
  const rows = layers.map((layer) => layer.reduce((most, v) => Math.max(most, v < n ? (heights[v] ?? 0) : 0), 0));
  const tops: number[] = [];
  let height = 0;
  for (const row of rows) {
    tops.push(height);
    height += row + GAP_LAYERS;
  }
  height = Math.max(0, height - GAP_LAYERS);
  const y = Float64Array.from({ length: n }, (_, v) => (tops[layerOf[v] ?? 0] ?? 0) + (rows[layerOf[v] ?? 0] ?? 0) / 2);
  const routes = start.map((u, e) => {
    const v = end[e] ?? 0;
    const points = [x[u] ?? 0, (y[u] ?? 0) + (heights[u] ?? 0) / 2];
    const chain = chains.get(u) ?? [];
    const passed = Math.min(chain.length, (layerOf[v] ?? 0) - (layerOf[u] ?? 0) - 1);
    for (let i = 0; i < passed; i++) {
      const d = chain[i] ?? 0;
      const layer = graph.layerOf[d] ?? 0;
      add(points, x[d] ?? 0, tops[layer] ?? 0);
      add(points, x[d] ?? 0, (tops[layer] ?? 0) + (rows[layer] ?? 0));
    }
    add(points, x[v] ?? 0, (y[v] ?? 0) - (heights[v] ?? 0) / 2);
    return turned[e] === 1 ? backwards(points) : Float64Array.from(points);
  });
  let width = 0;
  for (let v = 0; v < graph.widths.length; v++) width = Math.max(width, (x[v] ?? 0) + (graph.widths[v] ?? 0) / 2);
  tell(1);
  return { x: x.slice(0, n), y, width, height, routes };
}

/** Adds a point; of three that stand straight above one another the middle one says nothing. */
function add(points: number[], x: number, y: number): void {
  const n = points.length;
  if (n >= 4 && points[n - 2] === x && points[n - 4] === x) points[n - 1] = y;
  else points.push(x, y);
}

function backwards(points: readonly number[]): Float64Array {
  const out = new Float64Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    out[i] = points[points.length - 2 - i] ?? 0;
    out[i + 1] = points[points.length - 1 - i] ?? 0;
  }
  return out;
}

/**
 * Edges that join neighbouring layers only: where one passes layers, a point of no width stands in each. Edges of one
 * start share these points: a value that every layer of a model reads is one line with branches, not a bundle.
 */
function proper(n: number, widths: readonly number[], start: readonly number[], end: readonly number[], ranks: Int32Array): { graph: Proper; chains: Map<number, number[]> } {
  const layerOf = Array.from(ranks);
  const all = [...widths];
  const up: number[][] = Array.from({ length: n }, () => []);
  const down: number[][] = Array.from({ length: n }, () => []);
  const join = (a: number, b: number) => {
    down[a]?.push(b);
    up[b]?.push(a);
  };
  const longest = new Map<number, number>();
  start.forEach((u, e) => longest.set(u, Math.max(longest.get(u) ?? 0, (ranks[end[e] ?? 0] ?? 0) - (ranks[u] ?? 0) - 1)));
  const chains = new Map<number, number[]>();
  let left = PASSING_MOST;
  for (const [u, length] of [...longest].sort((a, b) => a[1] - b[1])) {
    left -= length;
    if (left < 0) break;
    const chain: number[] = [];
    for (let i = 0; i < length; i++) {
      const d = all.length;
      all.push(0);
      layerOf.push((ranks[u] ?? 0) + 1 + i);
      up.push([]);
      down.push([]);
      join(chain.at(-1) ?? u, d);
      chain.push(d);
    }
    chains.set(u, chain);
  }
  start.forEach((u, e) => {
    const v = end[e] ?? 0;
    const chain = chains.get(u);
    const passed = (ranks[v] ?? 0) - (ranks[u] ?? 0) - 1;
    if (chain !== undefined || passed === 0) join(passed === 0 ? u : (chain?.[passed - 1] ?? u), v);
  });
  return { graph: { boxes: n, widths: all, layerOf, up, down }, chains };
}
