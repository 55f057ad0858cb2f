/** Planes of a tensor: two of its axes, the others held at one index. */

/** Which plane is looked at; -1 where a tensor has no such axis. */
export interface Choice {
  rowAxis: number;
  colAxis: number;
  /** An index for every axis; those of the two shown do not count. */
  at: number[];
}

/** A plane as numbers: value (r, c) is element `base + r * rowStep + c * colStep`. */
export interface Plane {
  rows: number;
  cols: number;
  rowStep: number;
  colStep: number;
  base: number;
}

/** The last two axes, the others at 0: what a matrix is. */
export function usual(shape: readonly number[]): Choice {
  return { rowAxis: shape.length - 2, colAxis: shape.length - 1, at: shape.map(() => 0) };
}

/** The same with one of the two axes changed; they change places where both would be the same. */
export function withAxis(choice: Choice, which: "rowAxis" | "colAxis", axis: number): Choice {
  const other = which === "rowAxis" ? "colAxis" : "rowAxis";
  return { ...choice, [which]: axis, ...(choice[other] === axis ? { [other]: choice[which] } : {}) };
}

export function planeOf(shape: readonly number[], { rowAxis, colAxis, at }: Choice): Plane {
  const steps = shape.map((_, i) => shape.slice(i + 1).reduce((n, d) => n * d, 1));
  const base = shape.reduce((n, d, i) => (i === rowAxis || i === colAxis ? n : n + Math.min(Math.max(0, at[i] ?? 0), Math.max(0, d - 1)) * (steps[i] ?? 1)), 0);
  return { rows: shape[rowAxis] ?? 1, cols: shape[colAxis] ?? 1, rowStep: steps[rowAxis] ?? 1, colStep: steps[colAxis] ?? 1, base };
}

/** A part of a plane, in whole rows and columns. */
export interface Window {
  top: number;
  left: number;
  rows: number;
  cols: number;
}

/** Fewest values along an axis that a window shows, where the plane has as many. */
const LEAST = 4;

function along(first: number, size: number, factor: number, share: number, all: number): [number, number] {
  const next = Math.min(all, Math.max(Math.min(LEAST, all), Math.round(size / factor)));
  const start = Math.round(first + share * (size - next));
  return [Math.min(Math.max(0, start), all - next), next];
}

/** Nearer (factor over 1) or farther; what lies at these shares of the window's width and height stays there. */
export function zoomed(plane: Plane, window: Window, factor: number, x = 0.5, y = 0.5): Window {
  const [top, rows] = along(window.top, window.rows, factor, y, plane.rows);
  const [left, cols] = along(window.left, window.cols, factor, x, plane.cols);
  return { top, left, rows, cols };
}

/** Moved by rows and columns, never beyond the plane. */
export function moved(plane: Plane, window: Window, rows: number, cols: number): Window {
  const clamp = (value: number, most: number) => Math.min(Math.max(0, Math.round(value)), Math.max(0, most));
  return { ...window, top: clamp(window.top + rows, plane.rows - window.rows), left: clamp(window.left + cols, plane.cols - window.cols) };
}

export function wholePlane(plane: Plane): Window {
  return { top: 0, left: 0, rows: plane.rows, cols: plane.cols };
}
