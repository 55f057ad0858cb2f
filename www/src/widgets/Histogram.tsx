import { count, real } from "../lib/format.ts";

/** Equal bins from `min` to `max`, with the same numbers as a table on request. */
export function Histogram({ bins, min, max, label }: { bins: number[]; min: number; max: number; label: string }) {
  const top = Math.max(1, ...bins);
  const width = (max - min) / Math.max(1, bins.length);
  return (
    <figure class="histogram">
      <svg viewBox={`0 0 ${bins.length} 100`} preserveAspectRatio="none" role="img" aria-label={label}>
        {bins.map((n, i) => {
          const height = n === 0 ? 0 : Math.max(1, (n / top) * 100);
          return <rect key={i} x={i + 0.06} width={0.88} y={100 - height} height={height} />;
        })}
      </svg>
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
