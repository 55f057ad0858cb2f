import { useRef } from "preact/hooks";

import { fromList } from "../../lib/collect.ts";
import { count } from "../../lib/format.ts";
import { tokenSegments } from "../../lib/visible.ts";
import { beside, files, stretches } from "../../state/beside.ts";
import { addSpecial, parseSpecial, text } from "../../state/tokens.ts";
import type { CompareReport, DifferenceReport, PieceReport, SideReport } from "../../wire/report.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { Runs, Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";

/** Two tokenizers on the same text: this model's, and one of other files. */
export function Compare() {
  const { value, fault, busy } = beside.value;
  return (
    <div class="stack compare" aria-busy={busy}>
      <section class="card">
        <h2>Text</h2>
        <textarea class="field" rows={5} aria-label="Text to split by both" spellcheck={false} value={text.value} onInput={(e) => (text.value = e.currentTarget.value)} />
        <div class="row switches">
          <label><input type="checkbox" checked={addSpecial.value} onChange={(e) => (addSpecial.value = e.currentTarget.checked)} /> Add special tokens</label>
          <label><input type="checkbox" checked={parseSpecial.value} onChange={(e) => (parseSpecial.value = e.currentTarget.checked)} /> Parse special tokens in the text</label>
        </div>
        <Second />
      </section>
      {files.value === null ? null : fault !== null ? <FaultCard title="The two could not be compared" fault={fault} /> : value === null ? <section class="card"><p class="muted">Loading both tokenizers…</p></section> : <Result report={value.report} />}
    </div>
  );
}

function Second() {
  const input = useRef<HTMLInputElement>(null);
  const chosen = files.value;
  const take = (list: Iterable<File> | null) => {
    const some = fromList(list ?? []);
    if (some.length > 0) files.value = some;
  };
  return (
    <div
      class="second"
      onDragOver={(e) => { e.preventDefault(); }}
      onDrop={(e) => {
        e.preventDefault();
        take(e.dataTransfer?.files ?? null);
      }}
    >
      <div class="row">
        <button type="button" class="button" onClick={() => input.current?.click()}><Icon name="file" size={14} /> {chosen === null ? "Choose the second tokenizer" : "Choose another"}</button>
        <span class="muted break">{chosen === null ? "or drop its file here: a GGUF, tokenizer.json, vocab.txt, a SentencePiece .model, a tiktoken or Tekken file" : <Text value={chosen.map((f) => f.name).join(", ")} />}</span>
      </div>
      <input ref={input} type="file" multiple hidden data-testid="second-tokenizer" aria-label="Files of the second tokenizer" onChange={(e) => { take(e.currentTarget.files); e.currentTarget.value = ""; }} />
    </div>
  );
}

function Result({ report }: { report: CompareReport }) {
  const [a, b] = [report.a.ids.length, report.b.ids.length];
  const { list, more } = stretches.value;
  return (
    <>
      <section class="card">
        <h2>{report.same ? "Both give the same token ids" : a === b ? "The same number of tokens, but different ones" : `${count(Math.abs(a - b))} tokens ${b > a ? "more" : "fewer"} by the second`}</h2>
        <div class="sides"><Side name="This one" side={report.a} bytes={report.bytes} /><Side name="The second" side={report.b} bytes={report.bytes} /></div>
      </section>
      {report.first_cut === null && report.first_id === null ? null : (
        <section class="card">
          <h2>First difference</h2>
          {report.first_cut === null ? null : <First what="First split at different places" at={report.first_cut} />}
          {report.first_id === null || report.first_id.at === report.first_cut?.at ? null : <First what="First ids that differ" at={report.first_id} />}
        </section>
      )}
      <section class="card">
        <h2>The text in stretches</h2>
        <p class="small muted legend"><span class="stretch d2">split differently</span> <span class="stretch d1">split alike, different ids</span> <span class="stretch d0">the same</span> with the number of tokens of each</p>
        <div class="stretches" tabIndex={0} role="region" aria-label="The text in stretches">
          {list.map((s, i) => (
            <span key={i} class={`stretch d${s.differs}${i === list.findIndex((x) => x.differs !== 0) ? " first" : ""}`} title={s.differs === 0 ? "the same" : `${s.a} tokens by this one, ${s.b} by the second`}>
              <Runs of={tokenSegments(s.text)} />{s.differs === 0 ? null : <span class="small"> {s.a}:{s.b}</span>}
            </span>
          ))}
          {more ? <span class="muted"> … and more</span> : null}
        </div>
      </section>
    </>
  );
}

function Side({ name, side, bytes }: { name: string; side: SideReport; bytes: number }) {
  const figure = (label: string, value: string) => <div><dt>{label}</dt><dd>{value}</dd></div>;
  return (
    <div>
      <h3>{name}</h3>
      <p class="small muted break"><Text value={side.tokenizer} /></p>
      <dl class="figures">
        {figure("tokens", count(side.ids.length))}
        {figure("bytes per token", side.ids.length === 0 ? "–" : (bytes / side.ids.length).toFixed(2))}
        {figure("parts of characters", count(side.parts_of_characters))}
        {figure("decodes back", side.roundtrips ? "yes" : "no")}
      </dl>
    </div>
  );
}

function First({ what, at }: { what: string; at: DifferenceReport }) {
  const pieces = (list: readonly PieceReport[]) => <span class="row">{list.map((p, i) => <span key={i} class="made"><span class="mono"><Runs of={tokenSegments(p.text)} /></span> <span class="id mono">{p.id}</span></span>)}</span>;
  return (
    <div>
      <h3>{what} <span class="small muted">character {count(at.character + 1)}, byte {count(at.at)}</span></h3>
      <dl class="facts left"><dt>This one</dt><dd>{pieces(at.a)}</dd><dt>The second</dt><dd>{pieces(at.b)}</dd></dl>
    </div>
  );
}
