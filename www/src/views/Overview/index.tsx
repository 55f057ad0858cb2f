import "./style.css";

import { useSignal } from "@preact/signals";

import { bytes, count, parameters, percent, plural, real } from "../../lib/format.ts";
import { encodingColour } from "../../lib/palette.ts";
import { report } from "../../state/model.ts";
import { go } from "../../state/route.ts";
import type { Fact, ModelReport, RunnerReport, VerdictReport } from "../../wire/report.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { StackBar, Swatch } from "../../widgets/StackBar.tsx";
import { Text } from "../../widgets/Text.tsx";
import { later } from "../App/later.tsx";
import { Fit } from "./fit.tsx";
import { DropAsWell } from "./missing.tsx";
import { Place } from "./place.tsx";

/** It comes behind the first view, which has enough to show. */
const Parts = later("Parts");

export function Overview() {
  const model = report.value;
  if (model === null) return null;
  return (
    <div class="overview">
      <section class="card lead-card" aria-label="What it is">
        <p class="lead"><Text value={model.summary} /></p>
        {model.identity.length > 0 ? (
          <dl class="identity">{model.identity.map((f, i) => <div key={i} title={f.source ?? ""}><dt>{f.label}</dt><dd class="break"><Long value={f.value} /></dd></div>)}</dl>
        ) : <p class="muted">The file does not state its name, author or licence.</p>}
      </section>
      <RunsHere model={model} />
      <DropAsWell model={model} />
      <Encodings model={model} />
      <Shape facts={model.shape} model={model} />
      <section class="card by-part"><h2>Size by part</h2><Parts /></section>
      <Place model={model} />
      <Runners runners={model.runners} />
      <Fit />
      <Files model={model} />
    </div>
  );
}

/** Descriptions in the wild run to pages: the overview shows their beginning. */
function Long({ value }: { value: string }) {
  return value.length <= 160 ? <Text value={value} /> : <><Text value={value.slice(0, 160)} />… <span class="small muted">(whole text in Metadata)</span></>;
}

function RunsHere({ model }: { model: ModelReport }) {
  const glassbox = model.runners.find((r) => r.name === "Glassbox");
  const can = model.runnable === null;
  return (
    <section class="card runs-here">
      <h2>Runs here</h2>
      <Verdict verdict={can ? (glassbox?.verdict ?? "yes") : "no"} />
      <p class="muted break sentence"><Text value={can ? (glassbox?.detail ?? "") : (model.runnable ?? "")} /></p>
      <div class="row actions">
        {can ? <button type="button" class="button primary" onClick={() => go({ tab: "run" })}>Load and run</button> : null}
        {model.tokenizer !== null ? <button type="button" class="button" onClick={() => go({ tab: "tokenizer" })}>Try its tokenizer</button> : null}
      </div>
    </section>
  );
}

const VERDICTS = { yes: ["check", "Yes"], partly: ["half", "Partly"], no: ["cross", "No"], unknown: ["question", "Unknown"] } as const satisfies Record<VerdictReport, unknown>;

function Verdict({ verdict }: { verdict: VerdictReport }) {
  const [icon, word] = VERDICTS[verdict];
  return <span class={`verdict ${verdict}`}><Icon name={icon} size={14} />{word}</span>;
}

