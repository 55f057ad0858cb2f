import { bytes, count, percent } from "../../lib/format.ts";
import { context, memory, plan } from "../../state/fit.ts";
import { report } from "../../state/model.ts";
import { StackBar, Swatch } from "../../widgets/StackBar.tsx";
import { later } from "../App/later.tsx";

/** It comes behind the first view. */
const Reach = later("Reach");

const COLOURS = { weights: "var(--c-blue)", cache: "var(--c-orange)", scratch: "var(--c-purple)" };

/** Weights + cache + scratch for a chosen context against a stated memory, with the working shown. */
export function Fit() {
  const fit = report.value?.fit;
  const now = plan.value;
  return (
    <section class="card fit">
      <h2>Will it fit</h2>
      {fit == null || now === null ? <p class="muted">Glassbox estimates this only for architectures that it runs.</p> : (
        <>
          <p class={now.share > 1 ? "answer no" : "answer"} aria-live="polite">{now.share > 1 ? "No: " : "Yes: "}{bytes(now.total)} of {count(memory.value)} GB, {percent(now.share)}</p>
          <StackBar
            label={`${bytes(now.total)} needed of ${memory.value} GB`}
            whole={Math.max(now.total, memory.value * 1e9)}
            parts={[
              { label: `Weights, ${bytes(now.weights)}`, size: now.weights, colour: COLOURS.weights },
              { label: `Cache, ${bytes(now.cache)}`, size: now.cache, colour: COLOURS.cache },
              { label: `Scratch, ${bytes(now.scratch)}`, size: now.scratch, colour: COLOURS.scratch },
            ]}
          />
          <dl class="facts">
            <dt><Swatch colour={COLOURS.weights} />Weights</dt><dd>{bytes(now.weights)}</dd>
            <dt><Swatch colour={COLOURS.cache} />Key and value cache</dt><dd>{bytes(now.cache)}</dd>
            <dt><Swatch colour={COLOURS.scratch} />Scratch</dt><dd>{bytes(now.scratch)}</dd>
          </dl>
          <p class="small muted">{count(context.value)} tokens × {bytes(fit.cache_per_token)} per token{fit.states > 0 ? ` + ${bytes(fit.states)} of states` : ""} = {bytes(now.cache)} of cache</p>
          <div class="inputs">
            <label>Context <input class="field" type="number" min={1} max={Math.max(fit.context, 1)} value={context.value} onInput={(e) => set(context, e.currentTarget, fit.context)} /><span class="muted small">of {count(fit.context)} tokens</span></label>
            <label>Memory <input class="field" type="number" min={0.25} step={0.25} value={memory.value} onInput={(e) => set(memory, e.currentTarget, 1e6)} /><span class="muted small">GB</span></label>
          </div>
          {fit.context > 1 && fit.cache_per_token > 0 ? <div class="reach-room"><Reach /></div> : null}
        </>
      )}
    </section>
  );
}

function set(target: { value: number }, input: HTMLInputElement, most: number): void {
  const n = input.valueAsNumber;
  if (Number.isFinite(n) && n > 0) target.value = Math.min(n, most);
}
