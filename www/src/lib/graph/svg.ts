/** A drawing as a picture of its own: SVG text with all colours worked out. */
import type { Box } from "./boxes.ts";
import type { Layered } from "./layered.ts";

export interface Picture {
  boxes: readonly Box[];
  widths: readonly number[];
  heights: readonly number[];
  layout: Layered;
  /** Colour of a box's stripe. */
  colour: (box: number) => string;
  ink: string;
  muted: string;
  line: string;
  surface: string;
  sunk: string;
  background: string;
}

const MARGIN = 16;
const FONT = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

export function svg(p: Picture): string {
  const [width, height] = [Math.ceil(p.layout.width) + 2 * MARGIN, Math.ceil(p.layout.height) + 2 * MARGIN];
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}" font-family="${FONT}" font-size="12">`,
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${height}" fill="${p.background}"/>`,
    `<g fill="none" stroke="${p.line}" stroke-width="1.2">`,
    ...p.layout.routes.map((route) => `<path d="${path(route)}"/>`),
    "</g>",
  ];
  p.boxes.forEach((box, i) => {
    const [w, h] = [p.widths[i] ?? 0, p.heights[i] ?? 0];
    const [x, y] = [(p.layout.x[i] ?? 0) - w / 2, (p.layout.y[i] ?? 0) - h / 2];
    const round = box.kind === "input" || box.kind === "output" ? h / 2 : 5;
    out.push(`<rect x="${r(x)}" y="${r(y)}" width="${r(w)}" height="${r(h)}" rx="${round}" fill="${box.kind === "group" ? p.sunk : p.surface}" stroke="${p.line}"/>`);
    if (box.kind === "node") out.push(`<rect x="${r(x + 3)}" y="${r(y + 4)}" width="4" height="${r(h - 8)}" rx="2" fill="${p.colour(i)}"/>`);
    const middle = box.note === "" ? y + h / 2 + 4 : y + h / 2 - 3;
    const centre = r(x + w / 2 + (box.kind === "node" ? 3 : 0));
    out.push(`<text x="${centre}" y="${r(middle)}" text-anchor="middle" fill="${p.ink}"${box.kind === "group" ? ' font-weight="600"' : ""}>${escaped(short(box.title, (w - 20) / 7))}</text>`);
    if (box.note !== "") out.push(`<text x="${centre}" y="${r(middle + 15)}" text-anchor="middle" fill="${p.muted}" font-size="10.5">${escaped(short(box.note, (w - 16) / 5.8))}</text>`);
  });
  out.push("</svg>");
  return out.join("\n");
}

/** A line through the points of a route: straight where they stand above one another, else a curve that leaves and arrives upright. */
export function path(route: ArrayLike<number>): string {
  let d = `M${r(route[0] ?? 0)} ${r(route[1] ?? 0)}`;
  for (let i = 2; i + 1 < route.length; i += 2) {
    const [px = 0, py = 0, x = 0, y = 0] = [route[i - 2], route[i - 1], route[i], route[i + 1]];
    const middle = r((py + y) / 2);
    d += px === x ? `V${r(y)}` : `C${r(px)} ${middle} ${r(x)} ${middle} ${r(x)} ${r(y)}`;
  }
  return d;
}

/** The beginning of a text, where it is longer than fits. */
export function short(text: string, letters: number): string {
  const most = Math.max(1, Math.floor(letters));
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}

function r(n: number): number {
  return Math.round(n * 10) / 10;
}

/** Names of files' own may hold anything: markup, and characters that XML does not allow. */
export function escaped(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]/g, "\ufffd").replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}
