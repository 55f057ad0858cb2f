import { bytes, count } from "../../lib/format.ts";
import { CACHES, longest, needed } from "../../lib/reach.ts";
import { context, memory } from "../../state/fit.ts";
import { report } from "../../state/model.ts";
import { Plot } from "../../widgets/Plot.tsx";

const COLOURS = ["var(--c-blue)", "var(--c-orange)", "var(--c-green)"];
const STEPS = 64;

/** Memory over context length, by the type of the cache, against the memory stated. */
export function Reach() {
  const fit = report.value?.fit;
  if (fit == null || fit.context < 2 || fit.cache_per_token === 0) return null;
  const have = memory.value * 1e9;
  const stops = [...new Set([...Array.from({ length: STEPS + 1 }, (_, i) => Math.max(1, Math.round((i / STEPS) * fit.context))), context.value])].sort((a, b) => a - b);
  const all = needed(fit, 1, fit.context);
  // A memory that is much larger than anything needed would flatten the lines.
  const inside = have <= 2 * all;
  const most = Math.max(all, inside ? have : 0) * 1.05;
  const say = (i: number) => `${count(stops[i] ?? 0)} tokens: ${CACHES.map((c) => `${bytes(needed(fit, c.share, stops[i] ?? 0))} with a cache of ${c.name}`).join(", ")}`;
  return (
    <div class="reach">
      <Plot
        label={`Memory over context length up to ${count(fit.context)} tokens: ${CACHES.map((c) => `${c.name} reaches ${bytes(needed(fit, c.share, fit.context))}`).join(", ")}; ${count(memory.value)} GB are stated`}
        height={200}
        x={{ label: "context, tokens", from: 0, to: fit.context, whole: true }}
        y={{ label: "Memory over context length", from: 0, to: most, format: (v) => bytes(v).replace(".0 ", " ") }}
        lines={[
          ...(inside ? [{ key: "memory", colour: "var(--bad)", dashed: true, points: [[0, have], [fit.context, have]] as const }] : []),
          ...CACHES.map((c, i) => ({ key: c.name, colour: COLOURS[i] ?? "", points: [[0, needed(fit, c.share, 0)], [fit.context, needed(fit, c.share, fit.context)]] as const })),
        ]}
        stops={stops}
        say={say}
      />
      <table class="small">
        <thead><tr><th scope="col">Cache</th><th scope="col" class="num">At {count(context.value)} tokens</th><th scope="col" class="num">Longest context that fits</th></tr></thead>
        <tbody>{CACHES.map((c, i) => { const reach = longest(fit, c.share, have); return <tr key={c.name}><th scope="row"><i class="swatch" style={{ background: COLOURS[i] ?? "" }} />{c.name}</th><td class="num">{bytes(needed(fit, c.share, context.value))}</td><td class="num">{reach === 0 ? "none" : `${count(reach)}${reach === fit.context ? " (all)" : ""}`}</td></tr>; })}</tbody>
      </table>
      <p class="small muted">{inside ? "Dashed: the memory stated above." : "The memory stated above lies beyond the plot."} F32 is what this page uses; natively <span class="mono">--cache-type</span> chooses. Layers with a window need less than this.</p>
    </div>
  );
}
