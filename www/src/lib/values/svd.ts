/** Singular values by one-sided Jacobi rotations (Hestenes 1958): slow for large matrices, exact to the last digits for small ones. */

/** Rotations below this cosine between two columns change nothing that a double holds. */
const PARALLEL = 1e-14;
const MOST_SWEEPS = 60;

/** Singular values of a matrix given row by row, largest first. Every value must be finite. */
export function singularValues(values: ArrayLike<number>, rows: number, cols: number): number[] {
  // As many rotations as there are pairs of columns: the shorter side.
  const [m, n] = rows >= cols ? [rows, cols] : [cols, rows];
  const columns = Array.from({ length: n }, (_, j) => Float64Array.from({ length: m }, (_, i) => values[rows >= cols ? i * cols + j : j * cols + i] ?? 0));
  for (let sweep = 0; sweep < MOST_SWEEPS; sweep++) {
    let turned = false;
    for (let p = 0; p < n - 1; p++) {
      for (let q = p + 1; q < n; q++) turned = rotate(columns[p] as Float64Array, columns[q] as Float64Array) || turned;
    }
    if (!turned) break;
  }
  return columns.map((c) => Math.sqrt(dot(c, c))).sort((a, b) => b - a);
}

/** Makes two columns orthogonal; false where they are. */
function rotate(a: Float64Array, b: Float64Array): boolean {
  const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
  if (Math.abs(ab) <= PARALLEL * Math.sqrt(aa * bb)) return false;
  const zeta = (bb - aa) / (2 * ab);
  const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
  const c = 1 / Math.hypot(1, t);
  const s = c * t;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
  return true;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

export interface SpectrumReport {
  rows: number;
  cols: number;
  /** Largest first; null where the block holds NaN or infinities. */
  values: number[] | null;
  /** Standard deviation of the block's values around zero. */
  rms: number;
}

/** What people ask of a spectrum. */
export interface Spectrum {
  /** The spectral norm. */
  largest: number;
  /** The Frobenius norm. */
  frobenius: number;
  /** (Frobenius / spectral)²: how many directions share the strength. */
  stableRank: number;
  /** Exponential of the entropy of the squared singular values' shares. */
  effectiveRank: number;
  /** Largest over smallest; null where the smallest is zero to rounding. */
  condition: number | null;
  /** Fewest singular values that hold 90 and 99 percent of the squares. */
  for90: number;
  for99: number;
  /** Where the largest one of a random matrix of this size and RMS would lie: rms * (sqrt(rows) + sqrt(cols)). */
  random: number;
}

export function describe({ values, rows, cols, rms }: SpectrumReport): Spectrum | null {
  if (values === null || values.length === 0) return null;
  const squares = values.map((v) => v * v);
  const total = squares.reduce((a, b) => a + b, 0);
  const largest = values[0] ?? 0;
  const smallest = values.at(-1) ?? 0;
  if (total === 0) return { largest: 0, frobenius: 0, stableRank: 0, effectiveRank: 0, condition: null, for90: 0, for99: 0, random: 0 };
  const entropy = squares.reduce((sum, s) => (s === 0 ? sum : sum - (s / total) * Math.log(s / total)), 0);
  const reach = (share: number) => {
    let sum = 0;
    return squares.findIndex((s) => (sum += s) >= share * total * (1 - 1e-12)) + 1;
  };
  return {
    largest, frobenius: Math.sqrt(total), stableRank: total / (largest * largest), effectiveRank: Math.exp(entropy),
    condition: smallest > largest * 1e-13 ? largest / smallest : null, for90: reach(0.9), for99: reach(0.99), random: rms * (Math.sqrt(rows) + Math.sqrt(cols)),
  };
}
