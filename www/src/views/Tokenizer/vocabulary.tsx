import { count, hexPairs, plural } from "../../lib/format.ts";
import { tokenSegments } from "../../lib/visible.ts";
import { go, route } from "../../state/route.ts";
import { found, kind, needPage, PAGE, sort, sortBy, tokenAt } from "../../state/vocabulary.ts";
import type { VocabularyReport } from "../../wire/report.ts";
import { CopyButton } from "../../widgets/CopyButton.tsx";
import { Search } from "../../widgets/Search.tsx";
import { Runs, Text } from "../../widgets/Text.tsx";
import { type Column, type GridRow, VirtualGrid } from "../../widgets/VirtualGrid.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Note } from "../Notes/index.tsx";

/** All tokens of the vocabulary, found by text, bytes or id. */
export function Vocabulary() {
  const { value, fault, busy } = found.value;
  if (fault !== null) return <FaultCard title="The vocabulary could not be read" fault={fault} />;
  return (
    <div class="stack vocabulary" aria-busy={busy}>
      <div class="row">
        <div class="find"><Search label="Search the vocabulary" value={route.value.search} placeholder="Text, #id, or 0x and bytes" onInput={(search) => go({ search }, true)} /></div>
        <label class="row"><span class="quiet">Type of token</span>
          <select class="field slim" value={kind.value} onChange={(e) => (kind.value = e.currentTarget.value)}>
            <option value="">all types</option>
            {(value?.counts ?? []).map((c) => <option key={c.kind} value={c.kind}>{c.kind} ({count(c.tokens)})</option>)}
          </select>
        </label>
        <button type="button" class="button slim" aria-pressed={sort.value.by === "length" && !sort.value.reverse} onClick={() => (sort.value = { by: "length", reverse: false })}>Longest first</button>
        <span class="muted small" role="status">{value === null ? "Loading the tokenizer…" : `${count(value.matching)} of ${plural(value.size, "id")}`}</span>
      </div>
      {value === null ? null : <Grid report={value} />}
      {value === null ? null : <Unused report={value} />}
      {value !== null && value.notes.length > 0 ? <ul class="stack">{value.notes.map((n, i) => <Note key={i} note={n} />)}</ul> : null}
    </div>
  );
}

function Grid({ report }: { report: VocabularyReport }) {
  const sorted = (by: typeof sort.value.by, normally: "ascending" | "descending") => {
    if (sort.value.by !== by) return {};
    const turned = normally === "ascending" ? ("descending" as const) : ("ascending" as const);
    return { sorted: sort.value.reverse ? turned : normally };
  };
  const columns: Column[] = [
    { key: "id", label: "Id", numeric: true, onSort: () => sortBy("id"), ...sorted("id", "ascending") },
    { key: "text", label: "Text" },
    { key: "piece", label: "As it is written" },
    { key: "hex", label: "Bytes", onSort: () => sortBy("length"), ...sorted("length", "descending") },
    { key: "kind", label: "Type" },
    ...(report.measure === null ? [] : [{ key: "measure", label: report.measure === "score" ? "Score" : "Rank", numeric: true, onSort: () => sortBy("score"), ...sorted("score", report.measure === "score" ? "descending" : "ascending") } as Column]),
  ];
  const row = (i: number): GridRow => {
    const token = tokenAt(i);
    if (token === undefined) {
      queueMicrotask(() => void needPage(Math.floor(i / PAGE)));
      return { key: String(i), cells: columns.map(() => "") };
    }
    const pairs = hexPairs(token.hex);
    return {
      key: String(i),
      cells: [
        <span class="mono">{token.id}</span>,
        <bdi class="mono"><Runs of={tokenSegments(token.text)} /></bdi>,
        <bdi class="mono"><Text value={token.piece} /></bdi>,
        <span class="mono" title={`${pairs.length} bytes`}>{pairs.slice(0, 12).join(" ")}{pairs.length > 12 ? " …" : ""}</span>,
        token.kind,
        ...(report.measure === null ? [] : [token.score !== null ? token.score.toPrecision(6) : token.rank === null ? "–" : count(token.rank)]),
      ],
    };
  };
  return (
    <div class="grid-of-tokens">
      <VirtualGrid label="Tokens of the vocabulary" columns={columns} count={report.matching} row={row} onSelect={(i) => { const token = tokenAt(i); if (token !== undefined) go({ search: `#${token.id}` }); }} empty="No token matches." />
    </div>
  );
}

function Unused({ report }: { report: VocabularyReport }) {
  const stretch = ([from, to]: readonly number[]) => ((to ?? 0) - (from ?? 0) === 1 ? count(from ?? 0) : `${count(from ?? 0)}–${count((to ?? 1) - 1)}`);
  const line = (what: string, list: readonly (readonly number[])[]) => (list.length === 0 ? null : <p class="small break"><span class="muted">{what}: </span>{list.map(stretch).join(", ")}{list.length >= 100 ? " …" : ""} <CopyButton what={`the list of ${what.toLowerCase()}`} text={() => list.map(stretch).join(", ")} /></p>);
  if (report.unused.length + report.holes.length === 0) return <p class="small muted">Every id has a token, and none is marked as unused.</p>;
  return <div>{line("Ids marked as unused", report.unused)}{line("Ids without a token", report.holes)}</div>;
}
