/** Byte offsets of UTF-8, in which reports give spans, to the UTF-16 offsets that strings and selections use. */
export class Utf8Map {
  private readonly at: Uint32Array;
  readonly text: string;

  constructor(text: string) {
    this.text = text;
    // at[b] is the string index of the character that byte b belongs to; one entry more for the end.
    const bytes: number[] = [];
    let index = 0;
    for (const char of text) {
      const code = char.codePointAt(0) ?? 0;
      const width = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      for (let i = 0; i < width; i++) bytes.push(index);
      index += char.length;
    }
    bytes.push(index);
    this.at = Uint32Array.from(bytes);
  }

  /** The string range of the characters that bytes [start, end) touch, widened to whole characters. */
  range(start: number, end: number): [number, number] {
    const last = this.at.length - 1;
    const from = this.at[Math.min(start, last)] ?? 0;
    let stop = Math.min(end, last);
    while (stop < last && stop > start && this.at[stop] === this.at[stop - 1]) stop += 1;
    return [from, this.at[stop] ?? from];
  }
}
