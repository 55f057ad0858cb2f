import { short } from "../../lib/graph/svg.ts";
import { sightOf, type Size, type View } from "../../lib/graph/view.ts";
import type { Scene } from "../../state/drawing.ts";

/** A scene with what each paint would else work out again. */
export interface Painted extends Scene {
  /** Extents of each edge: left, top, right, bottom. */
  extents: Float32Array;
  /** A label for each edge: the type of its value, or how many there are. */
  labels: string[];
  stripes: string[];
  /** Share of the largest cost, where boxes are coloured by that. */
  heat: (number | null)[];
  /** Boxes that hold an operator that some program lacks. */
  lacking: boolean[];
}

export interface Look {
  view: View;
  sight: Size;
  ratio: number;
  colour: (css: string) => string;
  chosen: number;
  hover: number;
  /** Boxes that the search found; null without a search. */
  hits: ReadonlySet<number> | null;
  byCost: boolean;
}

const FONT = 'system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
/** Smaller than this, letters are no letters. */
const LETTERS = 0.42;
const LABELS = 0.8;

export function extentsOf(scene: Scene): Float32Array {
  const out = new Float32Array(scene.edges.length * 4);
  scene.layout.routes.forEach((route, e) => {
    let [l, t, r, b] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < route.length; i += 2) {
      const [x = 0, y = 0] = [route[i], route[i + 1]];
      l = Math.min(l, x); r = Math.max(r, x); t = Math.min(t, y); b = Math.max(b, y);
    }
    out.set([l, t, r, b], e * 4);
  });
  return out;
}

export function paint(ctx: CanvasRenderingContext2D, p: Painted, look: Look): void {
  const { view, sight, ratio, colour } = look;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.fillStyle = colour("var(--surface)");
  ctx.fillRect(0, 0, sight.width, sight.height);
  const k = view.scale * ratio;
  ctx.setTransform(k, 0, 0, k, (sight.width / 2 - view.x * view.scale) * ratio, (sight.height / 2 - view.y * view.scale) * ratio);
  const near = sightOf(view, sight);
  paintEdges(ctx, p, look, near);
  paintBoxes(ctx, p, look, near);
}

function paintEdges(ctx: CanvasRenderingContext2D, p: Painted, { view, colour, chosen }: Look, [l, t, r, b]: number[]): void {
  const mine: number[] = [];
  const seen: number[] = [];
  ctx.lineWidth = Math.max(1.1, 0.6 / view.scale);
  ctx.strokeStyle = colour("var(--line-strong)");
  ctx.globalAlpha = view.scale < 0.2 ? 0.5 : 0.8;
  ctx.beginPath();
  p.edges.forEach((edge, e) => {
    const x = p.extents;
    if ((x[e * 4] ?? 0) > (r ?? 0) || (x[e * 4 + 2] ?? 0) < (l ?? 0) || (x[e * 4 + 1] ?? 0) > (b ?? 0) || (x[e * 4 + 3] ?? 0) < (t ?? 0)) return;
    if (edge.from === chosen || edge.to === chosen) mine.push(e);
    else line(ctx, p.layout.routes[e] ?? [], view.scale < 0.15);
    seen.push(e);
  });
  ctx.stroke();
  ctx.globalAlpha = 1;
  if (mine.length > 0) {
    ctx.lineWidth = Math.max(2, 1.5 / view.scale);
    ctx.strokeStyle = colour("var(--accent)");
    ctx.beginPath();
    for (const e of mine) line(ctx, p.layout.routes[e] ?? [], false);
    ctx.stroke();
  }
  if (view.scale < LETTERS) return;
  const own = new Set(mine);
  for (const e of seen) head(ctx, p.layout.routes[e] ?? [], colour(own.has(e) ? "var(--accent)" : "var(--line-strong)"));
  if (view.scale < LABELS) return;
  label(ctx, p, seen, colour);
}

function line(ctx: CanvasRenderingContext2D, route: ArrayLike<number>, straight: boolean): void {
  ctx.moveTo(route[0] ?? 0, route[1] ?? 0);
  for (let i = 2; i + 1 < route.length; i += 2) {
    const [px = 0, py = 0, x = 0, y = 0] = [route[i - 2], route[i - 1], route[i], route[i + 1]];
    if (px === x || straight) ctx.lineTo(x, y);
    else ctx.bezierCurveTo(px, (py + y) / 2, x, (py + y) / 2, x, y);
  }
}

function head(ctx: CanvasRenderingContext2D, route: ArrayLike<number>, colour: string): void {
  const n = route.length;
  const [x, y, before] = [route[n - 2] ?? 0, route[n - 1] ?? 0, route[n - 3] ?? 0];
  const way = y >= before ? -1 : 1;
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x - 3.5, y + way * 7);
  ctx.lineTo(x + 3.5, y + way * 7);
  ctx.fill();
}

