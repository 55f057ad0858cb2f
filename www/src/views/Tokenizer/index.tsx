import "./style.css";

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import { count, hexPairs } from "../../lib/format.ts";
import { tokenSegments } from "../../lib/visible.ts";
import { report } from "../../state/model.ts";
import { addSpecial, marked, parseSpecial, pointed, selection, text, tokens, touched } from "../../state/tokens.ts";
import type { PieceReport } from "../../wire/report.ts";
import { Runs, Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Note } from "../Notes/index.tsx";

/** Pieces drawn before "more" is asked for. */
const FIRST = 1500;

export function Tokenizer() {
  const kind = report.value?.tokenizer ?? null;
  if (kind === null) {
    return <section class="card nothing"><h2>There is no tokenizer here</h2><p class="muted">GGUF files of language models carry theirs. For others, drop the model together with its tokenizer.json, or the whole folder.</p></section>;
  }
  return (
    <div class="split tokenizer">
      <section class="card">
        <h2>Text</h2>
        <Editor />
        <div class="row switches">
          <label><input type="checkbox" checked={addSpecial.value} onChange={(e) => (addSpecial.value = e.currentTarget.checked)} /> Add special tokens</label>
          <label><input type="checkbox" checked={parseSpecial.value} onChange={(e) => (parseSpecial.value = e.currentTarget.checked)} /> Read special tokens in the text</label>
        </div>
        <Counts />
        <p class="small muted break">Tokenizer: <Text value={tokens.value.value?.report.tokenizer ?? kind} /></p>
      </section>
      <Pieces />
    </div>
  );
}

function Editor() {
  const area = useRef<HTMLTextAreaElement>(null);
  const mirror = useRef<HTMLDivElement>(null);
  const range = marked.value;
  const follow = () => { if (area.current !== null && mirror.current !== null) mirror.current.scrollTop = area.current.scrollTop; };
  useLayoutEffect(follow);
  const select = (e: { currentTarget: HTMLTextAreaElement }) => { selection.value = [e.currentTarget.selectionStart, e.currentTarget.selectionEnd]; };
  return (
    <div class="editor">
      {/* The same text behind the transparent field carries the mark of the piece that is pointed at. */}
      <div class="field mirror" ref={mirror} aria-hidden="true">{range === null ? text.value : <>{text.value.slice(0, range[0])}<mark>{text.value.slice(range[0], range[1])}</mark>{text.value.slice(range[1])}</>}{"\n"}</div>
      <textarea
        ref={area}
        class="field"
        rows={9}
        aria-label="Text to split"
        spellcheck={false}
        value={text.value}
        onInput={(e) => { text.value = e.currentTarget.value; select(e); }}
        onScroll={follow}
        onSelect={select}
        onKeyUp={select}
        onClick={select}
        onBlur={() => (selection.value = null)}
      />
    </div>
  );
}

function Counts() {
  const r = tokens.value.value?.report;
  const figure = (name: string, value: string) => <div><dt>{name}</dt><dd>{value}</dd></div>;
  return (
    <dl class="figures">
      {figure("characters", r ? count(r.characters) : "–")}
      {figure("bytes", r ? count(r.bytes) : "–")}
      {figure("tokens", r ? count(r.ids.length) : "–")}
      {figure("bytes per token", r && r.ids.length > 0 ? (r.bytes / r.ids.length).toFixed(2) : "–")}
      {figure("decodes back", r ? (r.roundtrips ? "yes" : "no") : "–")}
    </dl>
  );
}

