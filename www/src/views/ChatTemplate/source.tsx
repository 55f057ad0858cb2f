import { useSignal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { count, plural } from "../../lib/format.ts";
import { templateLines, type TemplateRun } from "../../lib/jinja.ts";
import { segments } from "../../lib/visible.ts";
import { chosen, rendered, showLine, shownLine, template, templates } from "../../state/chat.ts";
import type { FindingReport } from "../../wire/report.ts";
import { CopyButton } from "../../widgets/CopyButton.tsx";
import { Runs, Text } from "../../widgets/Text.tsx";
import { Note } from "../Notes/index.tsx";

/** Lines drawn before more is asked for. */
const MOST = 1000;

/** The chosen template's own text, with what there is to say about it. */
export function Source() {
  const all = templates.value.value?.templates ?? [];
  const t = template.value;
  const lines = useMemo(() => templateLines(t?.source ?? ""), [t]);
  if (t === null) return null;
  const failure = rendered.value.value?.template === t.name ? (rendered.value.value.failure?.line ?? null) : null;
  return (
    <section class="card source" aria-labelledby="source-title">
      <div class="row title">
        <h2 id="source-title">Template</h2>
        <label class="row">
          <span class="quiet">Which template</span>
          <select class="field slim" value={t.name} onChange={(e) => (chosen.value = e.currentTarget.value)}>
            {all.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
          </select>
        </label>
        <span class="small muted break">from <Text value={t.from} />; {plural(lines.length, "line")}, {count([...t.source].length)} characters</span>
        <span class="push"><CopyButton what="the template" text={() => t.source} /></span>
      </div>
      <div class={t.findings.length > 0 ? "split" : ""}>
        <Lines key={t.name} lines={lines} failure={failure} findings={t.findings} />
        {t.findings.length > 0 ? <Findings findings={t.findings} /> : null}
      </div>
    </section>
  );
}

function Findings({ findings }: { findings: readonly FindingReport[] }) {
  return (
    <div class="stack findings" role="group" aria-label="Findings about the template">
      {findings.map((f, i) => (
        <div key={i} class="finding">
          <ul><Note note={f.note} /></ul>
          {f.lines.length > 0 ? (
            <div class="row lines-of small">
              <span class="muted">Show</span>
              {f.lines.slice(0, 12).map((line) => <button key={line} type="button" class="button slim" onClick={() => showLine(line)}>line {line}</button>)}
              {f.lines.length > 12 ? <span class="muted">and {f.lines.length - 12} more</span> : null}
            </div>
          ) : null}
        </div>
      ))}
    </div>
  );
}

function Lines({ lines, failure, findings }: { lines: readonly TemplateRun[][]; failure: number | null; findings: readonly FindingReport[] }) {
  const box = useRef<HTMLDivElement>(null);
  const limit = useSignal(MOST);
  const wanted = shownLine.value;
  const noted = useMemo(() => new Set(findings.flatMap((f) => f.lines)), [findings]);
  const most = Math.max(limit.value, wanted?.line ?? 0, failure ?? 0);
  useLayoutEffect(() => {
    const line = wanted === null ? null : box.current?.querySelector<HTMLElement>(`[data-line="${wanted.line}"]`);
    if (line == null || box.current === null) return;
    box.current.scrollTop = line.offsetTop - box.current.clientHeight / 3;
    box.current.scrollIntoView({ block: "nearest" });
    line.focus({ preventScroll: true });
  }, [wanted]);
  return (
    <div>
      <div class="lines mono" ref={box} tabIndex={0} role="region" aria-label="Text of the template">
        {lines.slice(0, most).map((runs, i) => {
          const number = i + 1;
          const mark = number === failure ? " bad" : number === wanted?.line ? " wanted" : noted.has(number) ? " noted" : "";
          return (
            <div key={number} class={`line${mark}`} data-line={number} tabIndex={-1}>
              <span class="number" aria-hidden="true">{number}</span>
              <span class="code">{number === failure ? <span class="quiet">The error is in this line: </span> : null}{runs.map((r, k) => <span key={k} class={r.kind}><Runs of={segments(r.text)} /></span>)}</span>
            </div>
          );
        })}
      </div>
      {lines.length > most ? <button type="button" class="button slim" onClick={() => (limit.value += 10_000)}>Show more of {count(lines.length)} lines</button> : null}
    </div>
  );
}
