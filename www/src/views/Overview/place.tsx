import type { HierarchyReport, ModelReport, PartReport } from "../../wire/report.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { Text } from "../../widgets/Text.tsx";

const STAGES = [
  { id: "original", title: "Original model", about: "PyTorch or TensorFlow, as a Hugging Face folder" },
  { id: "gguf", title: "GGUF", about: "for llama.cpp and its relatives" },
  { id: "onnx", title: "ONNX", about: "for ONNX Runtime and its relatives" },
];

/** The chain original model -> GGUF | ONNX: what is here is lit, what is missing is named. */
export function Place({ model }: { model: ModelReport }) {
  const { place } = model;
  const stages = STAGES.map((s) => ({ ...s, parts: place.parts.filter((p) => p.stage === s.id) })).filter((s) => s.parts.length > 0 || s.id === place.stage);
  const [first, ...rest] = stages;
  return (
    <section class="card place">
      <h2>Provenance</h2>
      <p class="muted"><Text value={place.sentence} /></p>
      <div class="chain">
        {first ? <Stage {...first} here={first.id === place.stage} /> : null}
        {rest.length > 0 ? <span class="arrow" aria-hidden="true"><Icon name="arrow" /></span> : null}
        {rest.length > 0 ? <div class="stack">{rest.map((s) => <Stage key={s.id} {...s} here={s.id === place.stage} />)}</div> : null}
      </div>
      {place.hierarchy.length > 0 ? <Hierarchy parts={place.hierarchy} /> : null}
    </section>
  );
}

/** What the model itself is made of, by group: each part present, missing or contradicted. */
function Hierarchy({ parts }: { parts: HierarchyReport[] }) {
  const groups = [...new Set(parts.map((p) => p.group))];
  return (
    <div class="hierarchy">
      <h3>Components</h3>
      <dl>
        {groups.map((group) => (
          <div key={group} class="group">
            <dt>{group}</dt>
            <dd>
              <ul>
                {parts.filter((p) => p.group === group).map((p, i) => (
                  <li key={i} class={`part ${p.state}`}>
                    <i aria-hidden="true" />
                    <span><span class="name break"><Text value={p.role} /></span> <span class="state">{p.state}</span><br /><span class="small muted break">{p.file !== null && !p.file.endsWith(p.role) ? <><Text value={p.file} />: </> : null}<Text value={p.detail} /></span></span>
                  </li>
                ))}
              </ul>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Stage({ title, about, parts, here }: { title: string; about: string; parts: PartReport[]; here: boolean }) {
  return (
    <div class={here ? "stage here" : "stage"}>
      <h3>{title}{here ? <span class="small you"> this file</span> : null}</h3>
      <p class="small muted">{about}</p>
      <ul>
        {parts.map((p) => (
          <li key={p.name} class={`part ${p.state.replace(" ", "-")}`}>
            <i aria-hidden="true" />
            <span><span class="name">{p.name}</span> <span class="state">{WORDS[p.state] ?? p.state}</span><br /><span class="small muted break"><Text value={p.detail} /></span></span>
          </li>
        ))}
      </ul>
    </div>
  );
}

const WORDS: Record<string, string> = { here: "here", inside: "inside this file", missing: "missing", "not needed": "not needed", elsewhere: "not in this file" };
