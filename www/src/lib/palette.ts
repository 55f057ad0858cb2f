/** One colour per encoding, everywhere: names of custom properties in tokens.css (Okabe and Ito's palette and mixes of it). */
const COLOURS: Record<string, string> = {
  F64: "grey-deep", F32: "grey", F16: "purple", BF16: "wine", F8_E4M3: "rose", F8_E5M2: "rose-soft",
  Q8_0: "vermilion", Q8_1: "vermilion-soft", Q8_K: "vermilion-soft", Q6_K: "sky", Q5_K: "green", Q5_0: "green-soft", Q5_1: "teal",
  Q4_K: "blue", Q4_0: "blue-soft", Q4_1: "indigo", Q3_K: "orange", Q2_K: "yellow",
  IQ4_NL: "indigo-soft", IQ4_XS: "indigo", IQ3_S: "olive", IQ3_XXS: "olive-soft", IQ2_S: "sand", IQ2_XS: "sand", IQ2_XXS: "sand",
  IQ1_S: "rose", IQ1_M: "rose-soft", MXFP4: "teal", NVFP4: "teal-soft", TQ1_0: "olive", TQ2_0: "olive-soft",
  I64: "grey-deep", I32: "grey-deep", I16: "sand", I8: "olive", U8: "olive-soft", Bool: "grey-deep",
};
const REST = ["teal-soft", "rose-soft", "indigo-soft", "sand", "olive", "wine"];

/** The CSS colour of an encoding; unknown names always get the same one, by their letters. */
export function encodingColour(encoding: string): string {
  let sum = 0;
  for (const char of encoding) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 65521;
  return `var(--c-${COLOURS[encoding] ?? REST[sum % REST.length]})`;
}

/** Colours of what is not a tensor: shades of ink for what holds data together, others for what should not be there. */
const KINDS: Record<string, string> = {
  header: "part-header", metadata: "part-metadata", "tensor list": "part-list", graph: "part-graph", padding: "part-padding",
  gap: "bad", trailing: "bad", missing: "warn",
};

/** The CSS colour of a part of the byte map that holds no tensor. */
export function kindColour(kind: string): string {
  return `var(--${KINDS[kind] ?? "part-graph"})`;
}
