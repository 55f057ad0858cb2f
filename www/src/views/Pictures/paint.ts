import { cellAt, cut, fullColour, type HeatReport } from "../../lib/values/heat.ts";
import type { Window } from "../../lib/values/plane.ts";

/** Room for the sums beside and below the map, and the gap between. */
const SUMS = 36;
const GAP = 4;

export function mapSize(width: number, height: number): { width: number; height: number } {
  return { width: Math.max(1, width - SUMS - GAP), height: Math.max(1, height - SUMS - GAP) };
}

interface Scene {
  width: number;
  height: number;
  ratio: number;
  report: HeatReport | null;
  shows: "strongest" | "mean";
  sight: Window;
  cursor: { row: number; col: number } | null;
  colour: (css: string) => string;
}

type Rgb = [number, number, number];

function rgb(css: string): Rgb {
  const [r = 0, g = 0, b = 0] = (css.match(/[\d.]+/g) ?? []).map(Number);
  return [r, g, b];
}

/** 256 colours from the negative end over nothing to the positive one. */
function ramp(colour: (css: string) => string): Rgb[] {
  const [low, middle, high] = [rgb(colour("var(--c-blue)")), rgb(colour("var(--surface)")), rgb(colour("var(--c-vermilion)"))];
  return Array.from({ length: 256 }, (_, i) => {
    const t = (i - 127.5) / 127.5;
    const [end, k] = [t < 0 ? low : high, Math.abs(t)];
    return middle.map((m, c) => Math.round(m + ((end[c] ?? 0) - m) * k)) as Rgb;
  });
}

let bitmap: { of: HeatReport; shows: string; colour: unknown; canvas: HTMLCanvasElement } | null = null;

/** The cells as a picture of one pixel each, made once for each answer. */
function picture(report: HeatReport, shows: Scene["shows"], colour: Scene["colour"]): HTMLCanvasElement {
  if (bitmap?.of === report && bitmap.shows === shows && bitmap.colour === colour) return bitmap.canvas;
  const canvas = document.createElement("canvas");
  canvas.width = report.width;
  canvas.height = report.height;
  const ctx = canvas.getContext("2d");
  const cells = shows === "mean" ? report.mean : report.strongest;
  const full = fullColour(cells);
  const colours = ramp(colour);
  const odd = rgb(colour("var(--c-purple)"));
  const image = new ImageData(report.width, report.height);
  cells.forEach((v, i) => {
    const [r, g, b] = v === null ? odd : (colours[Math.round(127.5 + 127.5 * Math.max(-1, Math.min(1, v / full)))] ?? odd);
    image.data.set([r, g, b, 255], i * 4);
  });
  ctx?.putImageData(image, 0, 0);
  bitmap = { of: report, shows, colour, canvas };
  return canvas;
}

export function paint(ctx: CanvasRenderingContext2D, scene: Scene): void {
  const { width, height, ratio, report, sight, colour } = scene;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  const map = mapSize(width, height);
  ctx.fillStyle = colour("var(--sunk)");
  ctx.fillRect(0, 0, map.width, map.height);
  if (report === null || sight.rows === 0 || sight.cols === 0) return;
  const x = (col: number) => ((col - sight.left) / sight.cols) * map.width;
  const y = (row: number) => ((row - sight.top) / sight.rows) * map.height;
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, 0, map.width, map.height);
  ctx.clip();
  ctx.imageSmoothingEnabled = false;
  // While the next answer is on its way, the last one lies where it belongs.
  ctx.drawImage(picture(report, scene.shows, colour), x(report.left), y(report.top), (report.cols / sight.cols) * map.width, (report.rows / sight.rows) * map.height);
  rings(ctx, report, x, y, colour);
  if (scene.cursor !== null) box(ctx, report, scene.cursor, x, y, colour);
  ctx.restore();
  bars(ctx, report.rowSums, (i) => { const [a, b] = cut(report.top, report.rows, report.height, i); return [y(a), y(b + 1)]; }, map.width + GAP, map.height, false, colour);
  bars(ctx, report.colSums, (i) => { const [a, b] = cut(report.left, report.cols, report.width, i); return [x(a), x(b + 1)]; }, map.height + GAP, map.width, true, colour);
  ctx.strokeStyle = colour("var(--line-strong)");
  ctx.lineWidth = 1;
  ctx.strokeRect(0.5, 0.5, map.width - 1, map.height - 1);
}

function rings(ctx: CanvasRenderingContext2D, report: HeatReport, x: (col: number) => number, y: (row: number) => number, colour: Scene["colour"]): void {
  for (const o of report.outliers) {
    const [cx, cy] = [(x(o.col) + x(o.col + 1)) / 2, (y(o.row) + y(o.row + 1)) / 2];
    for (const [css, wide] of [["var(--surface)", 3], ["var(--ink)", 1.25]] as const) {
      ctx.strokeStyle = colour(css);
      ctx.lineWidth = wide;
      ctx.beginPath();
      ctx.arc(cx, cy, 4.5, 0, 2 * Math.PI);
      ctx.stroke();
    }
  }
}

function box(ctx: CanvasRenderingContext2D, report: HeatReport, at: { row: number; col: number }, x: (col: number) => number, y: (row: number) => number, colour: Scene["colour"]): void {
  const cell = cellAt(report, at.row, at.col);
  if (cell === null) return;
  const [px, py] = [x(cell.cols[0]), y(cell.rows[0])];
  const [w, h] = [x(cell.cols[1] + 1) - px, y(cell.rows[1] + 1) - py];
  // Never so small that it cannot be seen.
  const grow = Math.max(0, (8 - Math.min(w, h)) / 2);
  for (const [css, wide] of [["var(--surface)", 4], ["var(--accent)", 2]] as const) {
    ctx.strokeStyle = colour(css);
    ctx.lineWidth = wide;
    ctx.strokeRect(px - grow, py - grow, w + 2 * grow, h + 2 * grow);
  }
}

/** Sums as bars from the middle of their margin: to the right (or up) where positive. */
function bars(ctx: CanvasRenderingContext2D, sums: readonly number[], place: (i: number) => [number, number], from: number, length: number, below: boolean, colour: Scene["colour"]): void {
  const most = sums.reduce((m, s) => Math.max(m, Math.abs(s)), 0);
  const middle = from + SUMS / 2;
  ctx.fillStyle = colour("var(--line)");
  if (below) ctx.fillRect(0, middle, length, 1);
  else ctx.fillRect(middle, 0, 1, length);
  if (most === 0) return;
  ctx.save();
  ctx.beginPath();
  if (below) ctx.rect(0, from, length, SUMS);
  else ctx.rect(from, 0, SUMS, length);
  ctx.clip();
  for (const sign of [-1, 1]) {
    ctx.fillStyle = colour(sign < 0 ? "var(--c-blue)" : "var(--c-vermilion)");
    sums.forEach((s, i) => {
      if (Math.sign(s) !== sign) return;
      const [a, b] = place(i);
      const size = (Math.abs(s) / most) * (SUMS / 2);
      const thick = Math.max(1, b - a - (b - a > 4 ? 1 : 0));
      if (below) ctx.fillRect(a, sign > 0 ? middle - size : middle, thick, size);
      else ctx.fillRect(sign > 0 ? middle : middle - size, a, size, thick);
    });
  }
  ctx.restore();
}
