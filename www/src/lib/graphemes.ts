import type { Utf8Map } from "./spans.ts";

/** A span of bytes, as reports give them. */
interface Span {
  start: number;
  end: number;
}

/** What a person sees as one character, cut by a token's edge. */
export interface Cut {
  /** The whole character. */
  character: string;
  /** Whether the token begins inside it. */
  before: boolean;
  /** Whether the token ends inside it. */
  after: boolean;
}

/** Says of tokens whether they begin or end inside a character, also one made of several code points. */
export class Graphemes {
  private readonly map: Utf8Map;
  private readonly segments: Intl.Segments | null;

  constructor(map: Utf8Map) {
    this.map = map;
    // Older browsers lack it: then only cuts inside a code point are told.
    this.segments = typeof Intl.Segmenter === "function" ? new Intl.Segmenter("und", { granularity: "grapheme" }).segment(map.text) : null;
  }

  /** The character that a byte lies inside of; null at the edge of one. */
  private inside(byte: number): string | null {
    if (byte <= 0 || byte >= this.map.bytes) return null;
    const index = this.map.begins(byte);
    const at = index ?? this.map.range(byte, byte + 1)[0];
    const found = this.segments?.containing(at);
    if (index !== null) return found !== undefined && found.index < index ? found.segment : null;
    return found?.segment ?? String.fromCodePoint(this.map.text.codePointAt(at) ?? 0xfffd);
  }

  cut({ start, end }: Span): Cut | null {
    if (end <= start) return null;
    const before = this.inside(start);
    const after = this.inside(end);
    const character = before ?? after;
    return character === null ? null : { character, before: before !== null, after: after !== null };
  }
}
