import "./style.css";

import { useSignal } from "@preact/signals";

import { count, plural } from "../../lib/format.ts";
import { report } from "../../state/model.ts";
import { go, route } from "../../state/route.ts";
import type { GraphValueReport } from "../../wire/report.ts";
import { Search } from "../../widgets/Search.tsx";
import { Text } from "../../widgets/Text.tsx";
import { VirtualGrid } from "../../widgets/VirtualGrid.tsx";

/** The operator graph as lists: what goes in, what comes out, which operators there are. */
export function Graph() {
  const graph = report.value?.graph;
  if (graph == null) return <section class="card nothing"><h2>This file holds no graph</h2><p class="muted">ONNX files do. For a language model the architecture named in the overview stands for it.</p></section>;
  return (
    <div class="split graph">
      <div class="stack">
        <Nodes />
      </div>
      <div class="stack">
        <section class="card">
          <h2>Graph</h2>
          <dl class="facts">
            {graph.name !== "" ? <><dt>Name</dt><dd><Text value={graph.name} /></dd></> : null}
            <dt>Operator sets</dt><dd><Text value={graph.opsets.join(", ")} /></dd>
            <dt>Nodes</dt><dd>{count(graph.nodes.length)}</dd>
            {graph.subgraphs > 0 ? <><dt>Subgraphs</dt><dd>{count(graph.subgraphs)}</dd></> : null}
          </dl>
        </section>
        <Signature title="Inputs" values={graph.inputs} />
        <Signature title="Outputs" values={graph.outputs} />
        <Operators operators={graph.operators} />
      </div>
    </div>
  );
}

function Signature({ title, values }: { title: string; values: GraphValueReport[] }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      {values.length === 0 ? <p class="muted">None are named.</p> : (
        <table>
          <thead><tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col" class="num">Shape</th></tr></thead>
          <tbody>{values.slice(0, 200).map((v, i) => <tr key={i}><th scope="row" class="mono break"><Text value={v.name} /></th><td>{v.encoding ?? "–"}</td><td class="num break dims">{v.dims.length === 0 ? "scalar" : <Text value={v.dims.join(" × ")} />}</td></tr>)}</tbody>
        </table>
      )}
    </section>
  );
}

function Operators({ operators }: { operators: [string, number][] }) {
  const all = useSignal(false);
  const most = operators[0]?.[1] ?? 1;
  const shown = all.value ? operators : operators.slice(0, 12);
  return (
    <section class="card">
      <h2>Operators</h2>
      <table class="operators">
        <thead><tr><th scope="col">Type</th><th scope="col"><span class="quiet">Share</span></th><th scope="col" class="num">Nodes</th></tr></thead>
        <tbody>
          {shown.map(([op, n]) => (
            <tr key={op}><th scope="row"><button type="button" class="link" onClick={() => go({ search: op })}><Text value={op} /></button></th><td><i class="bar" style={{ width: `${(n / most) * 100}%` }} /></td><td class="num">{count(n)}</td></tr>
          ))}
        </tbody>
      </table>
      {operators.length > 12 ? <button type="button" class="button slim" aria-expanded={all.value} onClick={() => (all.value = !all.value)}>{all.value ? "Show fewer" : `Show all ${count(operators.length)}`}</button> : null}
    </section>
  );
}

function Nodes() {
  const nodes = report.value?.graph?.nodes ?? [];
  const words = route.value.search.toLowerCase().split(/\s+/).filter((w) => w !== "");
  const hits: number[] = [];
  nodes.forEach((n, i) => {
    const text = `${n.name}\n${n.op}\n${n.inputs.join("\n")}\n${n.outputs.join("\n")}`.toLowerCase();
    if (words.every((w) => text.includes(w))) hits.push(i);
  });
  const chosen = useSignal(-1);
  const node = nodes[chosen.value];
  return (
    <>
      <div class="row tools"><div class="grow"><Search label="Search nodes" placeholder="Search operators, names and values" value={route.value.search} onInput={(q) => go({ search: q }, true)} /></div><span class="muted small" role="status">{hits.length === nodes.length ? plural(nodes.length, "node") : `${count(hits.length)} of ${count(nodes.length)}`}</span></div>
      <VirtualGrid
        label="Nodes in the order of the file"
        columns={[{ key: "n", label: "#" }, { key: "op", label: "Operator" }, { key: "name", label: "Name" }]}
        count={hits.length}
        row={(i) => {
          const at = hits[i] ?? 0;
          const n = nodes[at];
          return { key: `n${at}`, selected: at === chosen.value, cells: [<span class="muted">{count(at)}</span>, <Text value={n?.op ?? ""} />, <span class="mono muted"><Text value={n?.name ?? ""} /></span>] };
        }}
        onSelect={(i) => { chosen.value = hits[i] ?? -1; }}
        empty="No node fits all of these words."
      />
      <section class="card node" aria-live="polite">
        {node === undefined ? <p class="muted">Choose a node to see what it reads and writes.</p> : (
          <dl class="facts"><dt>Operator</dt><dd><Text value={node.op} /></dd><dt>Reads</dt><dd class="mono"><Text value={node.inputs.join(", ") || "nothing"} /></dd><dt>Writes</dt><dd class="mono"><Text value={node.outputs.join(", ") || "nothing"} /></dd></dl>
        )}
      </section>
    </>
  );
}