function Encodings({ model }: { model: ModelReport }) {
  const total = model.encodings.reduce((n, e) => n + e.bytes, 0);
  const parts = model.encodings.map((e) => ({ label: `${e.encoding}, ${bytes(e.bytes)}`, size: e.bytes, colour: encodingColour(e.encoding) }));
  return (
    <section class="card encodings">
      <h2>Size by encoding</h2>
      {model.encodings.length === 0 ? <p class="muted">There are no tensors here.</p> : (
        <>
          <StackBar label={`Tensor bytes by encoding: ${model.encodings.slice(0, 8).map((e) => `${e.encoding} ${percent(total > 0 ? e.bytes / total : 0)}`).join(", ")}`} parts={parts} />
          <div class="table-box" tabIndex={0} role="region" aria-label="Sizes by encoding">
            <table>
              <thead><tr><th scope="col">Encoding</th><th scope="col" class="num">Tensors</th><th scope="col" class="num">Size</th><th scope="col" class="num">Share</th><th scope="col" class="num wide">Bits per value</th></tr></thead>
              <tbody>
                {model.encodings.map((e) => (
                  <tr key={e.encoding}>
                    <th scope="row"><Swatch colour={encodingColour(e.encoding)} /><button type="button" class="link" onClick={() => go({ tab: "tensors", tensor: null, search: e.encoding })} title={e.about}>{e.encoding}</button></th>
                    <td class="num">{count(e.tensors)}</td>
                    <td class="num">{bytes(e.bytes)}</td>
                    <td class="num">{percent(total > 0 ? e.bytes / total : 0)}</td>
                    <td class="num wide">{e.bits === null ? "–" : real(e.bits)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </section>
  );
}

function Shape({ facts, model }: { facts: Fact[]; model: ModelReport }) {
  return (
    <section class="card shape-card">
      <h2>Shape</h2>
      <dl class="facts">
        <dt>Parameters</dt><dd title={count(model.parameters)}>{parameters(model.parameters)}</dd>
        <dt>Tensors</dt><dd>{count(model.tensors.length)}</dd>
        {facts.map((f, i) => <FactRow key={i} fact={f} />)}
      </dl>
    </section>
  );
}

function FactRow({ fact }: { fact: Fact }) {
  const value = /^\d{4,}$/.test(fact.value) ? count(Number(fact.value)) : fact.value;
  return <><dt title={fact.source ?? ""}>{fact.label}</dt><dd><Text value={value} /></dd></>;
}

function Runners({ runners }: { runners: RunnerReport[] }) {
  return (
    <section class="card runners">
      <h2>What can run it</h2>
      <ul>
        {runners.map((r) => (
          <li key={r.name}><Verdict verdict={r.verdict} /><span class="name">{r.name}</span><span class="muted break"><Text value={r.detail} /></span></li>
        ))}
      </ul>
    </section>
  );
}

const SECTION_COLOURS: Record<string, string> = {
  header: "var(--c-vermilion)", metadata: "var(--c-orange)", "tensor list": "var(--c-green)", padding: "var(--c-grey)", tensors: "var(--c-blue)",
  graph: "var(--c-purple)", gap: "var(--c-rose)", trailing: "var(--c-wine)",
};
/** Parts of one file shown before "all" is asked for, and after. */
const FIRST_SECTIONS = 12;
const MOST_SECTIONS = 500;
/** Files shown. */
const MOST_FILES = 40;

function Files({ model }: { model: ModelReport }) {
  const all = useSignal(false);
  const most = all.value ? MOST_SECTIONS : FIRST_SECTIONS;
  const longest = Math.max(0, ...model.files.map((_, i) => model.sections.filter((s) => s.file === i).length));
  return (
    <section class="card files">
      <h2>{model.files.length === 1 ? "In the file" : "In the files"}</h2>
      <div class="table-box" tabIndex={0} role="region" aria-label="Files and what lies in them">
        <table>
          <thead><tr><th scope="col">Part</th><th scope="col" class="num wide">First byte</th><th scope="col" class="num">Size</th></tr></thead>
          {model.files.slice(0, MOST_FILES).map((file, i) => {
            const sections = model.sections.filter((s) => s.file === i);
            return (
              <tbody key={i}>
                <tr><th scope="rowgroup" class="filename"><span class="break"><Text value={file.name} /></span> <span class="muted">{file.role}</span></th><td class="num wide" /><td class="num">{bytes(file.bytes)}</td></tr>
                {sections.slice(0, most).map((s, k) => (
                  <tr key={k}>
                    <td class="part"><Swatch colour={SECTION_COLOURS[s.kind] ?? "var(--c-grey)"} />{s.kind}{s.tensors > 0 ? <span class="muted">, {plural(s.tensors, "tensor")}</span> : null}</td>
                    <td class="num wide">{count(s.start)}</td>
                    <td class="num">{bytes(s.end - s.start)}</td>
                  </tr>
                ))}
                {sections.length > most ? <tr><td class="muted" colSpan={3}>and {plural(sections.length - most, "more part")}</td></tr> : null}
              </tbody>
            );
          })}
          {model.files.length > MOST_FILES ? <tbody><tr><td class="muted" colSpan={3}>and {plural(model.files.length - MOST_FILES, "more file")}</td></tr></tbody> : null}
        </table>
      </div>
      {longest > FIRST_SECTIONS ? <button type="button" class="button slim" aria-expanded={all.value} onClick={() => (all.value = !all.value)}>{all.value ? "Show fewer parts" : "Show all parts"}</button> : null}
    </section>
  );
}
