import type { ComponentChild } from "preact";

import { count, parameters, real } from "../lib/format.ts";

/** Counts as tall as their logarithm: one value is still seen beside a million. */
function logHeight(n: number, top: number): number {
  return Math.log1p(n) / Math.log1p(top);
}

/** 1200000 as "1.2 M": what an axis has room for. */
function short(n: number): string {
  return n < 10_000 ? count(n) : parameters(n);
}

/** Equal bins from `min` to `max`, with the same numbers as a table on request. `choice` stands above, on the right. */
export function Histogram({ bins, min, max, label, log = false, choice }: { bins: number[]; min: number; max: number; label: string; log?: boolean; choice?: ComponentChild }) {
  const top = Math.max(1, ...bins);
  const width = (max - min) / Math.max(1, bins.length);
  const height = (n: number) => (n === 0 ? 0 : Math.max(1, 100 * (log ? logHeight(n, top) : n / top)));
  // Of a logarithmic axis the powers of ten, as many as have room.
  const powers = Array.from({ length: Math.floor(Math.log10(top)) + 1 }, (_, k) => 10 ** k);
  const every = Math.ceil(powers.length / 4);
  const ticks = log ? powers.filter((_, k) => (powers.length - 1 - k) % every === 0) : [top / 2, top].filter(Number.isInteger);
  return (
    <figure class="histogram">
      <div class="row small above"><span class="muted">Values by bin</span>{choice === undefined ? null : <span class="push">{choice}</span>}</div>
      <div class="bins">
        {ticks.map((t) => <i key={t} class="tick" aria-hidden="true" style={{ bottom: `${(log ? logHeight(t, top) : t / top) * 100}%` }}><span>{short(t)}</span></i>)}
        <svg viewBox={`0 0 ${bins.length} 100`} preserveAspectRatio="none" role="img" aria-label={log ? `${label}; the axis of the counts is logarithmic` : label}>
          {bins.map((n, i) => <rect key={i} x={i + 0.06} width={0.88} y={100 - height(n)} height={height(n)} />)}
        </svg>
      </div>
      <div class="axis small muted" aria-hidden="true"><span>{real(min)}</span>{min < 0 && max > 0 ? <span class="zero" style={{ left: `${(-min / (max - min)) * 100}%` }}>0</span> : null}<span>{real(max)}</span></div>
      <details class="numbers">
        <summary>Numbers of the histogram</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label="Numbers of the histogram">
          <table>
            <thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col" class="num">Values</th></tr></thead>
            <tbody>
              {bins.map((n, i) => <tr key={i}><td>{real(min + i * width)}</td><td>{real(min + (i + 1) * width)}</td><td class="num">{count(n)}</td></tr>)}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
