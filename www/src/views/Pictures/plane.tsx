import { count } from "../../lib/format.ts";
import { type Choice, withAxis } from "../../lib/values/plane.ts";
import { choice, choose } from "../../state/pictures.ts";

/** Which two axes of a tensor of more than two are shown, and where the others are held. */
export function PlaneChoice({ shape }: { shape: readonly number[] }) {
  if (shape.length < 3) return null;
  const now = choice.value;
  const axis = (which: "rowAxis" | "colAxis", label: string) => (
    <label>{label} <select class="field" value={now[which]} onChange={(e) => choose(withAxis(now, which, Number(e.currentTarget.value)))}>
      {shape.map((d, i) => <option key={i} value={i}>axis {i} ({count(d)})</option>)}
    </select></label>
  );
  return (
    <div class="row small plane" role="group" aria-label="The plane that is shown">
      {axis("rowAxis", "Rows")}
      {axis("colAxis", "Columns")}
      {shape.map((d, i) => (i === now.rowAxis || i === now.colAxis ? null : (
        <label key={i}>Axis {i} at <input class="field" type="number" min={0} max={d - 1} value={now.at[i] ?? 0} onChange={(e) => choose(held(now, i, e.currentTarget.valueAsNumber, d))} /><span class="muted">of {count(d)}</span></label>
      )))}
    </div>
  );
}

function held(now: Choice, axis: number, index: number, size: number): Choice {
  if (!Number.isFinite(index)) return now;
  return { ...now, at: now.at.map((a, i) => (i === axis ? Math.min(size - 1, Math.max(0, Math.round(index))) : a)) };
}
