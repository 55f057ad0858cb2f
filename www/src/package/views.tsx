import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";

import { bytes, count, parameters, percent, plural, shape } from "../lib/format.ts";
import { encodingColour } from "../lib/palette.ts";
import { FaultError } from "../wire/fault.ts";
import type { MetadataReport, ModelReport, NoteReport, RunnerReport, TensorReport, VerdictReport } from "../wire/report.ts";
import { Icon, type IconName } from "../widgets/Icon.tsx";
import { StackBar, Swatch } from "../widgets/StackBar.tsx";
import { Text } from "../widgets/Text.tsx";

/** Rows added each time more are asked for. */
const ROWS = 100;

/** Takes files that are dropped or chosen. */
export function Drop({ onFiles }: { onFiles: (files: File[]) => void }) {
  const [over, setOver] = useState(false);
  const take = (list: FileList | null | undefined): void => {
    const files = [...(list ?? [])];
    if (files.length > 0) onFiles(files);
  };
  return (
    <div
      class={over ? "box drop over" : "box drop"}
      onDragOver={(e) => { e.preventDefault(); setOver(true); }}
      onDragLeave={() => setOver(false)}
      onDrop={(e) => { e.preventDefault(); setOver(false); take(e.dataTransfer?.files); }}
    >
      <p>Drop a model file here: GGUF, safetensors, ONNX, PyTorch and others. Nothing is uploaded.</p>
      <label class="button">Choose files<input type="file" multiple class="quiet" onChange={(e) => take(e.currentTarget.files)} /></label>
    </div>
  );
}

export function Opening({ what }: { what: string }) {
  return <div class="box" role="status"><p class="muted">{what}…</p><div class="meter unknown"><i /></div></div>;
}

/** Why nothing is shown; `again` goes back to choosing files. */
export function Failed({ error, again }: { error: unknown; again: (() => void) | null }) {
  const report = error instanceof FaultError ? error.report : null;
  const what = report?.what ?? (error instanceof Error ? error.message : String(error));
  return (
    <div class="box" role="alert">
      <p class="what"><Icon name="error" size={16} /> <span class="break"><Text value={what} /></span></p>
      {report !== null && report.file !== null ? <p class="small muted break">in <Text value={report.file} />{report.at === null ? null : ` at byte ${count(report.at)}`}</p> : null}
      {report?.because.map((why, i) => <p key={i} class="small muted break"><Text value={why} /></p>)}
      {again === null ? null : <button type="button" class="button slim" onClick={again}>Choose other files</button>}
    </div>
  );
}

/** All that a report says, the summary first. */
export function Card({ report }: { report: ModelReport }) {
  const name = (report.files.find((f) => f.kind !== "side") ?? report.files[0])?.name.split("/").at(-1) ?? "";
  return (
    <article class="box" aria-label={`Model ${name}`}>
      <header>
        <h2 class="break"><Text value={name} /></h2>
        <p class="small muted">{report.format} {report.version}, {bytes(report.bytes_total)}, {plural(report.tensors.length, "tensor")}</p>
      </header>
      <p class="break"><Text value={report.summary} /></p>
      <dl class="figures">
        <Figure label="Parameters" value={parameters(report.parameters)} />
        {report.architecture === null ? null : <Figure label="Architecture" value={report.architecture} />}
        {report.bits_per_weight === null ? null : <Figure label="Bits per weight" value={report.bits_per_weight.toFixed(2)} />}
      </dl>
      <Encodings report={report} />
      <Findings notes={report.notes} />
      <section><h3>What can run it</h3><ul class="verdicts">{report.runners.map((r) => <Verdict key={r.name} runner={r} />)}</ul></section>
      {report.shape.length === 0 ? null : <Part title="Shape"><dl class="facts">{report.shape.map((f, i) => <Pair key={i} label={f.label} value={f.value} />)}</dl></Part>}
      {report.metadata.length === 0 ? null : <Part title={`Metadata, ${count(report.metadata.length)}`}><Metadata rows={report.metadata} /></Part>}
      {report.tensors.length === 0 ? null : <Part title={`Tensors, ${count(report.tensors.length)}`}><Tensors rows={report.tensors} /></Part>}
    </article>
  );
}

function Figure({ label, value }: { label: string; value: string }) {
  return <div><dt>{label}</dt><dd><Text value={value} /></dd></div>;
}

function Pair({ label, value }: { label: string; value: string }) {
  return <><dt>{label}</dt><dd><Text value={value} /></dd></>;
}

