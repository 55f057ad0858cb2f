import { plural } from "../../lib/format.ts";
import type { Painted } from "./paint.ts";

/** The box that a step leads to: down to a reader, up to a writer, aside in the same layer; -1 where there is none. */
export function walk(p: Painted, from: number, way: "Up" | "Down" | "Left" | "Right"): number {
  const x = (i: number) => p.layout.x[i] ?? 0;
  if (way === "Up" || way === "Down") {
    const near = p.edges.flatMap((e) => (way === "Down" ? (e.from === from ? [e.to] : []) : e.to === from ? [e.from] : []));
    return near.reduce((best, i) => (best < 0 || Math.abs(x(i) - x(from)) < Math.abs(x(best) - x(from)) ? i : best), -1);
  }
  const sign = way === "Right" ? 1 : -1;
  let best = -1;
  p.boxes.forEach((_, i) => {
    const ahead = (x(i) - x(from)) * sign;
    if (p.layout.y[i] === p.layout.y[from] && ahead > 0 && (best < 0 || ahead < (x(best) - x(from)) * sign)) best = i;
  });
  return best;
}

/** A box in words: what it is, and how many edges lead to it and away. */
export function told(p: Painted, i: number): string {
  const what = p.boxes[i];
  if (what === undefined) return "";
  const into = p.edges.filter((e) => e.to === i).length;
  const out = p.edges.filter((e) => e.from === i).length;
  return [what.title, what.note, p.lacking[i] === true ? "an operator that ONNX Runtime lacks" : "", what.kind === "group" ? "group, closed" : "", `${plural(into, "edge")} in, ${count(out)} out`].filter((t) => t !== "").join(", ");
}

function count(n: number): string {
  return n.toLocaleString("en");
}
