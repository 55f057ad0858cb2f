import { bytes, count, parameters, plural, real, shape } from "../../lib/format.ts";
import { around, titleOf } from "../../lib/graph/boxes.ts";
import { familyOf } from "../../lib/graph/families.ts";
import { chosen, type Chosen, cost, firstValues, graph, nodesOf, open, reveal, toggleGroup, types, weights } from "../../state/drawing.ts";
import { report } from "../../state/model.ts";
import { go } from "../../state/route.ts";
import { Swatch } from "../../widgets/StackBar.tsx";
import { Text } from "../../widgets/Text.tsx";

/** Lists longer than this are cut, with a word on it. */
const MOST = 24;

/** Selection, in full. */
export function Panel() {
  const now = chosen.value;
  return (
    <section class="card about" aria-label="Selection">
      {now === null ? <><h2>Nothing is selected</h2><p class="muted">Choose a box to see what it reads and writes, its attributes and its weights. A double click, or Enter, opens a group.</p></> : now.kind === "node" ? <Node index={now.index} /> : now.kind === "group" ? <GroupCard index={now.index} /> : <End what={now} />}
    </section>
  );
}

function Node({ index }: { index: number }) {
  const told = report.value?.graph;
  const node = told?.nodes[index];
  if (told == null || node === undefined) return null;
  const family = familyOf(node.op);
  const lacking = told.lacking?.find(([op]) => op === node.op)?.[1];
  const tensors = new Set((weights.value[index] ?? []).map((t) => report.value?.tensors[t]?.name));
  const values = node.inputs.filter((v) => v !== "" && !tensors.has(v));
  return (
    <>
      <h2><Swatch colour={family.colour} /><Text value={node.op} /> <span class="muted small">{family.name}</span></h2>
      {node.name !== "" ? <p class="mono break"><Text value={node.name} /></p> : null}
      <Path of={graph.value.groupOf[index] ?? -1} />
      {lacking !== undefined ? <p class="lacking break">ONNX Runtime lacks it: <Text value={lacking} /></p> : null}
      {(node.subgraphs ?? 0) > 0 ? <p class="muted">It holds {plural(node.subgraphs ?? 0, "graph")} of its own, which {node.subgraphs === 1 ? "is" : "are"} counted and not drawn.</p> : null}
      <Values title="Reads" names={values} ends={(v) => writers(index, v)} />
      <Values title="Writes" names={node.outputs.filter((v) => v !== "")} ends={(v) => readers(index, v)} />
      {(node.attributes?.length ?? 0) > 0 ? (
        <>
          <h3>Attributes</h3>
          <dl class="facts left">{node.attributes?.slice(0, MOST).map(([name, value], i) => <div key={i}><dt class="mono"><Text value={name} /></dt><dd class="mono break"><Text value={value} /></dd></div>)}</dl>
          <More of={node.attributes?.length ?? 0} />
        </>
      ) : null}
      <Weights of={weights.value[index] ?? []} />
    </>
  );
}

function More({ of }: { of: number }) {
  return of > MOST ? <p class="small muted">and {count(of - MOST)} more</p> : null;
}

/** The groups around it; each can be closed again. */
function Path({ of }: { of: number }) {
  const groups = around(graph.value, of);
  if (groups.length === 0) return null;
  return (
    <p class="path">
      <span class="muted">In</span>
      {groups.map((g) => <button key={g} type="button" class="button slim" title="Close this group" onClick={() => { toggleGroup(g, false); reveal({ kind: "group", index: g }); }}><Text value={titleOf(graph.value.groups[g] ?? { id: "", label: "", parent: 0, groups: [], nodes: [], size: 0, times: 1, each: "" })} /></button>)}
    </p>
  );
}

function writers(index: number, value: string): number[] {
  return graph.value.links.list.filter((l) => l.to === index && l.value === value).map((l) => l.from);
}

function readers(index: number, value: string): number[] {
  return graph.value.links.list.filter((l) => l.from === index && l.value === value).map((l) => l.to);
}

function Values({ title, names, ends }: { title: string; names: readonly string[]; ends: (value: string) => number[] }) {
  if (names.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul class="values">
        {names.slice(0, MOST).map((v, i) => (
          <li key={i}>
            <span class="mono break"><Text value={v} /></span>
            {types.value.has(v) ? <span class="muted small"> <Text value={types.value.get(v) ?? ""} /></span> : null}
            {ends(v).slice(0, 8).map((end) => <Jump key={end} to={end} />)}
          </li>
        ))}
      </ul>
      <More of={names.length} />
    </>
  );
}

