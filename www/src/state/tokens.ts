import { batch, computed, effect, signal } from "@preact/signals";

import { Graphemes } from "../lib/graphemes.ts";
import { Utf8Map } from "../lib/spans.ts";
import type { PieceReport, TokensReport } from "../wire/report.ts";
import { latest } from "./latest.ts";
import { askModel, askWithin, generation, report } from "./model.ts";
import { fill, reset, resource } from "./resource.ts";
import { route } from "./route.ts";

export const EXAMPLE = "The quick brown fox → 42 jumps, naïve café.\n\tOnce upon a time there was a little girl.";

/** Pieces are kept and drawn in pages of so many. */
export const PAGE = 256;
/** Seconds that a text may take, and characters for each of which one more is given. */
const PATIENCE = 30;
const PACE = 20_000;

export const text = signal(EXAMPLE);
export const addSpecial = signal(true);
export const parseSpecial = signal(false);

/** An answer together with the text it answers: spans only fit that one. */
export interface Tokenized {
  text: string;
  map: Utf8Map;
  graphemes: Graphemes;
  /** Its pieces are the first ones only; `pages` has more. */
  report: TokensReport;
}
export const tokens = resource<Tokenized>();
export type Pages = ReadonlyMap<number, readonly PieceReport[]>;
/** The pieces that are here, by page. */
export const pages = signal<Pages>(new Map());
/** Piece under the pointer or the focus. */
export const pointed = signal<number | null>(null);
/** Piece that was chosen, by a click or Enter. */
export const picked = signal<number | null>(null);
/** Selected range of the text, in string offsets; the caret is an empty one. */
export const selection = signal<[number, number] | null>(null);
/** First and one past the last piece that the selection touches. */
export const touched = signal<readonly [number, number] | null>(null);

/** The piece of a number, where it is here. */
export function pieceAt(number: number | null, of: Pages = pages.value): PieceReport | undefined {
  return number === null ? undefined : of.get(Math.floor(number / PAGE))?.[number % PAGE];
}

/** A list of pieces in pages. */
export function inPages(pieces: readonly PieceReport[]): Pages {
  const out = new Map<number, readonly PieceReport[]>();
  for (let page = 0; page * PAGE < pieces.length; page++) out.set(page, pieces.slice(page * PAGE, (page + 1) * PAGE));
  return out;
}

/** String range of the pointed or chosen piece, to be marked in the text. */
export const marked = computed<[number, number] | null>(() => {
  const done = tokens.value.value;
  const piece = pieceAt(pointed.value ?? picked.value);
  if (done === null || piece === undefined || done.text !== text.value || piece.end <= piece.start) return null;
  return done.map.range(piece.start, piece.end);
});

/** Tokenizes the text as it is now. While one question is out, later texts wait and only the last of them is asked. */
export const tokenize = latest(async () => {
  const asked = { text: text.value, addSpecial: addSpecial.value, parseSpecial: parseSpecial.value };
  const model = generation.value;
  // The first answer waits for the vocabulary to be read, however slow its disk or host is.
  const ask = () => (tokens.peek().value === null ? askModel("tokenize", asked) : askWithin(PATIENCE + Math.ceil(asked.text.length / PACE), "tokenize", asked));
  await fill(
    tokens,
    async () => {
      const done = await ask();
      const map = new Utf8Map(asked.text);
      batch(() => {
        // What was pointed at is another piece now, unless the text is the same.
        if (tokens.peek().value?.text !== asked.text) pointed.value = picked.value = null;
        pages.value = inPages(done.pieces);
        touched.value = null;
      });
      return { text: asked.text, map, graphemes: new Graphemes(map), report: done };
    },
    () => model === generation.value,
  );
});

/** Pages that are on their way. */
const fetching = new Set<number>();

/** Asks for the pages from `first` to `last` that are not here. */
export async function needPages(first: number, last: number): Promise<void> {
  const done = tokens.peek().value;
  if (done === null) return;
  const missing: number[] = [];
  for (let page = first; page <= Math.min(last, Math.ceil(done.report.count / PAGE) - 1); page++) {
    if (!pages.peek().has(page) && !fetching.has(page)) missing.push(page);
  }
  const from = missing[0];
  const to = missing.at(-1);
  if (from === undefined || to === undefined) return;
  for (const page of missing) fetching.add(page);
  try {
    const { first: begin, pieces } = await askModel("pieces", { from: from * PAGE, count: (to - from + 1) * PAGE });
    // A text that was tokenized since has other pieces.
    if (tokens.peek().value !== done) return;
    const next = new Map(pages.peek());
    for (const [page, list] of inPages(pieces)) next.set(begin / PAGE + page, list);
    pages.value = next;
  } catch {
    // The page stays empty; the next look at it asks again, and a lost engine is told by the page itself.
  } finally {
    for (const page of missing) fetching.delete(page);
  }
}

/** Finds the pieces of the selection: here, where all of them are here, else by the engine, which keeps them. */
const touch = latest(async () => {
  const done = tokens.peek().value;
  const range = selection.peek();
  if (done === null || range === null || done.text !== text.peek()) {
    touched.value = null;
    return;
  }
  const [start, end] = [done.map.byte(range[0]), done.map.byte(range[1])];
  const all = [...pages.peek().values()].flat();
  if (all.length === done.report.count) {
    touched.value = touching(all, start, end);
    return;
  }
  const found = await askModel("touching", { start, end }).catch(() => null);
  if (tokens.peek().value === done) touched.value = found === null || found[0] >= found[1] ? null : found;
});

/** The pieces that bytes [start, end) touch; for an empty range the one that the caret stands before. */
export function touching(pieces: readonly { start: number; end: number }[], start: number, end: number): [number, number] | null {
  const hits = (p: { start: number; end: number }) => p.end > p.start && (start === end ? p.start <= start && start < p.end : p.start < end && p.end > start);
  const first = pieces.findIndex(hits);
  return first < 0 ? null : [first, pieces.findLastIndex(hits) + 1];
}

/** All ids of the text, for whoever wants to give them to a program. */
export async function copyIds(): Promise<string> {
  const done = tokens.peek().value;
  if (done === null) return "";
  const ids = done.report.ids.length === done.report.count ? done.report.ids : await askModel("ids", {});
  return ids.join(" ");
}

export function watchSelection(): () => void {
  return effect(() => {
    void selection.value;
    void tokens.value.value;
    void touch();
  });
}

/** Keeps the pieces current while the tokenizer is looked at. */
export function watchText(): () => void {
  let done: readonly unknown[] = [];
  return effect(() => {
    const key = [generation.value, text.value, addSpecial.value, parseSpecial.value];
    if (route.value.tab !== "tokenizer" || route.value.part !== "" || report.value?.tokenizer == null || key.every((k, i) => k === done[i])) return;
    done = key;
    void tokenize();
  });
}

export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    reset(tokens);
    pages.value = new Map();
    pointed.value = null;
    picked.value = null;
    selection.value = null;
    touched.value = null;
  });
}
