/** What stands out among numbers that are alike: by the median, which outliers do not move. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  if (sorted.length === 0) return NaN;
  return sorted.length % 2 === 1 ? (sorted[half] ?? NaN) : ((sorted[half - 1] ?? NaN) + (sorted[half] ?? NaN)) / 2;
}

/** How strange a value must be: robust standard deviations of its logarithm, and times the median (or its inverse). */
export interface Measure {
  deviations: number;
  times: number;
  /** Fewest values among which one can be told strange. */
  least: number;
}

/** Layers of a model, few and all of one role. */
export const LAYERS: Measure = { deviations: 4, times: 1.5, least: 5 };
/** Rows and columns of a matrix, thousands of them. */
export const CHANNELS: Measure = { deviations: 6, times: 1.5, least: 16 };

export interface Strange {
  index: number;
  /** How many times the median. */
  times: number;
}

/**
 * Which of some positive sizes stand out, the strangest first. A logarithm's deviation from the median is compared with
 * 1.4826 times the median of all deviations, which for normal numbers is their standard deviation. Zeros stand out
 * where the others are not zero.
 */
export function strange(sizes: readonly number[], measure: Measure): Strange[] {
  if (sizes.length < measure.least) return [];
  const middle = median(sizes);
  if (!(middle > 0) || !Number.isFinite(middle)) return [];
  const logs = sizes.map((s) => Math.log(s / middle));
  const spread = 1.4826 * median(logs.map((l) => (Number.isFinite(l) ? Math.abs(l) : Infinity)));
  const limit = Math.max(Number.isFinite(spread) ? measure.deviations * spread : Infinity, Math.log(measure.times));
  return logs.flatMap((l, index) => (Math.abs(l) > limit ? [{ index, times: (sizes[index] ?? 0) / middle }] : [])).sort((a, b) => Math.abs(Math.log(b.times)) - Math.abs(Math.log(a.times)));
}
