/** How memory grows with the context, by the element type of the key and value cache. */

export interface Needs {
  weights: number;
  /** As F32. */
  cache_per_token: number;
  states: number;
  scratch: number;
  context: number;
}

/** Types that the engine keeps keys and values in, and their part of an F32's bytes; Q8_0 takes 34 bytes for 32 values. */
export const CACHES = [{ name: "F32", share: 1 }, { name: "F16", share: 0.5 }, { name: "Q8_0", share: 34 / 128 }] as const;

/** Bytes in all for a context. */
export function needed(fit: Needs, share: number, context: number): number {
  return fit.weights + fit.scratch + fit.states + fit.cache_per_token * share * context;
}

/** The longest context that fits into so many bytes, at most the one that the model was made for; 0 where not one token does. */
export function longest(fit: Needs, share: number, memory: number): number {
  const left = memory - needed(fit, share, 0);
  if (left < 0) return 0;
  const perToken = fit.cache_per_token * share;
  return perToken === 0 ? fit.context : Math.min(fit.context, Math.floor(left / perToken));
}
