/** Bytes as people look at them: hexadecimal pairs and text. */

/** An offset that a person typed: decimal with or without separators, or hexadecimal after 0x; null for anything else. */
export function parseOffset(text: string): number | null {
  const plain = text.trim().replace(/[,_\s\u202f\u00a0]/g, "");
  if (!/^(?:0x[0-9a-f]+|\d+)$/i.test(plain)) return null;
  const value = Number(plain);
  return Number.isSafeInteger(value) ? value : null;
}

/** 1811584 as "001ba480": as many digits as the file's length has, eight at least. */
export function hexOffset(at: number, length: number): string {
  return at.toString(16).padStart(Math.max(8, length.toString(16).length), "0");
}

/** "00 1f ..." to bytes. */
export function bytesOf(hex: string): Uint8Array {
  const out = new Uint8Array(Math.ceil(hex.length / 3));
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(i * 3, i * 3 + 2), 16);
  return out;
}

/** One byte of the text column. */
export interface TextCell {
  text: string;
  /** What hides there: a character that is invisible or turns the direction of text. */
  hidden?: string;
}

const decoder = new TextDecoder("utf-8", { fatal: true });
/** As lib/visible.ts has it, without the controls that any binary file is full of. */
const HIDDEN = /^[\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]$/u;

/** Controls that people know by a sign; it is the one of lib/visible.ts. */
const SIGNS: Record<number, string> = { 0x09: "\u2192", 0x0a: "\u21b5" };

/** The text column of `bytes`: printable ASCII as it is, tabs and line ends by their signs, every other byte as a dot. */
export function textCells(bytes: Uint8Array): TextCell[] {
  const out: TextCell[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    const hidden = length > 1 ? hiddenCharacter(bytes.subarray(i, i + length), length) : undefined;
    if (hidden !== undefined) {
      for (let k = 0; k < length; k++) out.push({ text: "\u00b7", hidden });
      i += length - 1;
      continue;
    }
    out.push({ text: byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : (SIGNS[byte] ?? "\u00b7") });
  }
  return out;
}

function hiddenCharacter(bytes: Uint8Array, length: number): string | undefined {
  if (bytes.length < length) return undefined;
  try {
    const char = decoder.decode(bytes);
    if (!HIDDEN.test(char)) return undefined;
    return `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}, a character that hides or turns text`;
  } catch {
    // No character begins here.
    return undefined;
  }
}
