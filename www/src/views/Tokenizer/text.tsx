import { useLayoutEffect, useRef } from "preact/hooks";

import { count, hexPairs } from "../../lib/format.ts";
import type { Cut } from "../../lib/graphemes.ts";
import { tokenSegments, visible } from "../../lib/visible.ts";
import { addSpecial, copyIds, marked, needPages, pages, parseSpecial, picked, pieceAt, pointed, selection, text, tokens, touched } from "../../state/tokens.ts";
import type { PieceReport } from "../../wire/report.ts";
import { CopyButton } from "../../widgets/CopyButton.tsx";
import { Runs, Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Note } from "../Notes/index.tsx";
import { Flow } from "./flow.tsx";
import { XRay } from "./xray.tsx";

/** Characters up to which the field itself carries marks; of longer texts the place is quoted. */
const MIRRORED = 20_000;
/** Characters quoted on either side. */
const QUOTED = 40;

export function TextPart({ kind }: { kind: string }) {
  return (
    <div class="stack">
      <div class="split tokenizer">
        <section class="card">
          <h2>Text</h2>
          <Editor />
          <div class="row switches">
            <label><input type="checkbox" checked={addSpecial.value} onChange={(e) => (addSpecial.value = e.currentTarget.checked)} /> Add special tokens</label>
            <label><input type="checkbox" checked={parseSpecial.value} onChange={(e) => (parseSpecial.value = e.currentTarget.checked)} /> Parse special tokens in the text</label>
          </div>
          <Counts />
          <Seen />
          <p class="small muted break">Tokenizer: <Text value={tokens.value.value?.report.tokenizer ?? kind} /></p>
        </section>
        <Pieces />
      </div>
      <XRay />
    </div>
  );
}

function Editor() {
  const area = useRef<HTMLTextAreaElement>(null);
  const mirror = useRef<HTMLDivElement>(null);
  const follow = () => { if (area.current !== null && mirror.current !== null) mirror.current.scrollTop = area.current.scrollTop; };
  useLayoutEffect(follow);
  const select = (e: { currentTarget: HTMLTextAreaElement }) => { selection.value = [e.currentTarget.selectionStart, e.currentTarget.selectionEnd]; };
  return (
    <div class="editor">
      {text.value.length <= MIRRORED ? <Mirror of={mirror} /> : null}
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

/** The same text behind the transparent field carries the mark of the piece that is pointed at. */
function Mirror({ of }: { of: { current: HTMLDivElement | null } }) {
  const range = marked.value;
  return <div class="field mirror" ref={of} aria-hidden="true">{range === null ? text.value : <>{text.value.slice(0, range[0])}<mark>{text.value.slice(range[0], range[1])}</mark>{text.value.slice(range[1])}</>}{"\n"}</div>;
}

function Counts() {
  const r = tokens.value.value?.report;
  const figure = (name: string, value: string) => <div><dt>{name}</dt><dd>{value}</dd></div>;
  return (
    <dl class="figures">
      {figure("characters", r ? count(r.characters) : "–")}
      {figure("bytes", r ? count(r.bytes) : "–")}
      {figure("tokens", r ? count(r.count) : "–")}
      {figure("bytes per token", r && r.count > 0 ? (r.bytes / r.count).toFixed(2) : "–")}
      {figure("decodes back", r ? (r.roundtrips ? "yes" : "no") : "–")}
    </dl>
  );
}

/** Letters with their accents and emoji of several parts are one character to people, and more to programs. */
function Seen() {
  const r = tokens.value.value?.report;
  return r === undefined || r.graphemes === r.characters ? null : <p class="small muted">{count(r.characters)} code points make {count(r.graphemes)} characters as people see them.</p>;
}

function Pieces() {
  const { value, fault, busy } = tokens.value;
  if (fault !== null) return <FaultCard title="The text could not be split" fault={fault} />;
  const total = value?.report.count ?? 0;
  return (
    <div class="stack">
      <section class="card" aria-busy={busy}>
        <div class="row title"><h2>Pieces</h2><span class="push">{total > 0 ? <CopyButton what="all ids" text={copyIds} /> : null}</span></div>
        {total === 0 || value === null ? <p class="muted pieces">{value === null ? "Loading the tokenizer…" : "An empty text has no tokens."}</p> : (
          <Flow
            label="Pieces with their ids"
            count={total}
            pages={pages.value}
            need={(first, last) => void needPages(first, last)}
            pointed={pointed}
            picked={picked}
            hit={touched.value}
            cut={(piece) => (piece.part_of === "" ? null : value.graphemes.cut(piece))}
          />
        )}
        <Detail />
      </section>
      {(value?.report.notes.length ?? 0) > 0 ? <ul class="stack">{value?.report.notes.map((n, i) => <Note key={i} note={n} />)}</ul> : null}
    </div>
  );
}

const KINDS: Record<string, string> = { normal: "ordinary", control: "control token", "user-defined": "added token", unknown: "unknown token: the text is lost", byte: "a byte that is not a whole character" };

function Detail() {
  const number = pointed.value ?? picked.value;
  const piece = pieceAt(number);
  const done = tokens.value.value;
  const cut = piece === undefined || piece.part_of === "" ? null : (done?.graphemes.cut(piece) ?? null);
  return (
    <dl class="facts detail">
      <dt>Piece</dt><dd>{piece === undefined || number === null ? <span class="muted">point at one, or use the arrow keys</span> : <>{count(number + 1)}: <span class="mono"><Runs of={tokenSegments(piece.text)} /></span></>}</dd>
      <dt>Id</dt><dd class="mono">{piece?.id ?? "–"}</dd>
      <dt>Bytes</dt><dd class="mono">{piece === undefined ? "–" : <Bytes piece={piece} />}</dd>
      <dt>Kind</dt><dd>{piece === undefined ? "–" : (KINDS[piece.kind] ?? piece.kind)}{cut === null ? null : <CutWords cut={cut} />}</dd>
      {done !== null && done.text.length > MIRRORED ? <><dt>In the text</dt><dd><Quoted /></dd></> : null}
    </dl>
  );
}

function Bytes({ piece }: { piece: PieceReport }) {
  const pairs = hexPairs(piece.hex);
  return (
    <>
      {pairs.slice(0, 24).join(" ") || "none"}{pairs.length > 24 ? " …" : null}
      {piece.end > piece.start ? <span class="muted"> at byte {count(piece.start)}{piece.end - piece.start > 1 ? ` to ${count(piece.end - 1)}` : null}</span> : null}
    </>
  );
}

/** A character of several code points, or of several bytes, that no single token holds. */
function CutWords({ cut }: { cut: Cut }) {
  const codes = [...cut.character].slice(0, 8).map((c) => `U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`);
  return <span class="cut-words">; {cut.before && cut.after ? "lies inside" : cut.before ? "begins inside" : "ends inside"} the character <bdi>{visible(cut.character)}</bdi> <span class="mono">({codes.join(" ")})</span></span>;
}

/** The piece between its neighbours, where the text is too long to be marked in its field. */
function Quoted() {
  const range = marked.value;
  if (range === null) return <span class="muted">–</span>;
  const [from, to] = range;
  return (
    <span class="mono quoted">
      {from > QUOTED ? "…" : null}<Text value={text.value.slice(Math.max(0, from - QUOTED), from)} /><mark><Text value={text.value.slice(from, Math.min(to, from + 200))} /></mark><Text value={text.value.slice(to, to + QUOTED)} />{to + QUOTED < text.value.length ? "…" : null}
    </span>
  );
}
