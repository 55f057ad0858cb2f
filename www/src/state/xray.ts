import { computed, effect } from "@preact/signals";

import type { ExplainedPart, ExplainedWord, ExplainReport } from "../wire/report.ts";
import { latest } from "./latest.ts";
import { askWithin, generation } from "./model.ts";
import { fill, reset, resource } from "./resource.ts";
import { addSpecial, parseSpecial, picked, pieceAt, tokens } from "./tokens.ts";

/** Bytes of a text that is explained as a whole; of longer ones the line around the piece. */
const WHOLE = 16_384;
/** Characters around the piece that are explained at most, on either side. */
const AROUND = 2_000;
const PATIENCE = 20;

/** An explained stretch of the text. */
export interface Explained {
  /** The whole text to which the explanation belongs. */
  text: string;
  /** First byte of the stretch in it. */
  from: number;
  /** Whether it is only a part of the text. */
  excerpt: boolean;
  options: string;
  report: ExplainReport;
}
export const explained = resource<Explained>();

/** The stretch around bytes [start, end): whole lines, and not too many characters. */
export function stretch(text: string, from: number, to: number): [number, number] {
  const line = text.lastIndexOf("\n", from - 1) + 1;
  const end = text.indexOf("\n", to);
  // A line feed belongs to what is before it; words are cut from the line that begins behind it.
  const begin = Math.max(line, from - AROUND);
  const stop = Math.min(end < 0 ? text.length : end + 1, to + AROUND);
  // Not inside a pair of surrogates.
  const low = (at: number) => { const c = text.charCodeAt(at); return c >= 0xdc00 && c < 0xe000; };
  return [low(begin) ? begin - 1 : begin, low(stop) ? stop + 1 : stop];
}

const ask = latest(async () => {
  const done = tokens.peek().value;
  const piece = pieceAt(picked.peek());
  if (done === null || piece === undefined) return;
  const options = JSON.stringify([addSpecial.peek(), parseSpecial.peek()]);
  const known = explained.peek().value;
  const isWhole = done.map.bytes <= WHOLE;
  if (known !== null && known.text === done.text && known.options === options && covers(known, piece, done.map.bytes)) return;
  const [from, to] = isWhole ? [0, done.text.length] : stretch(done.text, ...done.map.range(piece.start, piece.end));
  const model = generation.peek();
  await fill(
    explained,
    async () => ({
      text: done.text, from: done.map.byte(from), excerpt: !isWhole, options,
      report: await askWithin(PATIENCE, "explain", { text: done.text.slice(from, to), addSpecial: addSpecial.peek() && isWhole, parseSpecial: parseSpecial.peek() }),
    }),
    () => model === generation.peek(),
  );
});

function covers(known: Explained, piece: { start: number; end: number }, bytes: number): boolean {
  if (!known.excerpt) return true;
  const end = known.from + Math.max(0, ...known.report.parts.map((p) => p.end));
  return piece.start >= known.from && piece.end <= end && end <= bytes;
}

/** The part and the word of the explanation that hold the chosen piece. */
export const chosenWord = computed<{ part: ExplainedPart; word: ExplainedWord | null; from: number } | null>(() => {
  const known = explained.value.value;
  const piece = pieceAt(picked.value);
  if (known === null || piece === undefined || known.text !== tokens.value.value?.text) return null;
  return wordAt(known.report, piece.start - known.from, piece.end - known.from, piece.id, known.from);
});

export function wordAt(report: ExplainReport, start: number, end: number, id: number, from: number): { part: ExplainedPart; word: ExplainedWord | null; from: number } | null {
  const within = (outer: { start: number; end: number }) => outer.start <= start && end <= outer.end;
  // A token that covers nothing is one of those put around the text.
  const part = end > start ? report.parts.find(within) : report.parts.find((p) => p.token?.id === id && p.start === start);
  if (part === undefined) return null;
  const word = part.words.find((w) => within(w) && w.end > w.start);
  return { part, word: word ?? null, from };
}

export function watchPicked(): () => void {
  return effect(() => {
    void tokens.value.value;
    if (picked.value !== null) void ask();
  });
}

export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    reset(explained);
  });
}
