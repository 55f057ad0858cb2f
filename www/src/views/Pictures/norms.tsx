import "./style.css";

import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { bytes, count, percent, plural, real } from "../../lib/format.ts";
import { type LayerPoint, norm, rms, type Role, type SizeBy } from "../../lib/values/norms.ts";
import { LAYERS } from "../../lib/values/robust.ts";
import { done, fault, hidden, measurable, measure, measured, outliers, parts, sizeBy, state, stop, toggle, total, watchNorms } from "../../state/norms.ts";
import { select, selected, tensors } from "../../state/tensors.ts";
import { Meter } from "../../widgets/Meter.tsx";
import { Plot } from "../../widgets/Plot.tsx";
import { Segmented } from "../../widgets/Segmented.tsx";
import { Text } from "../../widgets/Text.tsx";
import { VirtualGrid } from "../../widgets/VirtualGrid.tsx";
import { FaultCard } from "../Faults/index.tsx";

const SIZES: { value: SizeBy; label: string }[] = [{ value: "rms", label: "RMS" }, { value: "norm", label: "Norm" }, { value: "largest", label: "Largest" }];
const WORDS: Record<SizeBy, string> = { rms: "RMS of all values", norm: "Euclidean norm of all values", largest: "largest magnitude" };
const COLOURS = ["blue", "vermilion", "green", "purple", "orange", "sky", "wine", "olive", "indigo-soft", "teal", "sand", "rose"];
/** Roles drawn; a model with more shows the first, and all in the table. */
const MOST_ROLES = 24;
const NAMED = 12;

/** How strong the tensors are, layer by layer, over the whole model. */
export function Norms() {
  useEffect(watchNorms, []);
  return (
    <section class="card norms" aria-label="Norms by layer">
      <h2>Norms by layer</h2>
      <Progress />
      {fault.value !== null ? <FaultCard title="The tensors could not be measured" fault={fault.value} /> : null}
      {measured.value.length > 0 ? <><Layers /><Outliers /><Numbers /></> : null}
    </section>
  );
}

function Progress() {
  const of = measurable.value.length;
  const left = total.value - done.value;
  if (of === 0) return <p class="muted">No tensor's values are here.</p>;
  const failed = measured.value.filter((m) => m.fault !== null);
  if (state.value === "done") {
    return (
      <p class="small muted" role="status">
        {failed.length === 0 ? `All ${plural(of, "tensor")} are measured.` : `${count(of - failed.length)} of ${plural(of, "tensor")} are measured; ${count(failed.length)} could not be read: `}
        {failed.length === 0 ? null : <Text value={failed[0]?.fault ?? ""} />}
      </p>
    );
  }
  const now = `${count(measured.value.length)} of ${plural(of, "tensor")}, ${bytes(done.value)} of ${bytes(total.value)}`;
  return (
    <div class="measuring">
      {state.value === "busy" ? (
        <>
          <p class="small">Measuring in the background: {now}, {percent(total.value > 0 ? done.value / total.value : 0)}</p>
          <Meter label="Measuring all tensors" share={total.value > 0 ? done.value / total.value : null} now={now} />
          <button type="button" class="button slim" onClick={stop}>Stop</button>
        </>
      ) : (
        <>
          <p class="small muted">{state.value === "idle" ? "How large the weights are from layer to layer, and which layers stand out. It needs every value of the model; what else you do goes on meanwhile." : `Stopped after ${now}.`}</p>
          <button type="button" class="button" onClick={() => void measure()}>{state.value === "idle" ? `Read all ${bytes(total.value)}` : `Go on with ${bytes(left)}`}</button>
        </>
      )}
    </div>
  );
}

function colourOf(i: number): string {
  return `var(--c-${COLOURS[i % COLOURS.length] ?? "grey"})`;
}

function Layers() {
  const all = parts.value;
  if (all.length === 0) return state.value === "done" && measured.value.some((m) => m.fault === null) ? <p class="small muted">No two tensors have names that differ by a layer's number: there is nothing to plot, the table has them all.</p> : null;
  const drawn = all.slice(0, MOST_ROLES);
  const shown = drawn.map((role, i) => ({ role, i })).filter(({ role }) => !hidden.value.has(role.role));
  const of = (p: LayerPoint) => p[sizeBy.value];
  const points = shown.flatMap(({ role }) => role.points).filter((p) => of(p) > 0);
  const layers = [...new Set(points.map((p) => p.layer))].sort((a, b) => a - b);
  const [least, most] = [points.reduce((n, p) => Math.min(n, of(p)), Infinity), points.reduce((n, p) => Math.max(n, of(p)), 0)];
  const say = (i: number) => {
    const layer = layers[i];
    const here = shown.flatMap(({ role }) => role.points.filter((p) => p.layer === layer).map((p) => `${role.label} ${real(of(p), 3)}`));
    return `Layer ${layer ?? ""}: ${here.slice(0, 14).join(", ")}${here.length > 14 ? ", …" : ""}`;
  };
  const marks = outliers.value.filter(({ role, point }) => shown.some((s) => s.role === role) && of(point) > 0).slice(0, NAMED)
    .map(({ role, point }) => ({ x: point.layer, y: of(point), label: `${point.layer} ${short(role.label)}` }));
  return (
    <>
      <div class="row small controls"><Segmented label="Size" options={SIZES} value={sizeBy.value} onChange={(to) => (sizeBy.value = to)} /></div>
      {points.length === 0 ? <p class="small muted">Nothing is chosen below, or all of it is zero.</p> : (
        <Plot
          label={`${WORDS[sizeBy.value]} by layer, of ${plural(shown.length, "part")} over ${plural(layers.length, "layer")}, from ${real(least)} to ${real(most)}${outliers.value.length > 0 ? `; ${plural(outliers.value.length, "layer stands", "layers stand")} out` : ""}`}
          height={340}
          x={{ label: "layer", from: layers[0] ?? 0, to: layers.at(-1) ?? 1, whole: true }}
          y={{ label: `${WORDS[sizeBy.value]}, by layer`, from: least * 0.9, to: most * 1.1, log: true }}
          lines={shown.map(({ role, i }) => ({ key: role.role, colour: colourOf(i), dashed: i >= COLOURS.length, points: role.points.filter((p) => of(p) > 0).map((p) => [p.layer, of(p)] as const), dots: role.points.length <= 48 }))}
          marks={marks}
          stops={layers}
          say={say}
        />
      )}
      <div class="roles" role="group" aria-label="Parts that are drawn">
        {drawn.map((role, i) => <button key={role.role} type="button" class="chip" aria-pressed={!hidden.value.has(role.role)} onClick={() => toggle(role.role)}><i class="swatch" style={{ background: hidden.value.has(role.role) ? "transparent" : colourOf(i), outline: `1px solid ${colourOf(i)}` }} /><Text value={role.label} /></button>)}
      </div>
      {all.length > MOST_ROLES ? <p class="small muted">and {plural(all.length - MOST_ROLES, "more part")}, which the table below has.</p> : null}
    </>
  );
}

