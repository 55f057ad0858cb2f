import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { count } from "../../lib/format.ts";
import { isSpecial, stretches } from "../../lib/stretches.ts";
import { proseSegments, visible } from "../../lib/visible.ts";
import { rendered, showLine, templates, valid } from "../../state/chat.ts";
import { inPages, pieceAt } from "../../state/tokens.ts";
import type { ChatReport, FailureReport } from "../../wire/report.ts";
import { CopyButton } from "../../widgets/CopyButton.tsx";
import { Icon } from "../../widgets/Icon.tsx";
import { Segmented } from "../../widgets/Segmented.tsx";
import { Runs, Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Note } from "../Notes/index.tsx";
import { Flow } from "../Tokenizer/flow.tsx";

type Shown = "text" | "tokens";
/** Characters drawn before more is asked for. */
const MOST = 20_000;

/** What the template makes of the conversation: the text that the model reads. */
export function Written() {
  const shown = useSignal<Shown>("text");
  const { value, fault, busy } = rendered.value;
  const canEncode = templates.value.value?.can_encode ?? false;
  const ids = value?.ids ?? null;
  // Findings about the template stand beside its text.
  const notes = (value?.notes ?? []).filter((n) => n.what.startsWith("The text"));
  return (
    <section class="card written" aria-labelledby="written-title" aria-busy={busy}>
      <div class="row title">
        <h2 id="written-title">The prompt</h2>
        <span class="push row">
          {value !== null && value.failure === null ? <CopyButton what="the text" text={() => value.text} /> : null}
          <Segmented label="Shown as" value={shown.value} onChange={(v) => (shown.value = v)} options={[{ value: "text", label: "Text" }, { value: "tokens", label: "Tokens" }]} />
        </span>
      </div>
      {valid.value ? null : <p class="small stale"><Icon name="warning" size={14} /> One of the fields is not valid JSON: this is still the prompt of the conversation before.</p>}
      {fault !== null ? <FaultCard title="The prompt could not be rendered" fault={fault} /> : null}
      {value === null ? (fault === null ? <p class="muted output">Writing…</p> : null) : value.failure !== null ? <Failed failure={value.failure} /> : shown.value === "text" ? <Prose report={value} /> : <Tokens report={value} canEncode={canEncode} />}
      <dl class="figures">
        <div><dt>tokens</dt><dd>{ids === null ? "–" : count(ids.length)}</dd></div>
        <div><dt>of them special</dt><dd>{value?.pieces == null ? "–" : count(value.pieces.filter(isSpecial).length)}</dd></div>
        <div><dt>characters</dt><dd>{value === null || value.failure !== null ? "–" : count([...value.text].length)}</dd></div>
      </dl>
      {value !== null && !canEncode ? <p class="small muted">No tokenizer is open, so there are no token ids.</p> : null}
      {notes.length > 0 ? <ul class="stack">{notes.map((n, i) => <Note key={i} note={n} />)}</ul> : null}
    </section>
  );
}

function Failed({ failure }: { failure: FailureReport }) {
  const { line, fault } = failure;
  return (
    <div class="output failed" role="alert">
      <div class="row"><Icon name="error" /><strong>The template ended with an error{line === null ? "" : ` in line ${line}`}</strong></div>
      <p class="break"><Text value={fault.what} /></p>
      {line === null ? null : <button type="button" class="button slim" onClick={() => showLine(line)}>Show line {line}</button>}
    </div>
  );
}

function Prose({ report }: { report: ChatReport }) {
  const limit = useSignal(MOST);
  const parts = useMemo(() => stretches(report.text.slice(0, limit.value), report.pieces), [report, limit.value]);
  return (
    <>
      <div class="output prose mono" tabIndex={0} role="region" aria-label="The prompt as text">
        {report.text === "" ? <span class="muted">The template renders an empty text.</span> : parts.map((p, i) => (p.special === null
          ? <span key={i}><Runs of={proseSegments(p.text)} /></span>
          : <span key={i} class="special-token" title={`id ${p.special.id}: ${p.special.kind === "control" ? "control token" : "added token"}`}><bdi>{visible(p.text)}</bdi></span>))}
      </div>
      {report.text.length > limit.value ? <button type="button" class="button slim" onClick={() => (limit.value *= 8)}>Show more of {count(report.text.length)} characters</button> : null}
    </>
  );
}

function Tokens({ report, canEncode }: { report: ChatReport; canEncode: boolean }) {
  const pointed = useSignal<number | null>(null);
  const picked = useSignal<number | null>(null);
  const pages = useMemo(() => inPages(report.pieces ?? []), [report]);
  const pieces = report.pieces;
  if (pieces === null) return <p class="muted output">{canEncode ? "So long a text is not shown token by token." : "No tokenizer is here."}</p>;
  if (pieces.length === 0) return <p class="muted output">No tokens.</p>;
  const number = pointed.value ?? picked.value;
  const piece = pieceAt(number, pages);
  return (
    <div class="output tokens">
      <Flow label="Tokens of the conversation" count={pieces.length} pages={pages} need={() => {}} pointed={pointed} picked={picked} />
      <p class="small muted one-line">{piece === undefined || number === null ? "Point at a token, or use the arrow keys." : <>token {count(number + 1)}: id <span class="mono">{piece.id}</span>, {isSpecial(piece) ? "special" : piece.kind}, bytes <span class="mono">{piece.hex.match(/../g)?.slice(0, 16).join(" ") ?? "none"}</span></>}</p>
    </div>
  );
}
