import { count, plural, real } from "../../lib/format.ts";
import { describe, type Spectrum, type SpectrumReport } from "../../lib/values/svd.ts";
import { corner, plane, sampled, showSpectrum, type Size, size, SIZES, spectrum } from "../../state/pictures.ts";
import { Plot } from "../../widgets/Plot.tsx";
import { Segmented } from "../../widgets/Segmented.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Details } from "./heat.tsx";
import { PlaneChoice } from "./plane.tsx";

/** Singular values below this part of the largest are rounding. */
const FLOOR = 1e-9;

/** Singular values of one block of the plane. */
export function SpectrumView({ shape }: { shape: readonly number[] }) {
  const { value, fault, busy } = spectrum.value;
  const { rows, cols } = plane.value;
  if (fault !== null) return <FaultCard title="The singular values could not be worked out" fault={fault} />;
  if (Math.min(rows, cols) < 2) return <p class="small muted">A single row has one singular value, its norm: there is nothing to draw.</p>;
  const place = (which: "row" | "col", label: string, all: number, held: number) => (
    <label>{label} <input class="field" type="number" min={0} max={Math.max(0, all - 1)} value={held} onChange={(e) => { const n = e.currentTarget.valueAsNumber; if (Number.isFinite(n)) { corner.value = { ...corner.value, [which]: Math.min(all - 1, Math.max(0, Math.round(n))) }; void showSpectrum(); } }} /></label>
  );
  return (
    <div class={busy ? "pictures busy" : "pictures"}>
      <PlaneChoice shape={shape} />
      <div class="row small controls">
        <Segmented label="Largest side of the block" options={SIZES.map((s) => ({ value: s, label: s }))} value={size.value} onChange={(to: Size) => { size.value = to; void showSpectrum(); }} />
        {rows > sampled.value.rows ? place("row", "From row", rows, sampled.value.top) : null}
        {cols > sampled.value.cols ? place("col", "From column", cols, sampled.value.left) : null}
      </div>
      {value === null ? <p class="small muted waiting" role="status">Working out singular values…</p> : <Values report={value} />}
    </div>
  );
}

function Values({ report }: { report: SpectrumReport }) {
  const told = describe(report);
  if (report.values === null || told === null) return <p class="small muted waiting">The block holds values that are no finite numbers: it has no singular values.</p>;
  if (told.largest === 0) return <p class="small muted waiting">The block is zero, and so are its singular values.</p>;
  const values = report.values;
  const floor = told.largest * FLOOR;
  const shown = values.map((v, i) => [i + 1, Math.max(v, floor)] as const);
  const least = Math.min(...shown.map(([, v]) => v));
  const most = Math.max(told.largest, told.random) * 1.1;
  return (
    <>
      <Plot
        label={`${plural(values.length, "singular value")} of a block of ${report.rows} rows and ${report.cols} columns, from ${real(told.largest)} down to ${real(values.at(-1) ?? 0)}`}
        height={240}
        x={{ label: "number of the singular value", from: 1, to: values.length, whole: true }}
        y={{ label: "Singular values", from: least * 0.9, to: most, log: true }}
        lines={[
          { key: "random", colour: "var(--c-grey)", dashed: true, points: [[1, told.random], [values.length, told.random]] },
          { key: "values", colour: "var(--c-blue)", points: shown, dots: values.length <= 64 },
        ]}
        stops={shown.map(([i]) => i)}
        say={(i) => `singular value ${i + 1} of ${values.length}: ${real(values[i] ?? 0)}`}
      />
      <p class="small muted">Dashed: where the largest one of a random matrix of this size and RMS would lie, {real(told.random)}. Values well above it are more than noise of that size.</p>
      <Facts told={told} report={report} n={values.length} />
      <Details title="All singular values">
        <table>
          <thead><tr><th scope="col" class="num">Number</th><th scope="col" class="num">Singular value</th></tr></thead>
          <tbody>{values.map((v, i) => <tr key={i}><td class="num">{i + 1}</td><td class="num">{real(v, 6)}</td></tr>)}</tbody>
        </table>
      </Details>
    </>
  );
}

function Facts({ told, report, n }: { told: Spectrum; report: SpectrumReport; n: number }) {
  return (
    <dl class="facts small">
      <dt>Block</dt><dd>{count(report.rows)} × {count(report.cols)}, from row {count(sampled.value.top)} and column {count(sampled.value.left)}</dd>
      <dt>Largest (spectral norm)</dt><dd>{real(told.largest)}</dd>
      <dt>Frobenius norm</dt><dd>{real(told.frobenius)}</dd>
      <dt>Stable rank, (Frobenius / spectral)²</dt><dd>{real(told.stableRank)}</dd>
      <dt>Effective rank, by entropy</dt><dd>{real(told.effectiveRank)} of {count(n)}</dd>
      <dt>Hold 90 % and 99 % of the squares</dt><dd>{count(told.for90)} and {count(told.for99)} of {count(n)}</dd>
      <dt>Condition number</dt><dd>{told.condition === null ? "not finite: the smallest is 0 to rounding" : real(told.condition)}</dd>
    </dl>
  );
}
