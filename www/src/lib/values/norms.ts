/** How strong the tensors of a model are, layer by layer. */

import { LAYERS, median, strange } from "./robust.ts";

/** What was measured of one tensor. */
export interface NormReport {
  tensor: number;
  /** Finite values, and those that are not. */
  count: number;
  odd: number;
  zeros: number;
  sum: number;
  squares: number;
  largest: number;
  /** Why it could not be read; then the numbers are zero. */
  fault: string | null;
}

export class Moments {
  count = 0;
  odd = 0;
  zeros = 0;
  sum = 0;
  squares = 0;
  largest = 0;

  add(values: ArrayLike<number>): void {
    let { sum, squares, largest, zeros, odd } = this;
    for (let i = 0; i < values.length; i++) {
      const v = values[i] as number;
      if (v - v !== 0) {
        odd += 1;
        continue;
      }
      if (v === 0) zeros += 1;
      const size = Math.abs(v);
      if (size > largest) largest = size;
      sum += v;
      squares += v * v;
    }
    this.count += values.length - (odd - this.odd);
    Object.assign(this, { sum, squares, largest, zeros, odd });
  }
}

/** The Euclidean norm of all values. */
export function norm(n: Pick<NormReport, "squares">): number {
  return Math.sqrt(n.squares);
}

/** The root of the mean square: a norm that does not grow with the tensor. */
export function rms(n: Pick<NormReport, "squares" | "count">): number {
  return n.count > 0 ? Math.sqrt(n.squares / n.count) : 0;
}

/** "blk.3.attn_q.weight" is attn_q.weight of layer 3; names without a number in the middle belong to no layer. */
export function place(name: string): { role: string; layer: number } | null {
  const parts = name.split(/[./]/);
  const at = parts.findIndex((p, i) => /^\d{1,5}$/.test(p) && i > 0 && i < parts.length - 1);
  if (at < 0) return null;
  // Experts of one layer are one part.
  const rest = parts.slice(at + 1).map((p) => (/^\d+$/.test(p) ? "*" : p)).join(".");
  // Encoders and decoders have layers of their own.
  const before = parts.slice(0, at).join(".");
  return { role: `${before}.#.${rest}`, layer: Number(parts[at]) };
}

export const SIZES = ["rms", "norm", "largest"] as const;
export type SizeBy = (typeof SIZES)[number];

export interface LayerPoint {
  layer: number;
  tensors: number[];
  rms: number;
  norm: number;
  largest: number;
  /** Times the median of its role's layers, by RMS; null where it does not stand out. */
  strange: number | null;
}

export interface Role {
  role: string;
  /** Without what all roles have in front. */
  label: string;
  points: LayerPoint[];
  /** Of the layers' RMS. */
  median: number;
}

/** The parts of a model that its layers share, with their layers in order; parts of a single layer are left out. */
export function roles(names: readonly string[], measured: readonly NormReport[]): Role[] {
  const groups = new Map<string, Map<number, NormReport[]>>();
  for (const m of measured) {
    const where = m.fault === null && m.count > 0 ? place(names[m.tensor] ?? "") : null;
    if (where === null) continue;
    const layers = groups.get(where.role) ?? new Map<number, NormReport[]>();
    groups.set(where.role, layers.set(where.layer, [...(layers.get(where.layer) ?? []), m]));
  }
  const made = [...groups].filter(([, layers]) => layers.size > 1).map(([role, layers]) => roleOf(role, layers));
  const stems = new Set(made.map((r) => r.role.split(".#.", 1)[0]));
  for (const r of made) r.label = stems.size === 1 ? r.role.slice(r.role.indexOf(".#.") + 3) : r.role;
  return made;
}

function roleOf(role: string, layers: Map<number, NormReport[]>): Role {
  const points = [...layers].sort(([a], [b]) => a - b).map(([layer, list]): LayerPoint => {
    const sum = { squares: list.reduce((n, m) => n + m.squares, 0), count: list.reduce((n, m) => n + m.count, 0) };
    return { layer, tensors: list.map((m) => m.tensor), rms: rms(sum), norm: norm(sum), largest: Math.max(...list.map((m) => m.largest)), strange: null };
  });
  const sizes = points.map((p) => p.rms);
  for (const s of strange(sizes, LAYERS)) {
    const point = points[s.index];
    if (point !== undefined) point.strange = s.times;
  }
  return { role, label: role, points, median: median(sizes) };
}
