/** A window of a plane as cells to be coloured, from as few values as show it. */

import type { Plane, Window } from "./plane.ts";

/** Asks for values `first .. first + count` of a tensor, in row-major order. */
export type Read = (first: number, count: number) => Promise<ArrayLike<number>>;

export interface Outlier {
  row: number;
  col: number;
  value: number;
}

/** JSON has no NaN: null stands for a cell that holds something which is no finite number. */
export interface HeatReport extends Window {
  /** Cells. */
  height: number;
  width: number;
  /** Of each cell, row by row: the value furthest from zero, and the mean, of the values read. */
  strongest: (number | null)[];
  mean: (number | null)[];
  /** Sums of the values read, by the cells' rows and columns. */
  rowSums: number[];
  colSums: number[];
  /** Rows that were read, and values. */
  rowsRead: number;
  seen: number;
  /** Values that are NaN or infinite. */
  odd: number;
  low: number;
  high: number;
  average: number;
  std: number;
  /** Values further than `FAR` standard deviations from the mean: how many, and the furthest of them. */
  far: number;
  outliers: Outlier[];
}

/** How many values, and reads of the file, one picture may cost. */
export interface Budget {
  values: number;
  reads: number;
}

export const BUDGET: Budget = { values: 1 << 21, reads: 1024 };
/** Standard deviations beyond which a value is marked. */
export const FAR = 6;
const MOST_OUTLIERS = 32;

/** One read: `lines` rows of the plane in one stretch, `count` columns of each from `col` on. */
interface Stretch {
  row: number;
  lines: number;
  col: number;
  count: number;
}

/** `most` of the numbers from..from+size, evenly spread, in each of `bins` equal parts. */
function spread(from: number, size: number, bins: number, most: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < bins; i++) {
    const [start, end] = [Math.floor((i * size) / bins), Math.floor(((i + 1) * size) / bins)];
    const n = Math.max(1, Math.min(end - start, Math.floor(most / bins)));
    for (let k = 0; k < n; k++) out.push(from + start + Math.floor(((k + 0.5) * (end - start)) / n));
  }
  return out;
}

/** What is read of a window, and into how many cells it goes. `plane.colStep` is at most `plane.rowStep`. */
export function plan(plane: Plane, window: Window, cells: { height: number; width: number }, budget: Budget): { height: number; width: number; stretches: Stretch[] } {
  const width = Math.max(1, Math.min(cells.width, window.cols));
  let height = Math.max(1, Math.min(cells.height, window.rows));
  const span = (window.cols - 1) * plane.colStep + 1;
  if (window.rows === 0 || window.cols === 0) return { height, width, stretches: [] };
  if (span > budget.values) {
    // Even one row is too long: a piece of it for every cell.
    height = Math.min(height, Math.max(1, Math.floor(Math.sqrt(budget.reads))));
    const across = Math.max(1, Math.min(width, Math.floor(budget.reads / height)));
    const most = plane.colStep === 1 ? Math.max(1, Math.floor(budget.values / (height * across))) : 1;
    const stretches = spread(window.top, window.rows, height, height).flatMap((row) =>
      Array.from({ length: across }, (_, i) => {
        const [start, end] = [Math.floor((i * window.cols) / across), Math.floor(((i + 1) * window.cols) / across)];
        const count = Math.min(end - start, most);
        return { row, lines: 1, col: window.left + start + Math.floor((end - start - count) / 2), count };
      }));
    return { height, width: across, stretches };
  }
  const lines = Math.floor(budget.values / span);
  // Rows that lie close together are read in one stretch, what is between them with them.
  const close = plane.rowStep <= 2 * span;
  if (window.rows <= lines && close) {
    const each = Math.max(1, Math.floor(budget.values / 2 / plane.rowStep));
    const stretches: Stretch[] = [];
    for (let row = 0; row < window.rows; row += each) stretches.push({ row: window.top + row, lines: Math.min(each, window.rows - row), col: window.left, count: window.cols });
    return { height, width, stretches };
  }
  const most = Math.min(lines, budget.reads);
  const all = window.rows <= most;
  height = Math.min(height, most);
  const rows = all ? Array.from({ length: window.rows }, (_, i) => window.top + i) : spread(window.top, window.rows, height, most);
  return { height, width, stretches: rows.map((row) => ({ row, lines: 1, col: window.left, count: window.cols })) };
}

/** Reads what shows a window and puts it into cells. */
export async function heat(read: Read, plane: Plane, window: Window, cells: { height: number; width: number }, budget: Budget = BUDGET): Promise<HeatReport> {
  if (plane.colStep > plane.rowStep && plane.rows > 1) {
    const turned = await heat(read, turn(plane), { top: window.left, left: window.top, rows: window.cols, cols: window.rows }, { height: cells.width, width: cells.height }, budget);
    return turnBack(turned);
  }
  const { height, width, stretches } = plan(plane, window, cells, budget);
  const made = new Cells(window, height, width);
  const kept: [Stretch, ArrayLike<number>][] = [];
  for (const s of stretches) {
    const first = plane.base + s.row * plane.rowStep + s.col * plane.colStep;
    const values = await read(first, (s.lines - 1) * plane.rowStep + (s.count - 1) * plane.colStep + 1);
    kept.push([s, values]);
    each(plane, s, values, (row, col, value) => made.add(row, col, value));
  }
  const report = made.report(stretches.reduce((n, s) => n + s.lines, 0));
  if (report.std === 0) return report;
  const far: (Outlier & { off: number })[] = [];
  for (const [s, values] of kept) {
    each(plane, s, values, (row, col, value) => {
      const off = Math.abs(value - report.average);
      if (!(off > FAR * report.std) || !Number.isFinite(value)) return;
      report.far += 1;
      far.push({ row, col, value, off });
      if (far.length >= 4 * MOST_OUTLIERS) { far.sort((a, b) => b.off - a.off); far.length = MOST_OUTLIERS; }
    });
  }
  far.sort((a, b) => b.off - a.off);
  report.outliers = far.slice(0, MOST_OUTLIERS).map(({ row, col, value }) => ({ row, col, value }));
  return report;
}

