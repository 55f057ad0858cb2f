import { useSignal } from "@preact/signals";

import { bytes, count, percent, plural, real } from "../../lib/format.ts";
import { type AxisReport, type ChannelsReport, type Metric } from "../../lib/values/channels.ts";
import { CHANNELS } from "../../lib/values/robust.ts";
import { channels, channelsShare, measureChannels, stopChannels } from "../../state/pictures.ts";
import { Meter } from "../../widgets/Meter.tsx";
import { Plot } from "../../widgets/Plot.tsx";
import { Segmented } from "../../widgets/Segmented.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Details } from "./heat.tsx";

const METRICS: { value: Metric; label: string }[] = [{ value: "rms", label: "RMS" }, { value: "mean", label: "Mean" }, { value: "largest", label: "Largest" }];
const WORDS: Record<Metric, string> = { rms: "RMS", mean: "mean", largest: "largest magnitude" };

/** Statistics by row and by column. */
export function ChannelsView({ shape, bytes: size }: { shape: readonly number[]; bytes: number }) {
  return <Measured what="The statistics by row and column" size={size}>{(report) => <Axes report={report} shape={shape} />}</Measured>;
}

/** What the one pass over all values gives; it is begun, told of and stopped here. */
export function Measured({ what, size, children }: { what: string; size: number; children: (report: ChannelsReport) => preact.ComponentChildren }) {
  const { value, fault, busy } = channels.value;
  if (fault !== null) return <FaultCard title="The statistics could not be worked out" fault={fault} />;
  if (value !== null) return <>{children(value)}</>;
  return (
    <div class="measuring">
      {busy ? (
        <>
          <p class="small">Reading all values, {percent(channelsShare.value)}</p>
          <Meter label="Reading all values" share={channelsShare.value} />
          <button type="button" class="button slim" onClick={stopChannels}>Stop</button>
        </>
      ) : (
        <>
          <p class="muted small">{what} need every value.</p>
          <button type="button" class="button" onClick={() => void measureChannels()}>Read all {bytes(size)}</button>
        </>
      )}
    </div>
  );
}

function Axes({ report, shape }: { report: ChannelsReport; shape: readonly number[] }) {
  const single = report.rows.channels === 1;
  const which = useSignal<"rows" | "cols">(single ? "cols" : "rows");
  const metric = useSignal<Metric>("rms");
  const axis = report[which.value];
  const [one, many] = which.value === "rows" ? ["row", "rows"] : ["column", "columns"];
  return (
    <div class="pictures">
      <div class="row small controls">
        {single ? null : <Segmented label="Statistics by" options={[{ value: "rows", label: "By row" }, { value: "cols", label: "By column" }]} value={which.value} onChange={(to) => (which.value = to)} />}
        <Segmented label="Statistic" options={METRICS} value={metric.value} onChange={(to) => (metric.value = to)} />
      </div>
      <Envelope axis={axis} metric={metric.value} one={one} many={many} />
      <p class="small muted">
        {shape.length > 2 && which.value === "rows" ? `A row is ${count(shape.at(-1) ?? 1)} values of the last axis: all axes before it are counted through. ` : ""}
        {axis.shared > 1 ? `So many ${many} share slots, ${count(axis.shared)} neighbours each. ` : ""}
        The median RMS is {real(axis.median)}. {found(axis, one, many)}{axis.zero > 0 ? ` ${plural(axis.zero, one, many)} ${axis.zero === 1 ? "holds" : "hold"} nothing but zeros.` : ""}{report.odd > 0 ? ` ${plural(report.odd, "value")} that ${report.odd === 1 ? "is" : "are"} no finite number ${report.odd === 1 ? "is" : "are"} left out.` : ""}
      </p>
      <Named axis={axis} one={one} />
      <Details title={`Numbers of the plot`}>
        <table>
          <thead><tr><th scope="col">From {one}</th><th scope="col" class="num">Smallest</th><th scope="col" class="num">Mean</th><th scope="col" class="num">Largest</th></tr></thead>
          <tbody>{axis.from.map((from, i) => <tr key={from}><td>{count(from)}</td><td class="num">{real(axis.metrics[metric.value].low[i] ?? 0)}</td><td class="num">{real(axis.metrics[metric.value].middle[i] ?? 0)}</td><td class="num">{real(axis.metrics[metric.value].high[i] ?? 0)}</td></tr>)}</tbody>
        </table>
      </Details>
    </div>
  );
}

