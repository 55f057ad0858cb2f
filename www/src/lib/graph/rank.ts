/** Which layer each node lies in. */

/** Marks the edges to turn round so that no cycle is left: those that lead back to where a walk in the order of the file came from. */
export function acyclic(n: number, from: readonly number[], to: readonly number[]): Uint8Array {
  const out = outgoing(n, from);
  const turned = new Uint8Array(from.length);
  /** 0 not met, 1 on the way, 2 done. */
  const met = new Uint8Array(n);
  const way: number[] = [];
  const next = new Int32Array(n);
  for (let first = 0; first < n; first++) {
    if (met[first] !== 0) continue;
    met[first] = 1;
    way.push(first);
    for (let v = way.at(-1); v !== undefined; v = way.at(-1)) {
      const edge = out[v]?.[next[v] ?? 0];
      if (edge === undefined) {
        met[v] = 2;
        way.pop();
        continue;
      }
      next[v] = (next[v] ?? 0) + 1;
      const w = to[edge] ?? 0;
      if (met[w] === 1) turned[edge] = 1;
      else if (met[w] === 0) {
        met[w] = 1;
        way.push(w);
      }
    }
  }
  return turned;
}

/** Layers from 0: each node below all that it reads, and beside what reads it rather than far above. */
export function rank(n: number, from: readonly number[], to: readonly number[]): Int32Array {
  const out = outgoing(n, from);
  const into = outgoing(n, to);
  const ranks = new Int32Array(n);
  const waits = Int32Array.from(into, (edges) => edges.length);
  const order: number[] = [];
  for (let v = 0; v < n; v++) if (waits[v] === 0) order.push(v);
  for (let i = 0; i < order.length; i++) {
    const v = order[i] ?? 0;
    for (const e of out[v] ?? []) {
      const w = to[e] ?? 0;
      ranks[w] = Math.max(ranks[w] ?? 0, (ranks[v] ?? 0) + 1);
      waits[w] = (waits[w] ?? 0) - 1;
      if (waits[w] === 0) order.push(w);
    }
  }
  // A node with more readers than sources makes fewer long lines if it lies as low as it can.
  for (let i = order.length - 1; i >= 0; i--) {
    const v = order[i] ?? 0;
    const readers = out[v] ?? [];
    if (readers.length === 0 || (into[v]?.length ?? 0) >= readers.length) continue;
    let lowest = Infinity;
    for (const e of readers) lowest = Math.min(lowest, (ranks[to[e] ?? 0] ?? 0) - 1);
    ranks[v] = lowest;
  }
  return ranks;
}

function outgoing(n: number, ends: readonly number[]): number[][] {
  const out: number[][] = Array.from({ length: n }, () => []);
  ends.forEach((v, e) => out[v]?.push(e));
  return out;
}
