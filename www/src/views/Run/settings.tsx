import { busy, options } from "../../state/run.ts";

type Key = "max_tokens" | "temperature" | "top_k" | "top_p" | "min_p" | "seed";
const FIELDS: { key: Key; label: string; about: string; min: number; max: number; step: number }[] = [
  { key: "max_tokens", label: "New tokens", about: "at most", min: 1, max: 100_000, step: 1 },
  { key: "temperature", label: "Temperature", about: "0 takes the likeliest", min: 0, max: 5, step: 0.1 },
  { key: "top_k", label: "Top-k", about: "0 is off", min: 0, max: 1000, step: 1 },
  { key: "top_p", label: "Top-p", about: "1 is off", min: 0, max: 1, step: 0.05 },
  { key: "min_p", label: "Min-p", about: "0 is off", min: 0, max: 1, step: 0.01 },
  { key: "seed", label: "Seed", about: "same seed, same text", min: 0, max: 4_294_967_295, step: 1 },
];

export function Settings() {
  return (
    <section class="card settings">
      <h2>Sampling</h2>
      <div class="fields">
        {FIELDS.map((f) => (
          <label key={f.key}>
            <span>{f.label}</span>
            <input class="field" type="number" min={f.min} max={f.max} step={f.step} value={options.value[f.key]} disabled={busy.value} onInput={(e) => set(f.key, e.currentTarget)} />
            <span class="small muted">{f.about}</span>
          </label>
        ))}
      </div>
      <label class="check"><input type="checkbox" checked={options.value.alternatives} disabled={busy.value} onChange={(e) => (options.value = { ...options.value, alternatives: e.currentTarget.checked })} /> Show the probability of each token <span class="muted small">(a little slower)</span></label>
    </section>
  );
}

/** Half-typed and impossible numbers change nothing. */
function set(key: Key, input: HTMLInputElement): void {
  const n = input.valueAsNumber;
  if (Number.isFinite(n) && input.validity.valid) options.value = { ...options.value, [key]: n };
}