function found(axis: AxisReport, one: string, many: string): string {
  if (axis.channels < CHANNELS.least) return `${plural(axis.channels, one, many)} ${axis.channels === 1 ? "is" : "are"} too few to tell which stand out.`;
  const rule = `beyond ${CHANNELS.deviations} robust standard deviations of the logarithm and ${CHANNELS.times} times the median, or as far below it`;
  return axis.strange === 0 ? `None of ${plural(axis.channels, one, many)} stands out (${rule}).` : `${count(axis.strange)} of ${plural(axis.channels, one, many)} ${axis.strange === 1 ? "stands" : "stand"} out: ${rule}.`;
}

function Envelope({ axis, metric, one, many }: { axis: AxisReport; metric: Metric; one: string; many: string }) {
  const { low, middle, high } = axis.metrics[metric];
  const [least, most] = [low.reduce((a, b) => Math.min(a, b), Infinity), high.reduce((a, b) => Math.max(a, b), -Infinity)];
  const from = metric === "mean" ? least : 0;
  const end = (i: number) => (axis.from[i + 1] ?? axis.channels) - 1;
  const say = (i: number) => {
    const [a, b] = [axis.from[i] ?? 0, end(i)];
    return a === b ? `${one} ${count(a)}: ${WORDS[metric]} ${real(middle[i] ?? 0)}` : `${many} ${count(a)}–${count(b)}: ${WORDS[metric]} from ${real(low[i] ?? 0)} to ${real(high[i] ?? 0)}, mean ${real(middle[i] ?? 0)}`;
  };
  const strange = axis.strange > 0 && metric !== "mean" ? axis.named.slice(0, 8) : [];
  const marks = strange.map((c) => ({ x: axis.from[axis.from.findLastIndex((f) => f <= c.index)] ?? 0, y: metric === "rms" ? c.rms : c.largest, label: count(c.index) }));
  return (
    <Plot
      label={`${WORDS[metric]} by ${one}, from ${real(least)} to ${real(most)} over ${plural(axis.channels, one, many)}${strange.length > 0 ? `; ${strange.map((c) => count(c.index)).join(", ")} ${strange.length === 1 ? "stands" : "stand"} out` : ""}`}
      height={220}
      x={{ label: one, from: 0, to: Math.max(1, axis.channels - 1), whole: true }}
      y={{ label: `${WORDS[metric]} by ${one}`, from, to: most === from ? from + 1 : most }}
      bands={[{ key: "range", colour: "var(--c-sky)", points: axis.from.map((f, i) => [f, low[i] ?? 0, high[i] ?? 0] as const) }]}
      lines={[{ key: "mean", colour: "var(--c-blue)", points: axis.from.map((f, i) => [f, middle[i] ?? 0] as const) }]}
      marks={marks}
      stops={axis.from}
      say={say}
    />
  );
}

function Named({ axis, one }: { axis: AxisReport; one: string }) {
  const title = axis.strange > 0 ? "What stands out" : "The largest";
  return (
    <>
      <h4>{title}</h4>
      <div class="scroll" tabIndex={0} role="region" aria-label={title}>
        <table>
          <thead><tr><th scope="col" class="num">{one === "row" ? "Row" : "Column"}</th><th scope="col" class="num">RMS</th><th scope="col" class="num">× median</th><th scope="col" class="num">Mean</th><th scope="col" class="num">Largest</th></tr></thead>
          <tbody>{axis.named.map((c) => <tr key={c.index}><td class="num">{count(c.index)}</td><td class="num">{real(c.rms)}</td><td class="num">{real(c.times, 3)}</td><td class="num">{real(c.mean)}</td><td class="num">{real(c.largest)}</td></tr>)}</tbody>
        </table>
      </div>
    </>
  );
}
