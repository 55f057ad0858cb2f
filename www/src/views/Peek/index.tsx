import "./style.css";

import { useSignal } from "@preact/signals";

import { bytes, count, hexPairs, real, shape } from "../../lib/format.ts";
import { encodingColour } from "../../lib/palette.ts";
import { report } from "../../state/model.ts";
import { computeStats, type Contents as Shown, contents, deselect, firstRow, rowsAtOnce, selected, showRows, stats, tensors, values } from "../../state/tensors.ts";
import type { PeekReport, StatsReport, TensorReport } from "../../wire/report.ts";
import { CopyButton } from "../../widgets/CopyButton.tsx";
import { Histogram } from "../../widgets/Histogram.tsx";
import { Icon } from "../../widgets/Icon.tsx";
import { Meter } from "../../widgets/Meter.tsx";
import { Segmented } from "../../widgets/Segmented.tsx";
import { Swatch } from "../../widgets/StackBar.tsx";
import { Text } from "../../widgets/Text.tsx";
import { ByteLink } from "../Bytes/link.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Pictures } from "../Pictures/index.tsx";

const SHOWN: { value: Shown; label: string }[] = [
  { value: "numbers", label: "Values" }, { value: "heat", label: "Heat map" }, { value: "channels", label: "Channels" }, { value: "blocks", label: "Blocks" }, { value: "spectrum", label: "Spectrum" },
];
const SCALES = [{ value: "linear", label: "Linear" }, { value: "log", label: "Logarithmic" }] as const;

const COLUMNS = 16;
/** Bytes of a block shown; the longest block of any encoding has 292. */
const MOST_HEX = 320;

/** The open tensor, read when it is opened. */
export function Peek() {
  const index = selected.value;
  const tensor = index === null ? undefined : tensors.value[index];
  if (tensor === undefined) return null;
  return (
    <section key={index} class="card peek" aria-label="The chosen tensor">
      <div class="row title">
        <h2 class="mono break"><Text value={tensor.name} /></h2>
        <CopyButton what="the name" text={() => tensor.name} />
        <button type="button" class="button plain push" onClick={deselect} aria-label="Close the tensor"><Icon name="cross" size={14} /></button>
      </div>
      <Facts tensor={tensor} />
      {tensor.place === "here" ? <Contents tensor={tensor} /> : <Elsewhere tensor={tensor} />}
    </section>
  );
}

function Facts({ tensor }: { tensor: TensorReport }) {
  const encoding = report.value?.encodings.find((e) => e.encoding === tensor.encoding);
  const elements = tensor.shape.reduce((n, d) => n * d, 1);
  return (
    <>
      <dl class="facts">
        <dt>Shape</dt><dd>{shape(tensor.shape)}{tensor.shape.length > 1 ? <span class="muted"> = {count(elements)}</span> : null}</dd>
        <dt>Size</dt><dd>{tensor.bytes === null ? "unknown" : <>{bytes(tensor.bytes)} <span class="muted">({count(tensor.bytes)} bytes)</span></>}</dd>
        <dt>Place</dt><dd>{tensor.offset === null ? tensor.place : <ByteLink at={tensor.offset} file={tensor.file} tensor={tensor.name} />}{tensor.file !== null && (report.value?.files.length ?? 0) > 1 ? <span class="muted"> of <Text value={tensor.file} /></span> : null}</dd>
        <dt>Encoding</dt><dd><Swatch colour={encodingColour(tensor.encoding)} />{tensor.encoding}{encoding?.bits != null ? <span class="muted">, {real(encoding.bits)} bits per value</span> : null}</dd>
      </dl>
      {encoding !== undefined && encoding.about !== "" ? <p class="small muted about">{encoding.about}</p> : null}
    </>
  );
}

function Elsewhere({ tensor }: { tensor: TensorReport }) {
  const words: Record<string, string> = {
    missing: report.value?.files.some((f) => f.name === tensor.file)
      ? "Its bytes are beyond the end of the file, which is incomplete. Downloading it again may help."
      : `Its bytes are in ${tensor.file ?? "another file"}, which is not open. Drop it together with this one to see them.`,
    partial: "The file ends in the middle of it. Downloading it again may help.",
    inline: "Its values are stored inside the graph, in a form without raw bytes to show.",
    absent: "The header lists this tensor without any bytes.",
  };
  return <div class="nothing"><h3>Its values cannot be shown</h3><p class="muted"><Text value={words[tensor.place] ?? tensor.place} /></p></div>;
}

function Contents({ tensor }: { tensor: TensorReport }) {
  const { value, fault, busy } = values.value;
  if (fault !== null) return <FaultCard title="The values could not be read" fault={fault} />;
  return (
    <>
      <h3>Statistics</h3>
      <Statistics tensor={tensor} />
      <div class="look"><Segmented label="How the contents are shown" options={SHOWN} value={contents.value} onChange={(to) => (contents.value = to)} /></div>
      {contents.value === "numbers" ? (
        <>
          <Values peek={value} busy={busy} rowsShown={rowsAtOnce(tensor.shape)} />
          <Block peek={value} />
        </>
      ) : <Pictures />}
    </>
  );
}

