/** Answers about tokenizers for the page's own tests, in the shapes of crate/src/report. */
import type { CompareReport, ExplainedWord, ExplainReport, PieceReport, TokenReport, VocabularyReport } from "../../../www/src/wire/report.ts";

/** Every word merges its letters from the left; the rank is the length of what comes out. */
export function explanation(text: string, pieces: PieceReport[], added: boolean): ExplainReport {
  const bytes = new TextEncoder().encode(text).length;
  const words = pieces.map((p): ExplainedWord => {
    const letters = [...p.text.replace(/^ /, "\u0120")];
    const merges = letters.slice(1).map((letter, i) => ({ at: 0, left: letters.slice(0, i + 1).join(""), right: letter, rank: 100 * (i + 1), score: null, symbols: [letters.slice(0, i + 2).join(""), ...letters.slice(i + 2)] }));
    return { text: letters.join(""), start: p.start, end: p.end, symbols: letters, merges, choices: [], tokens: [{ id: p.id, piece: letters.join(""), start: p.start, end: p.end, how: "" }], listed: true };
  });
  return {
    tokenizer: "Byte-level BPE (gpt2, pre smollm), 49,152 tokens", method: "BPE: of all neighbours that have a merge, those with the lowest rank merge first.", ids: pieces.map((p) => p.id), agrees: true, left_out: 0, notes: [],
    parts: [
      ...(added ? [{ kind: "added", start: 0, end: 0, token: { id: 1, piece: "<|im_start|>" }, normalized: [], words: [] }] : []),
      { kind: "text", start: 0, end: bytes, token: null, normalized: [{ from: text.slice(0, 1), to: text.slice(0, 1).toLowerCase() }], words },
    ],
  };
}

const SIZE = 49_152;
function token(id: number): TokenReport {
  const text = id < 2 ? "<|im_end|>" : `${id % 3 === 0 ? " " : ""}token${id}`;
  return { id, piece: text.replace(" ", "\u0120"), text, hex: [...new TextEncoder().encode(text)].map((b) => b.toString(16).padStart(2, "0")).join(""), kind: id < 2 ? "control" : id > 49_000 ? "unused" : "normal", score: null, rank: id < 258 ? null : id - 258 };
}

export function vocabulary(search: string, kind: string, sort: string, reverse: boolean, first: number, count: number): VocabularyReport {
  let ids = Array.from({ length: SIZE }, (_, id) => id);
  if (search.startsWith("#")) ids = ids.filter((id) => String(id) === search.slice(1));
  else if (search !== "") ids = ids.filter((id) => token(id).text.includes(search));
  if (kind !== "") ids = ids.filter((id) => token(id).kind === kind);
  if (sort === "length") ids.sort((a, b) => token(b).text.length - token(a).text.length || a - b);
  if (reverse) ids.reverse();
  return {
    tokenizer: "Byte-level BPE (gpt2, pre smollm), 49,152 tokens", size: SIZE, counts: [{ kind: "normal", tokens: 48_999 }, { kind: "control", tokens: 2 }, { kind: "unused", tokens: 151 }],
    unused: [[49_001, 49_152]], holes: [], measure: "rank", matching: ids.length, first, tokens: ids.slice(first, first + count).map(token), notes: [],
  };
}

/** The other one cuts every piece that begins with a space in two. */
export function comparison(text: string, pieces: PieceReport[]): CompareReport {
  const two = (p: PieceReport) => p.text.startsWith(" ");
  const side = (tokenizer: string, ids: number[]) => ({ tokenizer, ids, characters_per_token: ids.length === 0 ? null : [...text].length / ids.length, parts_of_characters: 0, roundtrips: true, notes: [] });
  const nth = pieces.findIndex(two);
  const first = pieces[nth];
  const cut = first === undefined ? null : {
    at: first.start, character: first.start, nth_a: nth, nth_b: nth, a: [first],
    b: [{ ...first, id: 900, text: " ", end: first.start + 1, hex: "20" }, { ...first, id: 901, text: first.text.slice(1), start: first.start + 1 }],
  };
  return {
    a: side("Byte-level BPE (gpt2, pre smollm), 49,152 tokens", pieces.map((p) => p.id)), b: side("WordPiece (vocab.txt), 30,522 tokens", pieces.flatMap((p) => (two(p) ? [900, 901] : [p.id]))),
    characters: [...text].length, bytes: new TextEncoder().encode(text).length, same: first === undefined, first_cut: cut, first_id: cut,
    stretches: { ends: pieces.map((p) => p.end), a: pieces.map(() => 1), b: pieces.map((p) => (two(p) ? 2 : 1)), differs: pieces.map((p) => (two(p) ? 2 : 0)) },
  };
}
