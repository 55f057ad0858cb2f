import { computed, signal, useSignal } from "@preact/signals";
import type { ComponentChild } from "preact";

import { bytes, count, percent, plural } from "../../lib/format.ts";
import { ALL_FAMILIES, familyOf } from "../../lib/graph/families.ts";
import { boxFor, chosen, cost, found, graph, layoutFault, nodesOf, open, openAll, progress, reveal, scene, types } from "../../state/drawing.ts";
import { report } from "../../state/model.ts";
import { go, route } from "../../state/route.ts";
import { Meter } from "../../widgets/Meter.tsx";
import { Search } from "../../widgets/Search.tsx";
import { Segmented } from "../../widgets/Segmented.tsx";
import { Swatch } from "../../widgets/StackBar.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Canvas } from "./canvas.tsx";
import { Save } from "./save.tsx";
import { extentsOf, type Painted } from "./paint.ts";

const COLOURS = [{ value: "family", label: "Operator" }, { value: "cost", label: "Weight bytes" }] as const;
type ColourBy = (typeof COLOURS)[number]["value"];

/** How boxes are coloured; kept while views change. */
const colourBy = signal<ColourBy>("family");

/** Everything about the scene that a paint needs and that does not change while it is looked at. */
const painted = computed<Painted | null>(() => {
  const now = scene.value;
  if (now === null) return null;
  const nodes = report.value?.graph?.nodes ?? [];
  const lacked = new Set((report.value?.graph?.lacking ?? []).map(([op]) => op));
  const costs = now.boxes.map((box) => cost(nodesOf(box)).bytes);
  const most = Math.max(1, ...costs);
  return {
    ...now,
    extents: extentsOf(now),
    labels: now.edges.map((e) => (e.values.length > 1 ? `${count(e.values.length)} values` : (types.value.get(e.values[0] ?? "") ?? ""))),
    stripes: now.boxes.map((box) => (box.kind === "node" ? familyOf(nodes[box.index]?.op ?? "").colour : box.kind === "group" ? "var(--c-grey)" : "var(--accent)")),
    heat: costs.map((n, i) => (now.boxes[i]?.kind === "input" || now.boxes[i]?.kind === "output" ? null : n / most)),
    lacking: now.boxes.map((box) => nodesOf(box).some((i) => lacked.has(nodes[i]?.op ?? ""))),
  };
});

export function Drawing({ choice }: { choice: ComponentChild }) {
  const now = painted.value;
  const hits = found.value;
  const searching = route.value.search.trim() !== "";
  return (
    <>
      <div class="row tools">
        <div class="grow"><Search label="Search nodes" placeholder="Search operators, names and values" value={route.value.search} onInput={(q) => go({ search: q }, true)} /></div>
        {searching ? <Hits hits={hits} /> : null}
        {choice}
      </div>
      <section class="card drawn" aria-label="Drawing">
        <div class="row bar">
          <Segmented label="Colour by" options={COLOURS} value={colourBy.value} onChange={(to) => (colourBy.value = to)} />
          {graph.value.groups.length > 1 ? <><button type="button" class="button slim" disabled={open.value.size === graph.value.groups.length} onClick={() => openAll(true)}>Open all groups</button><button type="button" class="button slim" disabled={open.value.size === 0} onClick={() => openAll(false)}>Close all</button></> : null}
          <span class="push row">{now !== null ? <Save painted={now} /> : null}</span>
        </div>
        {layoutFault.value !== null ? <FaultCard title="The drawing could not be made" fault={layoutFault.value} /> : null}
        <div class="room">
          {now !== null ? <Canvas painted={now} hits={searching ? new Set(hits.map((i) => boxFor({ kind: "node", index: i }))) : null} byCost={colourBy.value === "cost"} /> : null}
          {progress.value !== null ? <div class="working" role="status"><span>Laying out {plural(boxesNow(), "box", "boxes")}</span><Meter share={progress.value} label="Layout" /></div> : null}
        </div>
        {now !== null ? <Legend painted={now} /> : null}
      </section>
    </>
  );
}

function boxesNow(): number {
  return scene.peek()?.boxes.length ?? graph.value.source.nodes.length;
}

/** How many nodes the search finds, and a way through them. */
function Hits({ hits }: { hits: readonly number[] }) {
  const at = useSignal(-1);
  const current = chosen.value?.kind === "node" ? hits.indexOf(chosen.value.index) : -1;
  const step = (by: number) => {
    if (hits.length === 0) return;
    const from = current >= 0 ? current : by > 0 ? -1 : 0;
    at.value = (from + by + hits.length) % hits.length;
    reveal({ kind: "node", index: hits[at.value] ?? 0 });
  };
  return (
    <span class="row hits">
      <span class="muted small" role="status">{hits.length === 0 ? "None found" : current >= 0 ? `${count(current + 1)} of ${count(hits.length)}` : plural(hits.length, "node")}</span>
      <button type="button" class="button slim" disabled={hits.length === 0} onClick={() => step(-1)}>Previous</button>
      <button type="button" class="button slim" disabled={hits.length === 0} onClick={() => step(1)}>Next</button>
    </span>
  );
}

/** What the colours say: only families that are there. */
function Legend({ painted: p }: { painted: Painted }) {
  const nodes = report.value?.graph?.nodes ?? [];
  const constants = graph.value.links.constant.reduce((n, one) => n + one, 0);
  const lacking = report.value?.graph?.lacking ?? [];
  const there = new Set(p.boxes.flatMap((b) => (b.kind === "node" ? [familyOf(nodes[b.index]?.op ?? "").name] : [])));
  const groups = p.boxes.some((b) => b.kind === "group");
  return (
    <div class="legend small">
      {colourBy.value === "family" ? (
        <ul>
          {ALL_FAMILIES.filter((f) => there.has(f.name)).map((f) => <li key={f.name}><Swatch colour={f.colour} />{f.name}</li>)}
          {groups ? <li><i class="swatch group" aria-hidden="true" />Group, closed</li> : null}
          {lacking.length > 0 ? <li class="lacking">▼ ONNX Runtime lacks it</li> : null}
        </ul>
      ) : <Costs painted={p} />}
      <p class="muted">{plural(p.boxes.length, "box", "boxes")}, {plural(p.edges.length, "edge")}{constants > 0 ? `; ${plural(constants, "constant")} drawn with what reads ${constants === 1 ? "it" : "them"}` : ""}. Names, types and shapes are the file's.</p>
    </div>
  );
}

/** The most expensive boxes in numbers. */
function Costs({ painted: p }: { painted: Painted }) {
  const all = cost(graph.value.source.nodes.map((_, i) => i)).bytes;
  const list = p.boxes.map((box, i) => ({ i, box, bytes: cost(nodesOf(box)).bytes })).filter((c) => c.bytes > 0).sort((a, b) => b.bytes - a.bytes).slice(0, 8);
  if (list.length === 0) return <p class="muted">No operator here reads weights of this file.</p>;
  return (
    <>
      <p class="muted"><span class="scale" aria-hidden="true" /> from no weights to the most, {bytes(list[0]?.bytes ?? 0)}</p>
      <ul>{list.map(({ i, box, bytes: n }) => <li key={i}><button type="button" class="link" onClick={() => reveal({ kind: box.kind, index: box.index })}>{box.title}</button> {bytes(n)}, {percent(all > 0 ? n / all : 0)}</li>)}</ul>
    </>
  );
}
