import { computed, effect, signal } from "@preact/signals";

import { generation, report } from "./model.ts";

/** Context to plan for, in tokens. */
export const context = signal(2048);
/** Memory to fit into, in decimal gigabytes; what the browser says, or what the person types. */
export const memory = signal(8);

export interface Plan {
  weights: number;
  cache: number;
  scratch: number;
  total: number;
  /** Share of the memory; over 1 does not fit. */
  share: number;
}

export const plan = computed<Plan | null>(() => {
  const fit = report.value?.fit;
  if (fit == null) return null;
  const cache = fit.cache_per_token * context.value + fit.states;
  const total = fit.weights + cache + fit.scratch;
  return { weights: fit.weights, cache, scratch: fit.scratch, total, share: total / (memory.value * 1e9) };
});

export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    const longest = report.value?.fit?.context ?? 2048;
    context.value = Math.min(2048, Math.max(longest, 1));
  });
}
