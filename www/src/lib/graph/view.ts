/** Which part of a drawing is in sight: a point of it in the middle, and how large. */

export interface View {
  /** Centre, in the drawing's units. */
  x: number;
  y: number;
  /** Pixels per unit. */
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

export const NEAREST = 3;
const READABLE = 0.55;
const MARGIN = 24;

/** All of it; never larger than life. */
export function whole(drawing: Size, sight: Size): View {
  const scale = Math.min(1, (sight.width - MARGIN) / Math.max(1, drawing.width), (sight.height - MARGIN) / Math.max(1, drawing.height));
  return { x: drawing.width / 2, y: drawing.height / 2, scale: Math.max(scale, 0.002) };
}

/** The beginning: all of it where that can be read, else its upper end around `x`. */
export function beginning(drawing: Size, sight: Size, x: number): View {
  const all = whole(drawing, sight);
  if (all.scale >= READABLE) return all;
  const scale = Math.min(1, Math.max(READABLE, (sight.width - MARGIN) / Math.max(1, drawing.width)));
  const wide = drawing.width * scale <= sight.width;
  return { x: wide ? drawing.width / 2 : x, y: Math.min(drawing.height / 2, (sight.height / 2 - MARGIN) / scale), scale };
}

/** Larger or smaller, with the point under (px, py) staying there; pixels from the middle of the sight. */
export function zoom(view: View, factor: number, px: number, py: number, least: number): View {
  const scale = Math.min(NEAREST, Math.max(least, view.scale * factor));
  return { x: view.x + px / view.scale - px / scale, y: view.y + py / view.scale - py / scale, scale };
}

/** Moved by pixels, the drawing never quite out of sight. */
export function pan(view: View, dx: number, dy: number, drawing: Size): View {
  const clamp = (value: number, most: number) => Math.min(most, Math.max(0, value));
  return { ...view, x: clamp(view.x - dx / view.scale, drawing.width), y: clamp(view.y - dy / view.scale, drawing.height) };
}

/** What is in sight, in the drawing's units: left, top, right, bottom. */
export function sightOf(view: View, sight: Size): [number, number, number, number] {
  const [w, h] = [sight.width / 2 / view.scale, sight.height / 2 / view.scale];
  return [view.x - w, view.y - h, view.x + w, view.y + h];
}
