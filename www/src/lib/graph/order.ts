/** Which node stands beside which in its layer, so that few lines cross. */
import type { Proper } from "./place.ts";

/** Sweeps down and up, at most; large graphs get fewer. */
const SWEEPS = 12;
const SWEEPS_LARGE = 6;
const LARGE = 30_000;

/** The layers, each in its order from left to right. */
export function orderLayers(graph: Proper, tell: (share: number) => void): number[][] {
  const layers = initial(graph);
  const position = new Float64Array(graph.layerOf.length);
  const number = (layer: readonly number[]) => layer.forEach((v, i) => { position[v] = i; });
  layers.forEach(number);
  let best = layers.map((layer) => [...layer]);
  let fewest = crossings(graph, layers, position);
  const sweeps = graph.layerOf.length > LARGE ? SWEEPS_LARGE : SWEEPS;
  for (let sweep = 0; sweep < sweeps && fewest > 0; sweep++) {
    const down = sweep % 2 === 0;
    for (let i = 1; i < layers.length; i++) {
      const layer = layers[down ? i : layers.length - 1 - i] ?? [];
      sort(layer, down ? graph.up : graph.down, position);
      number(layer);
    }
    const now = crossings(graph, layers, position);
    if (now < fewest) {
      fewest = now;
      best = layers.map((layer) => [...layer]);
    }
    tell((sweep + 1) / sweeps);
  }
  return best;
}

/** By a walk along the edges, so that what belongs together starts together. */
function initial(graph: Proper): number[][] {
  const layers: number[][] = [];
  const seen = new Uint8Array(graph.layerOf.length);
  const way: number[] = [];
  for (let first = 0; first < graph.boxes; first++) {
    if ((graph.up[first]?.length ?? 0) > 0) continue;
    way.push(first);
    for (let v = way.pop(); v !== undefined; v = way.pop()) {
      if (seen[v] === 1) continue;
      seen[v] = 1;
      const layer = graph.layerOf[v] ?? 0;
      while (layers.length <= layer) layers.push([]);
      layers[layer]?.push(v);
      const readers = graph.down[v] ?? [];
      for (let i = readers.length - 1; i >= 0; i--) way.push(readers[i] ?? 0);
    }
  }
  return layers;
}

/** By the mean place of the neighbours; those without any keep theirs. */
function sort(layer: number[], neighbours: readonly (readonly number[])[], position: Float64Array): void {
  const keys = new Map<number, number>();
  for (const v of layer) {
    const near = neighbours[v] ?? [];
    let sum = 0;
    for (const w of near) sum += position[w] ?? 0;
    keys.set(v, near.length === 0 ? (position[v] ?? 0) : sum / near.length);
  }
  layer.sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
}

/** Pairs of lines that cross, counted layer by layer with a Fenwick tree. */
export function crossings(graph: Proper, layers: readonly (readonly number[])[], position: Float64Array): number {
  let found = 0;
  for (let i = 0; i + 1 < layers.length; i++) {
    const size = (layers[i + 1]?.length ?? 0) + 1;
    const tree = new Int32Array(size + 1);
    let placed = 0;
    for (const v of layers[i] ?? []) {
      const ends = (graph.down[v] ?? []).map((w) => position[w] ?? 0);
      for (const end of ends) {
        let before = 0;
        for (let k = end + 1; k > 0; k -= k & -k) before += tree[k] ?? 0;
        found += placed - before;
      }
      for (const end of ends) {
        for (let k = end + 1; k <= size; k += k & -k) tree[k] = (tree[k] ?? 0) + 1;
        placed += 1;
      }
    }
  }
  return found;
}
