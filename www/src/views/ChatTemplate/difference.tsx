import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";

import { fromList } from "../../lib/collect.ts";
import { type Folded, folded } from "../../lib/fold.ts";
import { plural } from "../../lib/format.ts";
import { proseSegments } from "../../lib/visible.ts";
import { against, difference, template, templates } from "../../state/chat.ts";
import type { DiffLineReport, DiffReport, FailureReport } from "../../wire/report.ts";
import { Runs, Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";

/** Rows drawn before more is asked for. */
const MOST = 2000;

/** The chosen template beside another one: their texts, and what they write of the same conversation. */
export function Difference() {
  const input = useRef<HTMLInputElement>(null);
  const others = (templates.value.value?.templates ?? []).filter((t) => t.name !== template.value?.name);
  const other = against.value;
  const { value, fault, busy } = difference.value;
  const pick = (name: string) => {
    if (name === "file") input.current?.click();
    else against.value = name === "" ? null : { name: name.slice(5) };
  };
  return (
    <section class="card difference" aria-labelledby="difference-title" aria-busy={busy}>
      <div class="row title">
        <h2 id="difference-title">Compare with</h2>
        <label class="row">
          <span class="quiet">The template to compare with</span>
          <select class="field slim" value={other === null ? "" : "name" in other ? `name:${other.name}` : "files"} onChange={(e) => pick(e.currentTarget.value)}>
            <option value="">nothing</option>
            {others.map((t) => <option key={t.name} value={`name:${t.name}`}>{t.name}</option>)}
            {other !== null && "files" in other ? <option value="files">{other.files[0]?.name ?? "another file"}</option> : null}
          </select>
        </label>
        <button type="button" class="button slim" onClick={() => input.current?.click()}>Another file…</button>
        <input
          ref={input}
          type="file"
          multiple
          hidden
          data-testid="template-files"
          aria-label="Files with another chat template"
          onChange={(e) => {
            const files = fromList(e.currentTarget.files ?? []);
            if (files.length > 0) against.value = { files };
            e.currentTarget.value = "";
          }}
        />
        <span class="small muted">a model, tokenizer_config.json or a .jinja file</span>
      </div>
      {other === null ? null : fault !== null ? <FaultCard title="The templates could not be compared" fault={fault} /> : value === null ? <p class="muted">Comparing…</p> : (
        <>
          <p class="small muted break">− <Text value={value.left} /> from <Text value={value.left_from} /><br />+ <Text value={value.right} /> from <Text value={value.right_from} /></p>
          <Diff title="The templates" diff={value.source} />
          {value.rendered === null ? null : <Diff title="What they render" diff={value.rendered} />}
          <Failure name={value.left} failure={value.left_failure} />
          <Failure name={value.right} failure={value.right_failure} />
        </>
      )}
    </section>
  );
}

function Failure({ name, failure }: { name: string; failure: FailureReport | null }) {
  return failure === null ? null : <p class="break"><Text value={name} /> renders nothing: <Text value={failure.fault.what} /></p>;
}

function Diff({ title, diff }: { title: string; diff: DiffReport }) {
  const open = useSignal<ReadonlySet<number>>(new Set());
  if (diff.fault !== null) return <div><h3>{title}</h3><p class="break">Not compared: <Text value={diff.fault.what} /></p></div>;
  if (diff.removed + diff.added === 0) return <div><h3>{title}</h3><p class="muted">Equal in every line.</p></div>;
  const rows = folded(diff.lines).flatMap((row): Folded<DiffLineReport>[] => ("equal" in row && open.value.has(row.from) ? diff.lines.slice(row.from, row.from + row.equal) : [row]));
  return (
    <div>
      <h3>{title} <span class="small muted">{plural(diff.removed, "line")} removed, {diff.added} added</span></h3>
      <div class="scroll diff" tabIndex={0} role="region" aria-label={`${title}, line by line`}>
        <table>
          <thead class="quiet"><tr><th scope="col">Line before</th><th scope="col">Line after</th><th scope="col">Change</th><th scope="col">Text</th></tr></thead>
          <tbody>
            {rows.slice(0, MOST).map((row, i) => ("equal" in row ? (
              <tr key={i} class="fold"><td colSpan={4}><button type="button" class="button plain small" onClick={() => (open.value = new Set([...open.value, row.from]))}>{plural(row.equal, "equal line")}</button></td></tr>
            ) : (
              <tr key={i} class={row.change}>
                <td class="no">{row.left ?? ""}</td>
                <td class="no">{row.right ?? ""}</td>
                <td class="sign">{row.change === "removed" ? "−" : row.change === "added" ? "+" : ""}</td>
                <td class="mono"><Runs of={proseSegments(row.text.replace(/\n$/, ""))} />{row.text.endsWith("\n") || row.change === "same" ? null : <span class="small muted"> (no newline at the end)</span>}</td>
              </tr>
            )))}
          </tbody>
        </table>
        {rows.length > MOST ? <p class="small muted">and {rows.length - MOST} more rows</p> : null}
      </div>
    </div>
  );
}
