import { computed, effect, signal } from "@preact/signals";

import { Utf8Map } from "../lib/spans.ts";
import type { TokensReport } from "../wire/report.ts";
import { askModel, generation, report } from "./model.ts";
import { fill, reset, resource } from "./resource.ts";
import { route } from "./route.ts";

export const EXAMPLE = "The quick brown fox → 42 jumps, naïve café.\n\tOnce upon a time there was a little girl.";

export const text = signal(EXAMPLE);
export const addSpecial = signal(true);
export const parseSpecial = signal(false);

/** An answer together with the text it answers: spans only fit that one. */
export interface Tokenized {
  text: string;
  map: Utf8Map;
  report: TokensReport;
}
export const tokens = resource<Tokenized>();
/** Piece under the pointer or the focus. */
export const pointed = signal<number | null>(null);
/** Selected range of the text, in string offsets; the caret is an empty one. */
export const selection = signal<[number, number] | null>(null);

/** String range of the pointed piece, to be marked in the text. */
export const marked = computed<[number, number] | null>(() => {
  const done = tokens.value.value;
  const piece = pointed.value === null ? undefined : done?.report.pieces[pointed.value];
  if (done === null || piece === undefined || done.text !== text.value || piece.end <= piece.start) return null;
  return done.map.range(piece.start, piece.end);
});

/** Numbers of the pieces that the text's selection touches. */
export const touched = computed<ReadonlySet<number>>(() => {
  const done = tokens.value.value;
  const range = selection.value;
  const hits = new Set<number>();
  if (done === null || range === null || done.text !== text.value) return hits;
  done.report.pieces.forEach((piece, i) => {
    if (piece.end <= piece.start) return;
    const [from, to] = done.map.range(piece.start, piece.end);
    const caret = range[0] === range[1];
    if (caret ? from <= range[0] && range[0] < to : from < range[1] && to > range[0]) hits.add(i);
  });
  return hits;
});

let running = false;

/** Tokenizes the text as it is now. While one question is out, later texts wait and only the last of them is asked. */
export async function tokenize(): Promise<void> {
  if (running) return;
  running = true;
  try {
    for (let again = true; again; ) {
      const asked = { text: text.value, addSpecial: addSpecial.value, parseSpecial: parseSpecial.value };
      const model = generation.value;
      await fill(
        tokens,
        async () => ({ text: asked.text, map: new Utf8Map(asked.text), report: await askModel("tokenize", asked) }),
        () => model === generation.value,
      );
      again = asked.text !== text.value || asked.addSpecial !== addSpecial.value || asked.parseSpecial !== parseSpecial.value || model !== generation.value;
    }
  } finally {
    running = false;
  }
}

/** Keeps the pieces current while the tokenizer is looked at. */
export function watchText(): () => void {
  let done = "";
  return effect(() => {
    const key = JSON.stringify([generation.value, text.value, addSpecial.value, parseSpecial.value]);
    if (route.value.tab !== "tokenizer" || report.value?.tokenizer == null || key === done) return;
    done = key;
    void tokenize();
  });
}

export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    reset(tokens);
    pointed.value = null;
    selection.value = null;
  });
}