function Part({ title, children }: { title: string; children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  return <details onToggle={(e) => setOpen(e.currentTarget.open)}><summary>{title}</summary>{open ? children : null}</details>;
}

function Encodings({ report }: { report: ModelReport }) {
  const total = report.encodings.reduce((n, e) => n + e.bytes, 0);
  if (total === 0) return null;
  const parts = report.encodings.map((e) => ({ label: `${e.encoding}, ${bytes(e.bytes)}`, size: e.bytes, colour: encodingColour(e.encoding) }));
  return (
    <div>
      <StackBar label={`Tensor bytes by encoding: ${report.encodings.slice(0, 8).map((e) => `${e.encoding} ${percent(e.bytes / total)}`).join(", ")}`} parts={parts} />
      <p class="legend small muted">{report.encodings.slice(0, 8).map((e) => <span key={e.encoding}><Swatch colour={encodingColour(e.encoding)} />{e.encoding} {percent(e.bytes / total)}</span>)}</p>
    </div>
  );
}

const SEVERITIES: Record<string, { icon: IconName; word: string }> = {
  error: { icon: "error", word: "Error" }, warning: { icon: "warning", word: "Warning" }, info: { icon: "info", word: "Information" },
};

function Findings({ notes }: { notes: NoteReport[] }) {
  if (notes.length === 0) return null;
  return (
    <section>
      <h3>Findings</h3>
      <ul class="findings">
        {notes.slice(0, 20).map((note, i) => {
          const { icon, word } = SEVERITIES[note.severity] ?? { icon: "info" as const, word: note.severity };
          return (
            <li key={i} class={note.severity}>
              <Icon name={icon} size={16} />
              <span class="break"><span class="quiet">{word}: </span><Text value={note.what} />{note.advice === null ? null : <><br /><span class="small muted"><Text value={note.advice} /></span></>}</span>
            </li>
          );
        })}
        {notes.length > 20 ? <li class="muted">and {count(notes.length - 20)} more</li> : null}
      </ul>
    </section>
  );
}

const VERDICTS = { yes: ["check", "Yes"], partly: ["half", "Partly"], no: ["cross", "No"], unknown: ["question", "Unknown"] } as const satisfies Record<VerdictReport, unknown>;

function Verdict({ runner }: { runner: RunnerReport }) {
  const [icon, word] = VERDICTS[runner.verdict];
  return <li><span class={`verdict ${runner.verdict}`}><Icon name={icon} size={14} />{word}</span><span>{runner.name}</span><span class="small muted break"><Text value={runner.detail} /></span></li>;
}

/** A field that filters a list, and as many of its rows as were asked for. */
function Filtered<T>({ rows, label, text, row }: { rows: T[]; label: string; text: (row: T) => string; row: (row: T, i: number) => JSX.Element }) {
  const [search, setSearch] = useState("");
  const [most, setMost] = useState(ROWS);
  const found = search === "" ? rows : rows.filter((r) => text(r).toLowerCase().includes(search.toLowerCase()));
  return (
    <>
      <input class="field" type="search" aria-label={`Filter ${label}`} placeholder="Filter" value={search} onInput={(e) => { setSearch(e.currentTarget.value); setMost(ROWS); }} />
      <div class="table-box" tabIndex={0} role="region" aria-label={label}><table><tbody>{found.slice(0, most).map(row)}</tbody></table></div>
      {found.length === 0 ? <p class="muted">None matches.</p> : null}
      {found.length > most ? <button type="button" class="button slim" onClick={() => setMost(most + ROWS)}>{`Show more of ${count(found.length)}`}</button> : null}
    </>
  );
}

function Metadata({ rows }: { rows: MetadataReport[] }) {
  return <Filtered rows={rows} label="metadata" text={(m) => m.key} row={(m, i) => <tr key={i}><th scope="row" class="break"><Text value={m.key} /></th><td class="break"><Text value={valueOf(m)} /></td></tr>} />;
}

/** Longest value shown. */
const LONGEST = 200;

function valueOf({ value, length }: MetadataReport): string {
  const text = Array.isArray(value) ? `${count(length ?? value.length)} items: ${value.slice(0, 8).join(", ")}${(length ?? 0) > 8 ? ", …" : ""}` : String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function Tensors({ rows }: { rows: TensorReport[] }) {
  return (
    <Filtered rows={rows} label="tensors" text={(t) => `${t.name} ${t.encoding}`} row={(t, i) => (
      <tr key={i}><th scope="row" class="break"><Text value={t.name} /></th><td class="num">{shape(t.shape)}</td><td>{t.encoding}</td><td class="num">{t.bytes === null ? "unknown" : bytes(t.bytes)}</td></tr>
    )} />
  );
}
