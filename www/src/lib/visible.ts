/** Text from files is hostile: controls, bidi overrides and invisible characters are shown as what they are. */

/** A run of plain text, or one character that would otherwise hide or reorder its neighbours. */
export interface Segment {
  text: string;
  /** What the character is; absent for plain text. */
  hidden?: string;
}

const NAMES: Record<number, string> = {
  0x00: "NULL", 0x07: "BELL", 0x08: "BACKSPACE", 0x09: "TAB", 0x0a: "LINE FEED", 0x0d: "CARRIAGE RETURN", 0x1b: "ESCAPE", 0x7f: "DELETE",
  0xad: "SOFT HYPHEN", 0x61c: "ARABIC LETTER MARK", 0x180e: "MONGOLIAN VOWEL SEPARATOR", 0x200b: "ZERO WIDTH SPACE",
  0x200c: "ZERO WIDTH NON-JOINER", 0x200d: "ZERO WIDTH JOINER", 0x200e: "LEFT-TO-RIGHT MARK", 0x200f: "RIGHT-TO-LEFT MARK",
  0x2028: "LINE SEPARATOR", 0x2029: "PARAGRAPH SEPARATOR", 0x202a: "LEFT-TO-RIGHT EMBEDDING", 0x202b: "RIGHT-TO-LEFT EMBEDDING",
  0x202c: "POP DIRECTIONAL FORMATTING", 0x202d: "LEFT-TO-RIGHT OVERRIDE", 0x202e: "RIGHT-TO-LEFT OVERRIDE", 0x2060: "WORD JOINER",
  0x2066: "LEFT-TO-RIGHT ISOLATE", 0x2067: "RIGHT-TO-LEFT ISOLATE", 0x2068: "FIRST STRONG ISOLATE", 0x2069: "POP DIRECTIONAL ISOLATE",
  0xfeff: "ZERO WIDTH NO-BREAK SPACE",
};

/** Invisible by Unicode: controls, format characters (bidi, zero width, tags), separators, lone surrogates, unassigned filler. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\u115f\u1160\u3164\uffa0]/u;
const HIDDEN_ALL = new RegExp(HIDDEN.source, "gu");

/** Splits text so that every hidden character stands alone. With `lines`, line feeds and tabs stay as they are. */
export function segments(text: string, lines = false): Segment[] {
  if (!HIDDEN.test(text)) return text === "" ? [] : [{ text }];
  const out: Segment[] = [];
  let from = 0;
  for (const found of text.matchAll(HIDDEN_ALL)) {
    const char = found[0];
    if (lines && (char === "\n" || char === "\t")) continue;
    if (joinsEmoji(text, found.index, char)) continue;
    if (found.index > from) out.push({ text: text.slice(from, found.index) });
    out.push(reveal(char));
    from = found.index + char.length;
  }
  if (from < text.length) out.push({ text: text.slice(from) });
  return out;
}

/** The same as one plain string, for attributes and titles. */
export function visible(text: string): string {
  return segments(text).map((s) => s.text).join("");
}

/** A joiner between two pictographs makes one picture of them: there it hides nothing. */
function joinsEmoji(text: string, at: number, char: string): boolean {
  if (char !== "\u200d") return false;
  return /[\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$/u.test(text.slice(0, at)) && /^\p{Extended_Pictographic}/u.test(text.slice(at + 1));
}

function reveal(char: string): Segment {
  const code = char.codePointAt(0) ?? 0;
  const number = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  const name = NAMES[code] ?? (code >= 0xe0000 && code <= 0xe007f ? "TAG CHARACTER" : code < 0x20 ? "CONTROL CHARACTER" : "INVISIBLE CHARACTER");
  return { text: `<${number}>`, hidden: `${number} ${name}` };
}

/** Signs that people know for tab and line end. */
const MARKS: Record<string, string> = { "<U+0009>": "\u2192", "<U+000A>": "\u21b5" };

/** Spaces, tabs and line ends of a token made visible; everything else as `segments`. */
export function tokenSegments(text: string): Segment[] {
  const out: Segment[] = [];
  for (const part of segments(text)) {
    if (part.hidden !== undefined) {
      out.push({ ...part, text: MARKS[part.text] ?? part.text });
      continue;
    }
    for (const run of part.text.split(/([ \u2581]+)/)) {
      if (run === "") continue;
      // SentencePiece writes U+2581 for a space: a file's own spelling is kept, a space gets a dot.
      if (run.startsWith(" ")) out.push({ text: run.replaceAll(" ", "\u00b7"), hidden: run.length === 1 ? "space" : `${run.length} spaces` });
      else out.push({ text: run });
    }
  }
  return out;
}

/**
 * A text in its lines whose white space can be told apart: line ends get their sign, and spaces a dot where no eye
 * would see them (at either end of a line, and several in a row). Everything else as `segments`.
 */
export function proseSegments(text: string): Segment[] {
  const out: Segment[] = [];
  for (const part of segments(text)) {
    if (part.text === "<U+000A>") {
      out.push({ text: "\u21b5", hidden: "line feed" }, { text: "\n" });
    } else if (part.text === "<U+0009>") {
      out.push({ text: "\u2192", hidden: "tab" }, { text: "\t" });
    } else if (part.hidden !== undefined) {
      out.push(part);
    } else {
      for (const run of part.text.split(/(^ +| +$| {2,})/)) {
        if (run === "") continue;
        if (run.trim() === "" && run.startsWith(" ")) out.push({ text: "\u00b7".repeat(run.length), hidden: run.length === 1 ? "space" : `${run.length} spaces` });
        else out.push({ text: run });
      }
    }
  }
  return out;
}