/** Leads to a node, an input or an output by its number among all. */
function Jump({ to }: { to: number }) {
  const { nodes, inputs } = graph.value.source;
  const node = nodes[to];
  const what: Chosen = node !== undefined ? { kind: "node", index: to } : to < nodes.length + inputs.length ? { kind: "input", index: to - nodes.length } : { kind: "output", index: to - nodes.length - inputs.length };
  const name = node?.op ?? (what.kind === "input" ? "graph input" : "graph output");
  return <button type="button" class="button slim jump" onClick={() => reveal(what)}><Text value={name} /></button>;
}

function Weights({ of }: { of: readonly number[] }) {
  const tensors = report.value?.tensors ?? [];
  if (of.length === 0) return null;
  const values = firstValues.value.value;
  return (
    <>
      <h3>Weights</h3>
      <ul class="values">
        {of.slice(0, MOST).map((t) => {
          const tensor = tensors[t];
          const first = values?.find((v) => v.tensor === t)?.peek;
          const all = tensor?.shape.reduce((n, d) => n * d, 1) ?? 0;
          return tensor === undefined ? null : (
            <li key={t}>
              <button type="button" class="link mono break" onClick={() => go({ tab: "tensors", tensor: tensor.name })}><Text value={tensor.name} /></button>
              <span class="muted small"> {tensor.encoding} {shape(tensor.shape)}{tensor.bytes === null ? "" : `, ${bytes(tensor.bytes)}`}</span>
              {first !== undefined ? <span class="small mono first">{(first.values[0] ?? []).slice(0, 8).map((x) => real(x)).join(", ")}{all > 8 ? ", …" : ""}</span> : null}
            </li>
          );
        })}
      </ul>
      <More of={of.length} />
    </>
  );
}

function GroupCard({ index }: { index: number }) {
  const group = graph.value.groups[index];
  if (group === undefined) return null;
  const nodes = nodesOf({ kind: "group", index });
  const sum = cost(nodes);
  const ops = new Map<string, number>();
  for (const i of nodes) ops.set(graph.value.source.nodes[i]?.op ?? "", (ops.get(graph.value.source.nodes[i]?.op ?? "") ?? 0) + 1);
  const most = [...ops].sort((a, b) => b[1] - a[1]);
  return (
    <>
      <h2><Text value={titleOf(group)} /></h2>
      <p class="row"><button type="button" class="button" onClick={() => { toggleGroup(index, !open.value.has(group.id)); reveal({ kind: "node", index: Math.min(...nodes) }); }}>Open this group</button></p>
      <Path of={group.parent} />
      <dl class="facts">
        {group.times > 1 ? <><dt>Identical groups</dt><dd>{count(group.times)}</dd></> : null}
        <dt>Operators</dt><dd>{count(group.size)}</dd>
        <dt>Parameters</dt><dd>{parameters(sum.elements)}</dd>
        <dt>Weight bytes</dt><dd>{bytes(sum.bytes)}</dd>
      </dl>
      <h3>Its operators</h3>
      <ul class="values">{most.slice(0, MOST).map(([op, n]) => <li key={op}><Swatch colour={familyOf(op).colour} /><Text value={op} /> <span class="muted">{count(n)}</span></li>)}</ul>
    </>
  );
}

function End({ what }: { what: Chosen }) {
  const told = report.value?.graph;
  const value = what.kind === "input" ? told?.inputs[what.index] : told?.outputs[what.index];
  if (value === undefined) return null;
  const { nodes, inputs } = graph.value.source;
  const number = nodes.length + (what.kind === "input" ? 0 : inputs.length) + what.index;
  const ends = graph.value.links.list.flatMap((l) => (l.from === number ? [l.to] : l.to === number ? [l.from] : []));
  return (
    <>
      <h2>Graph {what.kind}</h2>
      <p class="mono break"><Text value={value.name} /></p>
      <p class="muted">{value.encoding ?? "of no stated type"} {value.dims.length === 0 ? "scalar" : <Text value={value.dims.join(" × ")} />}</p>
      <p>{what.kind === "input" ? "Read by " : "Written by "}{ends.slice(0, MOST).map((end) => <Jump key={end} to={end} />)}</p>
    </>
  );
}
