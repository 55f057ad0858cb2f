import { useSignal } from "@preact/signals";
import type { ComponentChild } from "preact";

import { count, plural } from "../../lib/format.ts";
import { choose, chosen } from "../../state/drawing.ts";
import { report } from "../../state/model.ts";
import { go, route } from "../../state/route.ts";
import type { GraphValueReport } from "../../wire/report.ts";
import { Search } from "../../widgets/Search.tsx";
import { Text } from "../../widgets/Text.tsx";
import { VirtualGrid } from "../../widgets/VirtualGrid.tsx";

export function Signature({ title, values }: { title: string; values: GraphValueReport[] }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      {values.length === 0 ? <p class="muted">None.</p> : (
        <table>
          <thead><tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col" class="num">Shape</th></tr></thead>
          <tbody>{values.slice(0, 200).map((v, i) => <tr key={i}><th scope="row" class="mono break"><Text value={v.name} /></th><td>{v.encoding ?? "–"}</td><td class="num break dims">{v.dims.length === 0 ? "scalar" : <Text value={v.dims.join(" × ")} />}</td></tr>)}</tbody>
        </table>
      )}
    </section>
  );
}

export function Operators({ operators }: { operators: [string, number][] }) {
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

/** The same graph as a list, for whoever does not want to see it drawn. */
export function Nodes({ choice }: { choice: ComponentChild }) {
  const nodes = report.value?.graph?.nodes ?? [];
  const words = route.value.search.toLowerCase().split(/\s+/).filter((w) => w !== "");
  const hits: number[] = [];
  nodes.forEach((n, i) => {
    const text = `${n.name}\n${n.op}\n${n.inputs.join("\n")}\n${n.outputs.join("\n")}`.toLowerCase();
    if (words.every((w) => text.includes(w))) hits.push(i);
  });
  return (
    <>
      <div class="row tools"><div class="grow"><Search label="Search nodes" placeholder="Search operators, names and values" value={route.value.search} onInput={(q) => go({ search: q }, true)} /></div><span class="muted small" role="status">{hits.length === nodes.length ? plural(nodes.length, "node") : `${count(hits.length)} of ${count(nodes.length)}`}</span>{choice}</div>
      <VirtualGrid
        label="Nodes in the order of the file"
        columns={[{ key: "n", label: "#" }, { key: "op", label: "Operator" }, { key: "name", label: "Name" }]}
        count={hits.length}
        row={(i) => {
          const at = hits[i] ?? 0;
          const n = nodes[at];
          return { key: `n${at}`, selected: chosen.value?.kind === "node" && at === chosen.value.index, cells: [<span class="muted">{count(at)}</span>, <Text value={n?.op ?? ""} />, <span class="mono muted"><Text value={n?.name ?? ""} /></span>] };
        }}
        onSelect={(i) => choose({ kind: "node", index: hits[i] ?? 0 })}
        reveal={chosen.value?.kind === "node" ? hits.indexOf(chosen.value.index) : -1}
        empty="No node matches all of these words."
      />
    </>
  );
}
