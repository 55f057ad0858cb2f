/**
 * Where in its layer each node stands: Brandes and Köpf, "Fast and simple horizontal coordinate assignment" (2001).
 * Four placements, each as far to one side as it goes with nodes straight above one another, and the middle of them.
 */

/** A graph whose edges join neighbouring layers; nodes from `boxes` on are the points where longer lines pass. */
export interface Proper {
  boxes: number;
  widths: readonly number[];
  layerOf: readonly number[];
  up: readonly (readonly number[])[];
  down: readonly (readonly number[])[];
}

/** Centres from left to right, all boxes at 0 or beyond. `gap` is what a node keeps free on each side, doubled. */
export function place(graph: Proper, layers: readonly (readonly number[])[], gap: (v: number) => number): Float64Array {
  const n = graph.widths.length;
  const bent = conflicts(graph, layers);
  const distance = (a: number, b: number) => ((graph.widths[a] ?? 0) + (graph.widths[b] ?? 0) + gap(a) + gap(b)) / 2;
  const placements: Float64Array[] = [];
  for (const fromBelow of [false, true]) {
    for (const fromRight of [false, true]) {
      let turned = layers.map((layer) => (fromRight ? [...layer].reverse() : layer));
      if (fromBelow) turned = turned.reverse();
      const x = compact(n, turned, align(n, turned, fromBelow ? graph.down : graph.up, fromBelow, bent), distance);
      placements.push(fromRight ? x.map((value) => -value) : x);
    }
  }
  return middle(graph, placements);
}

/** Lines that would bend one that passes: those must be straight. Keys are upper * n + lower. */
function conflicts(graph: Proper, layers: readonly (readonly number[])[]): Set<number> {
  const n = graph.widths.length;
  const found = new Set<number>();
  const position = new Int32Array(n);
  for (const layer of layers) layer.forEach((v, i) => { position[v] = i; });
  for (let i = 0; i + 1 < layers.length; i++) {
    const lower = layers[i + 1] ?? [];
    let [first, done] = [0, 0];
    for (let l = 0; l < lower.length; l++) {
      const v = lower[l] ?? 0;
      const above = v >= graph.boxes ? graph.up[v]?.[0] : undefined;
      const passes = above !== undefined && above >= graph.boxes;
      if (!passes && l !== lower.length - 1) continue;
      const last = passes ? (position[above] ?? 0) : (layers[i]?.length ?? 1) - 1;
      for (; done <= l; done++) {
        const w = lower[done] ?? 0;
        for (const u of graph.up[w] ?? []) {
          const at = position[u] ?? 0;
          if ((at < first || at > last) && !(u >= graph.boxes && w >= graph.boxes)) found.add(u * n + w);
        }
      }
      first = last;
    }
  }
  return found;
}

/** For each node the one that leads its column. */
function align(n: number, layers: readonly (readonly number[])[], near: readonly (readonly number[])[], fromBelow: boolean, bent: ReadonlySet<number>): Int32Array {
  const root = Int32Array.from({ length: n }, (_, v) => v);
  const taken = new Uint8Array(n);
  const position = new Int32Array(n);
  for (const layer of layers) layer.forEach((v, i) => { position[v] = i; });
  for (const layer of layers) {
    let last = -1;
    for (const v of layer) {
      const around = [...(near[v] ?? [])].sort((a, b) => (position[a] ?? 0) - (position[b] ?? 0));
      const half = (around.length - 1) / 2;
      for (let m = Math.floor(half); m <= Math.ceil(half); m++) {
        const w = around[m];
        if (w === undefined || root[v] !== v || taken[w] === 1 || last >= (position[w] ?? 0)) continue;
        if (bent.has(fromBelow ? v * n + w : w * n + v)) continue;
        taken[w] = 1;
        root[v] = root[w] ?? w;
        last = position[w] ?? 0;
      }
    }
  }
  return root;
}

/** Columns as far left as they go, then as near to their right neighbours as they may. */
function compact(n: number, layers: readonly (readonly number[])[], root: Int32Array, distance: (a: number, b: number) => number): Float64Array {
  const [starts, ends, lengths]: [number[], number[], number[]] = [[], [], []];
  const waits = new Int32Array(n);
  for (const layer of layers) {
    for (let i = 1; i < layer.length; i++) {
      const [a = 0, b = 0] = [layer[i - 1], layer[i]];
      starts.push(root[a] ?? a);
      ends.push(root[b] ?? b);
      lengths.push(distance(a, b));
      waits[root[b] ?? b] = (waits[root[b] ?? b] ?? 0) + 1;
    }
  }
  const out: number[][] = Array.from({ length: n }, () => []);
  starts.forEach((v, e) => out[v]?.push(e));
  const x = new Float64Array(n);
  const order: number[] = [];
  for (let v = 0; v < n; v++) if (root[v] === v && waits[v] === 0) order.push(v);
  for (let i = 0; i < order.length; i++) {
    const v = order[i] ?? 0;
    for (const e of out[v] ?? []) {
      const w = ends[e] ?? 0;
      x[w] = Math.max(x[w] ?? 0, (x[v] ?? 0) + (lengths[e] ?? 0));
      waits[w] = (waits[w] ?? 0) - 1;
      if (waits[w] === 0) order.push(w);
    }
  }
  for (let i = order.length - 1; i >= 0; i--) {
    const v = order[i] ?? 0;
    let most = Infinity;
    for (const e of out[v] ?? []) most = Math.min(most, (x[ends[e] ?? 0] ?? 0) - (lengths[e] ?? 0));
    if (most !== Infinity) x[v] = Math.max(x[v] ?? 0, most);
  }
  for (let v = 0; v < n; v++) x[v] = x[root[v] ?? v] ?? 0;
  return x;
}

/** The placements laid over the narrowest, and for each node the mean of the two in the middle. */
function middle(graph: Proper, placements: readonly Float64Array[]): Float64Array {
  const n = graph.widths.length;
  const extents = placements.map((x) => {
    let [low, high] = [Infinity, -Infinity];
    for (let v = 0; v < n; v++) {
      low = Math.min(low, (x[v] ?? 0) - (graph.widths[v] ?? 0) / 2);
      high = Math.max(high, (x[v] ?? 0) + (graph.widths[v] ?? 0) / 2);
    }
    return { low, high };
  });
  const narrowest = extents.reduce((best, e) => (e.high - e.low < best.high - best.low ? e : best), { low: 0, high: Infinity });
  const shifts = extents.map((e, i) => (i % 2 === 0 ? narrowest.low - e.low : narrowest.high - e.high));
  const x = Float64Array.from({ length: n }, (_, v) => {
    const four = placements.map((p, i) => (p[v] ?? 0) + (shifts[i] ?? 0)).sort((a, b) => a - b);
    return ((four[1] ?? 0) + (four[2] ?? 0)) / 2;
  });
  let low = Infinity;
  for (let v = 0; v < n; v++) low = Math.min(low, (x[v] ?? 0) - (graph.widths[v] ?? 0) / 2);
  return n === 0 ? x : x.map((value) => value - low);
}
