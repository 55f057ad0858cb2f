import "./style.css";

import { useSignal } from "@preact/signals";
import type { ComponentChild } from "preact";
import { useEffect } from "preact/hooks";

import { count } from "../../lib/format.ts";
import { watchChosen, watchDrawing, watchGraph } from "../../state/drawing.ts";
import { report } from "../../state/model.ts";
import { go, route } from "../../state/route.ts";
import { Segmented } from "../../widgets/Segmented.tsx";
import { Text } from "../../widgets/Text.tsx";
import { Drawing } from "./drawing.tsx";
import { Panel } from "./panel.tsx";
import { Nodes, Operators, Signature } from "./table.tsx";

const PARTS = [{ value: "drawing", label: "Drawing" }, { value: "table", label: "Table" }] as const;

/** The operator graph: drawn, or as lists of what goes in, what comes out, which operators there are. */
export function Graph() {
  const graph = report.value?.graph;
  const ready = useSignal(false);
  useEffect(() => {
    const stops = [watchGraph(), watchChosen()];
    ready.value = true;
    return () => stops.forEach((stop) => stop());
  }, []);
  if (graph == null) return <section class="card nothing"><h2>This file holds no graph</h2><p class="muted">ONNX, TensorFlow and TensorFlow Lite files do. A language model is described by its architecture instead, which the overview names.</p></section>;
  const part = route.value.part === "table" ? "table" : "drawing";
  const choice = <Segmented label="How the graph is shown" options={PARTS} value={part} onChange={(to) => go({ part: to === "table" ? to : "", search: route.value.search })} />;
  return (
    <div class="split graph">
      <div class="stack">
        {part === "table" ? <Nodes choice={choice} /> : ready.value ? <Drawn choice={choice} /> : null}
      </div>
      <div class="stack">
        <Panel />
        <section class="card">
          <h2>Graph</h2>
          <dl class="facts">
            {graph.name !== "" ? <><dt>Name</dt><dd><Text value={graph.name} /></dd></> : null}
            {graph.opsets.length > 0 ? <><dt>Operator sets</dt><dd><Text value={graph.opsets.join(", ")} /></dd></> : null}
            <dt>Nodes</dt><dd>{count(graph.nodes.length)}</dd>
            {graph.subgraphs > 0 ? <><dt>Subgraphs</dt><dd>{count(graph.subgraphs)}</dd></> : null}
          </dl>
        </section>
        {part === "table" ? (
          <>
            <Signature title="Inputs" values={graph.inputs} />
            <Signature title="Outputs" values={graph.outputs} />
            <Operators operators={graph.operators} />
          </>
        ) : null}
      </div>
    </div>
  );
}

/** The drawing, laid out anew for as long as it is in sight. */
function Drawn({ choice }: { choice: ComponentChild }) {
  useEffect(watchDrawing, []);
  return <Drawing choice={choice} />;
}