function Statistics({ tensor }: { tensor: TensorReport }) {
  const { value, fault, busy } = stats.value;
  const s = value?.stats ?? null;
  if (fault !== null) return <FaultCard title="The statistics could not be computed" fault={fault} />;
  const waiting = s === null && !busy && values.value.value !== null;
  return (
    <div class="statistics">
      <dl class="figures">
        <Figure name="min" value={s?.min} /><Figure name="max" value={s?.max} /><Figure name="mean" value={s?.mean} /><Figure name="std" value={s?.std} />
        <Figure name="zeros" value={s?.zeros} whole /><Figure name="NaN, Inf" value={s === null ? undefined : s.nans + s.infinities} whole />
      </dl>
      {s === null ? (
        <div class="pending">
          {waiting ? <button type="button" class="button" onClick={() => computeStats()}>Compute over all {bytes(tensor.bytes ?? 0)}</button> : <Meter label="Working out statistics" share={null} />}
        </div>
      ) : <Bins stats={s} />}
    </div>
  );
}

function Bins({ stats: s }: { stats: StatsReport }) {
  const scale = useSignal<"linear" | "log">("linear");
  if (s.min === s.max) return <p class="pending muted">Every finite value is {real(s.min, 7)}.</p>;
  return <Histogram bins={s.histogram} min={s.min} max={s.max} log={scale.value === "log"} choice={<Segmented label="Axis of the counts" options={SCALES} value={scale.value} onChange={(to) => (scale.value = to)} />} label={`Histogram of ${count(s.count)} values from ${real(s.min)} to ${real(s.max)}, mean ${real(s.mean)}, standard deviation ${real(s.std)}`} />;
}

function Figure({ name, value, whole = false }: { name: string; value: number | undefined; whole?: boolean }) {
  return <div><dt>{name}</dt><dd class={value === undefined ? "muted" : ""}>{value === undefined ? "–" : whole ? count(value) : real(value)}</dd></div>;
}

function Values({ peek, busy, rowsShown }: { peek: PeekReport | null; busy: boolean; rowsShown: number }) {
  const from = useSignal(0);
  const rows = peek?.rows ?? 0;
  const length = peek?.row_len ?? 0;
  const columns = Math.min(COLUMNS, Math.max(0, length - from.value));
  const first = peek?.first_row ?? firstRow.value;
  return (
    <div class={busy ? "values busy" : "values"}>
      <div class="row small">
        <Pager label="rows" first={first} shown={peek?.values.length ?? 0} total={rows} step={rowsShown} onMove={(n) => void showRows(n)} disabled={busy} />
        <Pager label="columns" first={from.value} shown={columns} total={length} step={COLUMNS} onMove={(n) => (from.value = n)} disabled={false} />
      </div>
      <div class="scroll cells" tabIndex={0} role="region" aria-label="Decoded values">
        <table>
          <thead><tr><th scope="col"><span class="quiet">Row</span></th>{Array.from({ length: columns }, (_, c) => <th key={c} scope="col" class="num">{count(from.value + c)}</th>)}</tr></thead>
          <tbody>
            {(peek?.values ?? []).map((line, r) => (
              <tr key={first + r}><th scope="row" class="num">{count(first + r)}</th>{line.slice(from.value, from.value + columns).map((v, c) => <td key={c} class="num">{v === null ? "NaN" : real(v)}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function Pager({ label, first, shown, total, step, onMove, disabled }: { label: string; first: number; shown: number; total: number; step: number; onMove: (n: number) => void; disabled: boolean }) {
  return (
    <span class="pager">
      <span class="muted">{label} {count(first)}–{count(Math.max(first, first + shown - 1))} of {count(total)}</span>
      <button type="button" class="button plain" disabled={disabled || first === 0} aria-label={`Earlier ${label}`} onClick={() => onMove(Math.max(0, first - step))}><span class="back"><Icon name="chevron" size={12} /></span></button>
      <button type="button" class="button plain" disabled={disabled || first + shown >= total} aria-label={`Later ${label}`} onClick={() => onMove(first + step)}><Icon name="chevron" size={12} /></button>
    </span>
  );
}

function Block({ peek }: { peek: PeekReport | null }) {
  const pairs = hexPairs(peek?.block_hex ?? "");
  return (
    <>
      <h3>The bytes of one block <span class="muted small">{pairs.length > 0 ? `${count(pairs.length)} of them, the first of row ${count(peek?.first_row ?? 0)}` : ""}</span></h3>
      <div class="hex mono" tabIndex={0} role="region" aria-label="Bytes of the first block shown">{pairs.slice(0, MOST_HEX).join(" ")}{pairs.length > MOST_HEX ? ` … ${count(pairs.length - MOST_HEX)} more bytes` : ""}</div>
    </>
  );
}
