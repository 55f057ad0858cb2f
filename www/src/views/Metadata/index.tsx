import "./style.css";

import { useSignal } from "@preact/signals";

import { count, plural, single } from "../../lib/format.ts";
import { visible } from "../../lib/visible.ts";
import { closePages, entries, PAGE, pages, showPage } from "../../state/metadata.ts";
import { report } from "../../state/model.ts";
import { go, route } from "../../state/route.ts";
import type { MetadataReport } from "../../wire/report.ts";
import { CopyButton } from "../../widgets/CopyButton.tsx";
import { Search } from "../../widgets/Search.tsx";
import { Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";

/** Rows shown before "more" is asked for: some files carry tens of thousands of keys. */
const FIRST = 300;
/** Longest value shown whole at once, in characters. */
const LONG = 320;

export function Metadata() {
  const limit = useSignal(FIRST);
  const all = report.value?.metadata ?? [];
  if (all.length === 0) {
    return <section class="card nothing"><h2>This file carries no metadata</h2><p class="muted">Facts about the model may be in a config.json next to it: drop the whole folder to see them here.</p></section>;
  }
  const shown = entries.value;
  return (
    <div class="stack metadata">
      <div class="row tools">
        <div class="grow"><Search label="Search metadata" placeholder="Search keys, values and meanings" value={route.value.search} onInput={(q) => go({ search: q }, true)} /></div>
        <span class="muted small" role="status">{shown.length === all.length ? plural(all.length, "entry", "entries") : `${count(shown.length)} of ${count(all.length)} entries`}</span>
      </div>
      <section class="card" aria-label="Metadata">
        {shown.length === 0 ? <p class="muted">No entry contains all of these words.</p> : (
          <table>
            <thead><tr><th scope="col" class="key">Key</th><th scope="col" class="type">Type</th><th scope="col">Value</th></tr></thead>
            <tbody>{shown.slice(0, limit.value).map((entry, i) => <Entry key={`${entry.key}:${i}`} entry={entry} />)}</tbody>
          </table>
        )}
        {shown.length > limit.value ? <button type="button" class="button" onClick={() => (limit.value += 1000)}>Show {count(Math.min(1000, shown.length - limit.value))} more of {count(shown.length - limit.value)}</button> : null}
      </section>
    </div>
  );
}

function Entry({ entry }: { entry: MetadataReport }) {
  return (
    <tr>
      <th scope="row" class="key">
        <span class="mono break"><Text value={entry.key} /></span>
        {entry.meaning !== undefined ? <span class="meaning small muted">{entry.meaning}</span> : null}
      </th>
      <td class="type small muted"><Text value={entry.type} /></td>
      <td>{Array.isArray(entry.value) ? <ArrayValue entry={entry} /> : <Scalar value={entry.value} name={entry.key} narrow={entry.type === "f32"} />}</td>
    </tr>
  );
}

function Scalar({ value, name, narrow }: { value: MetadataReport["value"]; name: string; narrow: boolean }) {
  const whole = useSignal(false);
  if (typeof value === "number") return <Copyable text={String(value)} name={name}>{Number.isInteger(value) ? count(value) : narrow ? single(value) : String(value)}</Copyable>;
  if (typeof value !== "string") return <Copyable text={String(value)} name={name}>{String(value)}</Copyable>;
  if (value === "") return <span class="muted">empty</span>;
  const lines = value.includes("\n");
  const long = value.length > LONG;
  const text = long && !whole.value ? `${value.slice(0, LONG)}…` : value;
  return (
    <Copyable text={value} name={name}>
      {lines ? <pre class="block mono" tabIndex={0} role="region" aria-label={`Value of ${visible(name)}`}><Text value={text} lines /></pre> : <span class="break"><Text value={text} /></span>}
      {long ? <div><button type="button" class="button slim" aria-expanded={whole.value} onClick={() => (whole.value = !whole.value)}>{whole.value ? "Show less" : `Show all ${count(value.length)} characters`}</button></div> : null}
    </Copyable>
  );
}

function Copyable({ text, name, children }: { text: string; name: string; children: preact.ComponentChildren }) {
  return <div class="value"><div class="what">{children}</div><CopyButton what={`the value of ${visible(name)}`} text={() => text} /></div>;
}

function ArrayValue({ entry }: { entry: MetadataReport }) {
  const head = Array.isArray(entry.value) ? entry.value : [];
  const length = entry.length ?? head.length;
  const page = pages.value.get(entry.key);
  const items = page !== undefined && page.items.length > 0 ? page.items : head;
  const start = page !== undefined && page.items.length > 0 ? page.start : 0;
  const more = length > head.length;
  return (
    <Copyable text={JSON.stringify(items)} name={entry.key}>
      <div class="row"><span>{plural(length, "item")}</span>
        {more && page === undefined ? <button type="button" class="button slim" onClick={() => showPage(entry.key, 0)}>Page through them</button> : null}
        {page !== undefined ? (
          <span class="row pager">
            <button type="button" class="button slim" disabled={page.busy || start === 0} onClick={() => showPage(entry.key, Math.max(0, start - PAGE))}>Previous</button>
            <label class="small muted">from <input class="field slim" type="number" min={0} max={Math.max(0, length - 1)} value={start} aria-label={`First item of ${visible(entry.key)} to show`} onChange={(e) => { const n = e.currentTarget.valueAsNumber; if (n >= 0 && n < length) void showPage(entry.key, Math.floor(n)); }} /></label>
            <button type="button" class="button slim" disabled={page.busy || start + PAGE >= length} onClick={() => showPage(entry.key, start + PAGE)}>Next</button>
            <button type="button" class="button slim plain" onClick={() => closePages(entry.key)}>Close</button>
          </span>
        ) : null}
      </div>
      {page?.fault ? <FaultCard title="These items could not be read" fault={page.fault} /> : (
        <ol class={page?.busy ? "items busy" : "items"} start={start}>
          {items.map((item, i) => <li key={start + i}><span class="small muted">{count(start + i)}</span> <span class="mono break">{typeof item === "string" ? <Text value={item} /> : String(item)}</span></li>)}
          {more && page === undefined ? <li class="muted small">…</li> : null}
        </ol>
      )}
    </Copyable>
  );
}