function Pieces() {
  const limit = useSignal(FIRST);
  const tab = useSignal(0);
  const list = useRef<HTMLDivElement>(null);
  const { value, fault, busy } = tokens.value;
  if (fault !== null) return <FaultCard title="The text could not be split" fault={fault} />;
  const pieces = value?.report.pieces ?? [];
  const shown = Math.min(limit.value, pieces.length);
  const stop = Math.min(tab.value, Math.max(0, shown - 1));
  const move = (to: number) => {
    tab.value = Math.max(0, Math.min(shown - 1, to));
    list.current?.querySelectorAll<HTMLElement>(".piece")[tab.value]?.focus();
  };
  const onKeyDown = (e: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowRight: stop + 1, ArrowLeft: stop - 1, ArrowDown: stop + 10, ArrowUp: stop - 10, Home: 0, End: shown - 1 };
    const to = steps[e.key];
    if (to === undefined) return;
    e.preventDefault();
    move(to);
  };
  const hits = touched.value;
  const at = pointed.value;
  return (
    <div class="stack">
      <section class="card" aria-busy={busy}>
        <h2>Pieces</h2>
        {pieces.length === 0 ? <p class="muted pieces">{value === null ? "Loading the tokenizer…" : "An empty text has no tokens."}</p> : (
          <div class="pieces" ref={list} role="listbox" aria-label="Pieces with their ids; arrow keys move" onKeyDown={onKeyDown} onMouseLeave={() => (pointed.value = null)}>
            {pieces.slice(0, shown).map((p, i) => (
              <Piece key={i} piece={p} number={i} on={i === at} hit={hits.has(i)} tabbable={i === stop} onFocus={() => { tab.value = i; pointed.value = i; }} />
            ))}
          </div>
        )}
        {pieces.length > shown ? <button type="button" class="button slim" onClick={() => (limit.value += 5000)}>Show more of {count(pieces.length)} pieces</button> : null}
        <Detail piece={at === null ? undefined : pieces[at]} number={at ?? 0} />
      </section>
      {(value?.report.notes.length ?? 0) > 0 ? <ul class="stack">{value?.report.notes.map((n, i) => <Note key={i} note={n} />)}</ul> : null}
    </div>
  );
}

function Piece({ piece, number, on, hit, tabbable, onFocus }: { piece: PieceReport; number: number; on: boolean; hit: boolean; tabbable: boolean; onFocus: () => void }) {
  const tint = piece.kind === "normal" ? `t${number % 4}` : piece.kind === "byte" ? "raw" : "special";
  return (
    <span
      role="option"
      class={`piece ${tint}${on ? " on" : ""}${hit ? " hit" : ""}`}
      aria-selected={on}
      tabIndex={tabbable ? 0 : -1}
      onMouseEnter={() => (pointed.value = number)}
      onFocus={onFocus}
      onBlur={() => (pointed.value = null)}
      onClick={(e) => e.currentTarget.focus()}
    >
      <span class="word">{piece.text === "" ? <span class="hidden-char">empty</span> : <bdi><Runs of={tokenSegments(piece.text)} /></bdi>}</span>
      <span class="id">{piece.id}</span>
    </span>
  );
}

const KINDS: Record<string, string> = { normal: "ordinary", control: "control token", "user-defined": "added by the model's makers", unknown: "unknown: the text is lost", byte: "a byte that is no whole character" };

function Detail({ piece, number }: { piece: PieceReport | undefined; number: number }) {
  return (
    <dl class="facts detail">
      <dt>Piece</dt><dd>{piece === undefined ? <span class="muted">point at one, or use the arrow keys</span> : <>{count(number + 1)}: <span class="mono"><Runs of={tokenSegments(piece.text)} /></span></>}</dd>
      <dt>Id</dt><dd class="mono">{piece?.id ?? "–"}</dd>
      <dt>Bytes</dt><dd class="mono">{piece === undefined ? "–" : hexPairs(piece.hex).slice(0, 24).join(" ") || "none"}{piece !== undefined && piece.end > piece.start ? <span class="muted"> at byte {count(piece.start)}{piece.end - piece.start > 1 ? ` to ${count(piece.end - 1)}` : null}</span> : null}</dd>
      <dt>Kind</dt><dd>{piece === undefined ? "–" : (KINDS[piece.kind] ?? piece.kind)}</dd>
    </dl>
  );
}
