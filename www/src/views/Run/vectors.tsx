import { count, plural } from "../../lib/format.ts";
import { busy, encoder, runFault } from "../../state/run.ts";
import { chosen, embed, leftOut, lines, neighbours, promptName, texts, type Vectors, vectors } from "../../state/vectors.ts";
import { CopyButton } from "../../widgets/CopyButton.tsx";
import { Icon } from "../../widgets/Icon.tsx";
import { Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";
import type { ComponentChildren } from "preact";

/** Neighbours that are listed. */
const LISTED = 8;
/** The longest text file that is taken in, in bytes. */
const FILE_MOST = 4_000_000;

/** Texts of an encoder, and how alike they are. */
export function Texts({ status, controls }: { status: ComponentChildren; controls: ComponentChildren }) {
  return (
    <>
      <form class="prompt" onSubmit={(e) => { e.preventDefault(); void embed(); }}>
        <textarea
          class="field texts"
          rows={8}
          required
          aria-label="Texts, one per line"
          placeholder="Texts, one per line; or drop a text file here"
          value={texts.value}
          onInput={(e) => (texts.value = e.currentTarget.value)}
          onDragOver={(e) => { if (e.dataTransfer?.types.includes("Files") === true) e.preventDefault(); }}
          onDrop={(e) => { const file = e.dataTransfer?.files[0]; if (file !== undefined) { e.preventDefault(); e.stopPropagation(); void take(file); } }}
          onKeyDown={(e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); e.currentTarget.form?.requestSubmit(); } }}
        />
        <Prompts />
        <div class="row">
          {controls}
          <label class="button">Text file…<input type="file" accept="text/*,.txt,.md,.csv" class="quiet" onChange={(e) => { const file = e.currentTarget.files?.[0]; if (file !== undefined) void take(file); e.currentTarget.value = ""; }} /></label>
          <span class="small muted push">{plural(lines(texts.value).length, "text")}</span>
        </div>
      </form>
      <div class="state small muted" role="status">{status}</div>
      {runFault.value !== null ? <FaultCard title="The texts could not be embedded" fault={runFault.value} /> : null}
      {vectors.value !== null ? <Matrix of={vectors.value} /> : null}
    </>
  );
}

async function take(file: File): Promise<void> {
  texts.value = (await file.slice(0, FILE_MOST).text());
}

function Prompts() {
  const known = encoder.value;
  if (known === null || known.prompts.length === 0) return null;
  return (
    <label class="row small">Prompt before each text
      <select class="field narrow" value={promptName.value ?? known.default_prompt ?? ""} disabled={busy.value} onChange={(e) => (promptName.value = e.currentTarget.value)}>
        <option value="">none</option>
        {known.prompts.map((p) => <option key={p.name} value={p.name}>{p.name}: {JSON.stringify(p.text)}</option>)}
      </select>
    </label>
  );
}

/** Similarities as a table whose cells are coloured. */
function Matrix({ of }: { of: Vectors }) {
  const n = of.texts.length;
  const row = (i: number) => Array.from({ length: n }, (_, j) => of.similar[i * n + j]!);
  return (
    <section class="similar" aria-label="Similarity of the texts">
      <div class="row">
        <h2>Similarity of the texts</h2>
        <span class="small muted">cosine of each pair</span>
        <span class="push row">
          <CopyButton what="the table of similarities" text={() => table(of)} />
          <CopyButton what="the vectors as JSON" text={() => JSON.stringify(of.texts.map((text, i) => ({ text, vector: of.report.embeddings[i] })))} />
        </span>
      </div>
      <div class="heat" tabIndex={0} role="region" aria-label="Table of similarities">
        <table>
          <thead><tr><th scope="col"><span class="quiet">Text</span></th>{of.texts.map((t, j) => <th key={j} scope="col" class="num" title={t}>{j + 1}</th>)}</tr></thead>
          <tbody>
            {of.texts.map((text, i) => (
              <tr key={i} class={chosen.value === i ? "on" : undefined}>
                <th scope="row"><button type="button" class="pick" aria-pressed={chosen.value === i} title={text} onClick={() => (chosen.value = i)}>{i + 1}. <Text value={text} /></button></th>
                {row(i).map((v, j) => <td key={j} class="num" style={{ "--share": `${Math.round(Math.max(0, Math.min(1, v)) * 100)}%` }}>{v.toFixed(2)}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {leftOut.value > 0 ? <Note>{plural(leftOut.value, "more text")} left out: a table of {n} is shown at most.</Note> : null}
      {of.report.notes.map((note, i) => <Note key={i}><Text value={note} /></Note>)}
      <p class="small muted">{count(of.report.embeddings[0]?.length ?? 0)} values each, {of.report.pooling} pooling{of.report.normalized ? ", scaled to length 1" : ""}{of.report.prompt === "" ? "" : <>, after the prompt <Text value={JSON.stringify(of.report.prompt)} /></>}.</p>
    </section>
  );
}

function Note({ children }: { children: ComponentChildren }) {
  return <p class="small note-line"><Icon name="info" size={14} /> <span>{children}</span></p>;
}

/** The texts nearest to the chosen one. */
export function Neighbours() {
  const of = vectors.value;
  if (of === null || of.texts.length < 2) {
    return <section class="card"><h2>Nearest texts</h2><p class="small muted">With two or more texts, those nearest to the chosen one are listed here.</p></section>;
  }
  const at = Math.min(chosen.value, of.texts.length - 1);
  return (
    <section class="card neighbours">
      <h2>Nearest texts</h2>
      <p class="break"><strong>{at + 1}. <Text value={of.texts[at]!} /></strong> <CopyButton what="its vector" text={() => JSON.stringify(of.report.embeddings[at])} /></p>
      <ol>
        {neighbours(of, at).slice(0, LISTED).map((other) => (
          <li key={other.index}><span class="num">{other.similarity.toFixed(3)}</span> <button type="button" class="pick break" onClick={() => (chosen.value = other.index)}>{other.index + 1}. <Text value={other.text} /></button></li>
        ))}
      </ol>
    </section>
  );
}

/** Tab-separated, with the texts in the first row and column. */
function table(of: Vectors): string {
  const clean = (text: string) => text.replaceAll("\t", " ");
  const n = of.texts.length;
  const rows = of.texts.map((text, i) => [clean(text), ...Array.from({ length: n }, (_, j) => of.similar[i * n + j]!.toFixed(6))].join("\t"));
  return [["", ...of.texts.map(clean)].join("\t"), ...rows].join("\n");
}
