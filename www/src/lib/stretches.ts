/** The part of a piece's report that is needed here. */
interface Token {
  id: number;
  start: number;
  end: number;
  kind: string;
}

/** Whether a token stands for more than its text. */
export function isSpecial(token: { kind: string }): boolean {
  return token.kind === "control" || token.kind === "user-defined";
}

/** A text in stretches: what lies between its special tokens, and these. */
export function stretches<T extends Token>(text: string, tokens: readonly T[] | null): { text: string; special: T | null }[] {
  if (tokens === null || !tokens.some(isSpecial)) return text === "" ? [] : [{ text, special: null }];
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const out: { text: string; special: T | null }[] = [];
  let at = 0;
  for (const token of tokens) {
    if (!isSpecial(token) || token.start < at || token.end <= token.start || token.end > bytes.length) continue;
    if (token.start > at) out.push({ text: decoder.decode(bytes.subarray(at, token.start)), special: null });
    out.push({ text: decoder.decode(bytes.subarray(token.start, token.end)), special: token });
    at = token.end;
  }
  if (at < bytes.length) out.push({ text: decoder.decode(bytes.subarray(at)), special: null });
  return out;
}