/** "attn_q.weight" is short enough as attn_q. */
function short(label: string): string {
  return label.replace(/\.weight$/, "");
}

function Outliers() {
  const list = outliers.value;
  const more = useSignal(false);
  const judged = parts.value.filter((r) => r.points.length >= LAYERS.least).length;
  const rule = `further than ${LAYERS.deviations} robust standard deviations of the logarithm and ${LAYERS.times} times from the median RMS of its part`;
  if (judged === 0) return <p class="small muted">Layers are compared where a part has at least {LAYERS.least} of them.</p>;
  if (list.length === 0) return <p class="small muted">{state.value === "done" ? "No layer stands out" : "No layer stands out so far"}: none lies {rule}.</p>;
  return (
    <>
      <h3>{plural(list.length, "layer stands", "layers stand")} out</h3>
      <ul class="outliers small">
        {list.slice(0, more.value ? 200 : NAMED).map(({ role, point, times }) => <li key={`${role.role}-${point.layer}`}><Outlier role={role} point={point} times={times} /></li>)}
      </ul>
      {list.length > NAMED ? <button type="button" class="button slim" aria-expanded={more.value} onClick={() => (more.value = !more.value)}>{more.value ? "Show fewer" : `Show all ${count(Math.min(200, list.length))}`}</button> : null}
      <p class="small muted">Each lies {rule}.</p>
    </>
  );
}

function Outlier({ role, point, times }: { role: Role; point: LayerPoint; times: number }) {
  const [first] = point.tensors;
  const name = `Layer ${point.layer}, ${role.label}`;
  return <>{first === undefined ? name : <button type="button" class="link break" onClick={() => select(first)}><Text value={name} /></button>}: RMS {real(point.rms)}, {real(times, 3)} times the median of its {plural(role.points.length, "layer")}</>;
}

type Column = "name" | "rms" | "norm" | "largest";

function Numbers() {
  const sort = useSignal<{ key: Column; descending: boolean }>({ key: "name", descending: false });
  const order = useComputed(() => {
    const { key, descending } = sort.value;
    const list = [...measured.value];
    if (key === "name") list.sort((a, b) => a.tensor - b.tensor);
    else list.sort((a, b) => size(a, key) - size(b, key));
    return descending ? list.reverse() : list;
  });
  const by = (key: Column) => ({
    onSort: () => { sort.value = sort.value.key === key ? { key, descending: !sort.value.descending } : { key, descending: key !== "name" }; },
    ...(sort.value.key === key ? { sorted: sort.value.descending ? ("descending" as const) : ("ascending" as const) } : {}),
  });
  const list = order.value;
  return (
    <>
      <h3>All tensors</h3>
      <VirtualGrid
        label="Norms of the tensors"
        columns={[
          { key: "name", label: "Name", ...by("name") }, { key: "rms", label: "RMS", numeric: true, ...by("rms") },
          { key: "norm", label: "Norm", numeric: true, ...by("norm") }, { key: "largest", label: "Largest", numeric: true, ...by("largest") },
        ]}
        count={list.length}
        row={(i) => {
          const m = list[i];
          const name = tensors.value[m?.tensor ?? -1]?.name ?? "";
          if (m === undefined) return { key: `none${i}`, cells: [] };
          const cells = m.fault !== null ? [<span class="gone" title={m.fault}>not read</span>, "–", "–"] : [real(rms(m)), real(norm(m)), real(m.largest)];
          return { key: String(m.tensor), selected: m.tensor === selected.value, cells: [<span class="mono" title={name}><Text value={name} /></span>, ...cells] };
        }}
        onSelect={(i) => { const m = list[i]; if (m !== undefined) select(m.tensor); }}
        parent={() => -1}
        reveal={-1}
        empty="Nothing is measured yet."
      />
    </>
  );
}

function size(m: Parameters<typeof norm>[0] & { count: number; largest: number }, key: "rms" | "norm" | "largest"): number {
  return key === "rms" ? rms(m) : key === "norm" ? norm(m) : m.largest;
}
