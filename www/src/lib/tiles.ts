/** A treemap: parts as rectangles, their areas as their sizes; parts in parts as far as they can be seen. */
import { hierarchy, treemap } from "d3-hierarchy";

import type { Part } from "./parts.ts";

export interface Tile {
  part: Part | null;
  x: number;
  y: number;
  width: number;
  height: number;
  /** 1 for the parts of what is shown, 2 for theirs, ... */
  depth: number;
  /** Where many small parts are one tile: how many. */
  others: number;
  encoding: string;
  bytes: number;
}

/** Tiles of a smaller area are drawn as one. */
const AREA = 24;
/** Parts of parts are drawn where there is room for them. */
const ROOM = 14;
/** Tiles in all, at most. */
const MOST = 4000;
/** Height of the strip that names a part of the first depth. */
export const STRIP = 20;

/** Tiles in the order of drawing, those of the first depth named by a strip above their parts. */
export function tiles(root: Part, width: number, height: number): Tile[] {
  const out: Tile[] = [];
  const fill = (part: Part, x: number, y: number, w: number, h: number, depth: number) => {
    for (const tile of level(part, x, y, w, h, depth)) {
      if (out.length >= MOST) return;
      out.push(tile);
      const strip = depth === 1 ? STRIP : 0;
      const inside = tile.part;
      if (inside !== null && inside.parts.length > 0 && tile.width > ROOM && tile.height - strip > ROOM) fill(inside, tile.x + 1, tile.y + strip + (depth === 1 ? 0 : 1), tile.width - 2, tile.height - strip - (depth === 1 ? 1 : 2), depth + 1);
    }
  };
  if (root.bytes > 0 && width > 0 && height > 0) fill(root, 0, 0, width, height, 1);
  return out;
}

/** The parts of one part; the smallest are one tile together. They come largest first. */
function level(part: Part, x: number, y: number, w: number, h: number, depth: number): Tile[] {
  const least = depth === 1 ? 600 : AREA;
  const seen = part.parts.filter((p) => (p.bytes / part.bytes) * w * h >= least);
  const small = part.parts.slice(seen.length);
  const rest = small.reduce((sum, p) => sum + p.bytes, 0);
  const items: { part: Part | null; bytes: number }[] = seen.map((p) => ({ part: p, bytes: p.bytes }));
  if (rest > 0) items.push({ part: null, bytes: rest });
  const top = { part: null, bytes: 0 };
  const root = hierarchy<{ part: Part | null; bytes: number }>(top, (d) => (d === top ? items : null)).sum((d) => d.bytes);
  return (treemap<{ part: Part | null; bytes: number }>().size([w, h]).paddingInner(depth === 1 ? 3 : 1)(root).children ?? []).map((node) => ({
    part: node.data.part, x: x + node.x0, y: y + node.y0, width: node.x1 - node.x0, height: node.y1 - node.y0, depth,
    others: node.data.part === null ? small.length : 0, encoding: node.data.part?.encoding ?? small[0]?.encoding ?? "", bytes: node.data.bytes,
  }));
}