/** Types and shapes beside the ends of edges; where two would overlap, the first stays. */
function label(ctx: CanvasRenderingContext2D, p: Painted, seen: readonly number[], colour: (css: string) => string): void {
  ctx.font = `10px ${FONT}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const taken = new Map<number, [number, number][]>();
  const told = new Set<string>();
  for (const e of seen) {
    const text = p.labels[e] ?? "";
    if (text === "") continue;
    const edge = p.edges[e];
    // One value that several read is told once, where it leaves.
    const once = `${edge?.from} ${edge?.values.join(" ")}`;
    if (told.has(once)) continue;
    const route = p.layout.routes[e] ?? [];
    const [x, y] = [((route[0] ?? 0) * 2 + (route[2] ?? 0)) / 3, (route[1] ?? 0) + 15];
    const half = ctx.measureText(text).width / 2 + 3;
    const row = taken.get(Math.round(y / 14)) ?? [];
    if (row.some(([a, b]) => x + half > a && x - half < b)) continue;
    told.add(once);
    row.push([x - half, x + half]);
    taken.set(Math.round(y / 14), row);
    ctx.fillStyle = colour("var(--surface)");
    ctx.fillRect(x - half, y - 6, 2 * half, 12);
    ctx.fillStyle = colour("var(--muted)");
    ctx.fillText(text, x, y + 0.5);
  }
}

function paintBoxes(ctx: CanvasRenderingContext2D, p: Painted, look: Look, [l, t, r, b]: number[]): void {
  const { view, colour } = look;
  const letters = view.scale >= LETTERS;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (let i = 0; i < p.boxes.length; i++) {
    const [w = 0, h = 0, cx = 0, cy = 0] = [p.widths[i], p.heights[i], p.layout.x[i], p.layout.y[i]];
    if (cx - w / 2 > (r ?? 0) || cx + w / 2 < (l ?? 0) || cy - h / 2 > (b ?? 0) || cy + h / 2 < (t ?? 0)) continue;
    const dim = look.hits !== null && !look.hits.has(i) && i !== look.chosen;
    ctx.globalAlpha = dim ? 0.35 : 1;
    if (letters) box(ctx, p, i, look, cx - w / 2, cy - h / 2, w, h);
    else {
      ctx.fillStyle = fill(p, i, look) ?? colour(p.stripes[i] ?? "var(--c-grey)");
      ctx.fillRect(cx - w / 2, cy - h / 2, w, h);
    }
    const hit = look.hits?.has(i) === true;
    if (i === look.chosen || i === look.hover || hit) {
      ctx.lineWidth = Math.max(i === look.hover && i !== look.chosen ? 1.5 : 2.5, 2 / view.scale);
      ctx.strokeStyle = colour(hit && i !== look.chosen ? "var(--c-orange)" : "var(--accent)");
      ctx.strokeRect(cx - w / 2 - 2, cy - h / 2 - 2, w + 4, h + 4);
    }
  }
  ctx.globalAlpha = 1;
}

/** The fill that says what a box costs; null where boxes are not coloured by that. */
function fill(p: Painted, i: number, look: Look): string | null {
  if (!look.byCost) return null;
  const heat = p.heat[i] ?? 0;
  return heat === 0 ? look.colour("var(--sunk)") : look.colour(`color-mix(in srgb, var(--c-orange) ${Math.round(15 + 75 * Math.sqrt(heat))}%, var(--surface))`);
}

function box(ctx: CanvasRenderingContext2D, p: Painted, i: number, look: Look, x: number, y: number, w: number, h: number): void {
  const { colour } = look;
  const what = p.boxes[i];
  if (what === undefined) return;
  const group = what.kind === "group";
  const end = what.kind === "input" || what.kind === "output";
  const heat = fill(p, i, look);
  ctx.lineWidth = 1;
  ctx.strokeStyle = colour("var(--line-strong)");
  ctx.fillStyle = heat ?? colour(group ? "var(--sunk)" : end ? "var(--accent-soft)" : "var(--surface)");
  if (group && what.title.includes("×")) {
    ctx.beginPath();
    ctx.roundRect(x + 4, y + 4, w, h, 5);
    ctx.fill();
    ctx.stroke();
  }
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, end ? h / 2 : 5);
  ctx.fill();
  ctx.stroke();
  if (what.kind === "node") {
    ctx.fillStyle = colour(p.stripes[i] ?? "var(--c-grey)");
    ctx.beginPath();
    ctx.roundRect(x + 3, y + 4, 4, h - 8, 2);
    ctx.fill();
  }
  const hot = heat !== null && (p.heat[i] ?? 0) > 0.45;
  const middle = x + w / 2 + (what.kind === "node" ? 3 : group ? -6 : 0);
  const first = what.note === "" ? y + h / 2 + 0.5 : y + h / 2 - 7;
  ctx.fillStyle = hot ? "#111" : colour("var(--ink)");
  ctx.font = `${group ? "600 " : ""}12px ${FONT}`;
  ctx.fillText(short(what.title, (w - 20) / 6.6), middle, first);
  if (what.note !== "") {
    ctx.fillStyle = hot ? "#111" : colour("var(--muted)");
    ctx.font = `10.5px ${FONT}`;
    ctx.fillText(short(what.note, (w - 14) / 5.6), middle, first + 15);
  }
  if (group) plus(ctx, x + w - 13, y + h / 2, colour("var(--muted)"));
  if (p.lacking[i] === true) mark(ctx, x + w, y, colour("var(--bad)"), colour("var(--surface)"));
}

/** What opens. */
function plus(ctx: CanvasRenderingContext2D, x: number, y: number, colour: string): void {
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  ctx.moveTo(x - 4, y);
  ctx.lineTo(x + 4, y);
  ctx.moveTo(x, y - 4);
  ctx.lineTo(x, y + 4);
  ctx.stroke();
}

/** A program lacks this operator: told by form as well as colour. */
function mark(ctx: CanvasRenderingContext2D, x: number, y: number, colour: string, paper: string): void {
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.moveTo(x - 8, y - 7);
  ctx.lineTo(x + 8, y - 7);
  ctx.lineTo(x, y + 7);
  ctx.fill();
  ctx.fillStyle = paper;
  ctx.fillRect(x - 0.9, y - 5, 1.8, 5);
  ctx.fillRect(x - 0.9, y + 1.2, 1.8, 1.8);
}
