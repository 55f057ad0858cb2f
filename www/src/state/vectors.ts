import { batch, effect, signal } from "@preact/signals";

import type { EmbedReport } from "../wire/report.ts";
import { askModel, generation } from "./model.ts";
import { encode, encoder } from "./run.ts";

/** Texts on show at once: their similarities are a square. */
export const MOST = 200;

export interface Vectors {
  texts: readonly string[];
  report: EmbedReport;
  /** Cosines, row by row. */
  similar: Float32Array;
}

/** Texts as they are written, one a line. */
export const texts = signal("");
/** The prompt by name; null takes the one that the model's files use by default, empty none. */
export const promptName = signal<string | null>(null);
export const vectors = signal<Vectors | null>(null);
/** Texts that were left out because only so many are shown. */
export const leftOut = signal(0);
/** The text whose neighbours are on show. */
export const chosen = signal(0);

export function lines(text: string): string[] {
  return text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
}

/** The text of the prompt that is asked for. */
export function promptText(): string {
  const known = encoder.value;
  const name = promptName.value ?? known?.default_prompt ?? "";
  return known?.prompts.find((p) => p.name === name)?.text ?? "";
}

/** Makes the vectors of the texts that are written. */
export async function embed(): Promise<void> {
  const all = lines(texts.value);
  if (all.length === 0) return;
  const taken = all.slice(0, MOST);
  // The prompt's text is known once the model is loaded.
  const report = await encode(() => askModel("embed", { texts: taken, prompt: promptText() }));
  if (report === null) return;
  batch(() => {
    vectors.value = { texts: taken, report, similar: cosines(report.embeddings) };
    leftOut.value = all.length - taken.length;
    chosen.value = 0;
  });
}

/** Cosines of all pairs, row by row; of a vector without length 0. */
export function cosines(all: readonly (readonly number[])[]): Float32Array {
  const n = all.length;
  const lengths = all.map((v) => Math.hypot(...v));
  const out = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) {
      const a = all[i]!, b = all[j]!;
      let sum = 0;
      for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
      const both = lengths[i]! * lengths[j]!;
      out[i * n + j] = out[j * n + i] = both > 0 ? sum / both : 0;
    }
  }
  return out;
}

/** The others in the order of their similarity to a text. */
export function neighbours(of: Vectors, at: number): { text: string; index: number; similarity: number }[] {
  const n = of.texts.length;
  return of.texts
    .map((text, index) => ({ text, index, similarity: of.similar[at * n + index]! }))
    .filter((other) => other.index !== at)
    .sort((a, b) => b.similarity - a.similarity);
}

/** What was made of one model's texts is nothing of another's. */
export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    batch(() => {
      vectors.value = null;
      leftOut.value = 0;
      promptName.value = null;
    });
  });
}