function each(plane: Plane, s: Stretch, values: ArrayLike<number>, tell: (row: number, col: number, value: number) => void): void {
  for (let l = 0; l < s.lines; l++) {
    for (let c = 0; c < s.count; c++) tell(s.row + l, s.col + c, values[l * plane.rowStep + c * plane.colStep] ?? NaN);
  }
}

class Cells {
  private readonly window: Window;
  private readonly height: number;
  private readonly width: number;
  private readonly strongest: Float64Array;
  private readonly sums: Float64Array;
  private readonly counts: Uint32Array;
  private readonly rowSums: Float64Array;
  private readonly colSums: Float64Array;
  private seen = 0;
  private odd = 0;
  private sum = 0;
  private squares = 0;
  private low = Infinity;
  private high = -Infinity;

  constructor(window: Window, height: number, width: number) {
    this.window = window;
    this.height = height;
    this.width = width;
    this.strongest = new Float64Array(height * width);
    this.sums = new Float64Array(height * width);
    this.counts = new Uint32Array(height * width);
    this.rowSums = new Float64Array(height);
    this.colSums = new Float64Array(width);
  }

  add(row: number, col: number, value: number): void {
    const y = bin(row - this.window.top, this.window.rows, this.height);
    const x = bin(col - this.window.left, this.window.cols, this.width);
    const at = y * this.width + x;
    this.seen += 1;
    if (!Number.isFinite(value)) {
      this.odd += 1;
      this.strongest[at] = NaN;
      return;
    }
    // A comparison with NaN is false: what was odd once stays odd.
    if (Math.abs(value) > Math.abs(this.strongest[at] ?? 0)) this.strongest[at] = value;
    this.sums[at] = (this.sums[at] ?? 0) + value;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.rowSums[y] = (this.rowSums[y] ?? 0) + value;
    this.colSums[x] = (this.colSums[x] ?? 0) + value;
    this.sum += value;
    this.squares += value * value;
    this.low = Math.min(this.low, value);
    this.high = Math.max(this.high, value);
  }

  report(rowsRead: number): HeatReport {
    const finite = Math.max(1, this.seen - this.odd);
    const average = this.sum / finite;
    const none = this.seen === this.odd;
    return {
      ...this.window, height: this.height, width: this.width, rowsRead, seen: this.seen, odd: this.odd,
      strongest: Array.from(this.strongest, tidy),
      mean: Array.from(this.sums, (sum, i) => ((this.counts[i] ?? 0) === 0 ? null : tidy(sum / (this.counts[i] ?? 1)))),
      rowSums: Array.from(this.rowSums), colSums: Array.from(this.colSums),
      low: none ? 0 : this.low, high: none ? 0 : this.high, average, std: Math.sqrt(Math.max(0, this.squares / finite - average * average)), far: 0, outliers: [],
    };
  }
}

/** The part of `parts` equal ones in which index `i` of `size` lies; the inverse of how `spread` cuts. */
export function bin(i: number, size: number, parts: number): number {
  return Math.min(parts - 1, Math.floor(((i + 1) * parts - 1) / size));
}

/** Six digits: what colours need. */
function tidy(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
}

function turn(p: Plane): Plane {
  return { rows: p.cols, cols: p.rows, rowStep: p.colStep, colStep: p.rowStep, base: p.base };
}

function turnBack(r: HeatReport): HeatReport {
  const swap = (cells: (number | null)[]) => Array.from(cells, (_, i) => cells[(i % r.height) * r.width + Math.floor(i / r.height)] ?? null);
  return {
    ...r, top: r.left, left: r.top, rows: r.cols, cols: r.rows, height: r.width, width: r.height, strongest: swap(r.strongest), mean: swap(r.mean),
    rowSums: r.colSums, colSums: r.rowSums, outliers: r.outliers.map((o) => ({ row: o.col, col: o.row, value: o.value })),
  };
}

export interface Cell {
  y: number;
  x: number;
  /** First and last row and column of the cell. */
  rows: [number, number];
  cols: [number, number];
  strongest: number | null;
  mean: number | null;
}

/** The cell in which a row and column lie; null outside of the picture. */
export function cellAt(report: HeatReport, row: number, col: number): Cell | null {
  if (row < report.top || col < report.left || row >= report.top + report.rows || col >= report.left + report.cols) return null;
  const [y, x] = [bin(row - report.top, report.rows, report.height), bin(col - report.left, report.cols, report.width)];
  return {
    y, x, rows: cut(report.top, report.rows, report.height, y), cols: cut(report.left, report.cols, report.width, x),
    strongest: report.strongest[y * report.width + x] ?? null, mean: report.mean[y * report.width + x] ?? null,
  };
}

/** First and last index of part `i` of `parts`. */
export function cut(from: number, size: number, parts: number, i: number): [number, number] {
  return [from + Math.floor((i * size) / parts), from + Math.floor(((i + 1) * size) / parts) - 1];
}

/** The magnitude at which colours are full: that of the 99th of a hundred cells, so that a few strong ones do not pale the rest. */
export function fullColour(cells: readonly (number | null)[]): number {
  const sizes = Float64Array.from(cells.flatMap((c) => (c === null || c === 0 ? [] : [Math.abs(c)]))).sort();
  return sizes[Math.min(sizes.length - 1, Math.floor(sizes.length * 0.99))] ?? 1;
}
