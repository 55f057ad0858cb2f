/** Characters between two remembered places. */
const STEP = 1024;

function width(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

/**
 * Byte offsets of UTF-8, in which reports give spans, to the UTF-16 offsets that strings and selections use, and back.
 * Remembers one place in every thousand characters, so that a megabyte of text costs little.
 */
export class Utf8Map {
  readonly text: string;
  /** Length in bytes. */
  readonly bytes: number;
  /** Every STEP characters: where they begin in the string, and in bytes. */
  private readonly marks: { index: number; byte: number }[] = [];

  constructor(text: string) {
    this.text = text;
    let byte = 0;
    let characters = 0;
    for (let index = 0; index < text.length; characters++) {
      if (characters % STEP === 0) this.marks.push({ index, byte });
      const code = text.codePointAt(index) ?? 0;
      byte += width(code);
      index += code > 0xffff ? 2 : 1;
    }
    this.bytes = byte;
  }

  /** Where the character begins that a byte belongs to, and its first byte; the end for a byte beyond it. */
  private character(byte: number): { index: number; byte: number; next: number } {
    const mark = this.before((m) => m.byte <= byte);
    let at = mark.byte;
    for (let index = mark.index; index < this.text.length; ) {
      const code = this.text.codePointAt(index) ?? 0;
      const next = index + (code > 0xffff ? 2 : 1);
      if (at + width(code) > byte) return { index, byte: at, next };
      at += width(code);
      index = next;
    }
    return { index: this.text.length, byte: this.bytes, next: this.text.length };
  }

  private before(is: (mark: { index: number; byte: number }) => boolean): { index: number; byte: number } {
    let low = 0;
    for (let high = this.marks.length; low < high; ) {
      const middle = (low + high) >> 1;
      const mark = this.marks[middle];
      if (mark !== undefined && is(mark)) low = middle + 1;
      else high = middle;
    }
    return this.marks[low - 1] ?? { index: 0, byte: 0 };
  }

  /** The string range of the characters that bytes [start, end) touch, widened to whole characters. */
  range(start: number, end: number): [number, number] {
    const from = this.character(start).index;
    const stop = this.character(end);
    return [from, end > start && stop.byte < Math.min(end, this.bytes) ? stop.next : stop.index];
  }

  /** The string index of the character that begins at a byte; null inside a character. */
  begins(byte: number): number | null {
    const found = this.character(byte);
    return found.byte === byte ? found.index : null;
  }

  /** The byte at which the character of a string index begins. */
  byte(index: number): number {
    const mark = this.before((m) => m.index <= index);
    let byte = mark.byte;
    for (let at = mark.index; at < Math.min(index, this.text.length); ) {
      const code = this.text.codePointAt(at) ?? 0;
      at += code > 0xffff ? 2 : 1;
      if (at <= index) byte += width(code);
    }
    return byte;
  }
}
