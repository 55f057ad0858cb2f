/** What a part of the byte map is called and what it is, in words. */
import type { Part } from "../../lib/bytemap.ts";
import { plural } from "../../lib/format.ts";
import { encodingColour, kindColour } from "../../lib/palette.ts";
import { map } from "../../state/bytes.ts";
import { report } from "../../state/model.ts";
import type { TensorReport } from "../../wire/report.ts";
import type { Look } from "../../widgets/ByteStrip.tsx";

const NAMES: Record<string, string> = {
  header: "Header", metadata: "Metadata", "tensor list": "List of tensors", graph: "Graph", padding: "Padding", gap: "Gap", trailing: "Trailing bytes", missing: "Missing",
};

const MEANINGS: Record<string, string> = {
  header: "Magic number, version and counts.",
  metadata: "Facts about the model, as keys and values.",
  "tensor list": "Names, shapes, encodings and offsets of the tensors.",
  graph: "The operators of the graph, and what is stored between its tensors.",
  padding: "Padding: what follows starts at an aligned offset.",
  gap: "Nothing in the file refers to these bytes. Something may be hidden here, or the writer left it by mistake.",
  trailing: "Bytes after the end of everything that the file describes. Another file may have been appended.",
  missing: "The header places this tensor here, but the file ends before the tensor does.",
};

export function tensorOf(part: Part): TensorReport | null {
  return report.value?.tensors[part.tensor] ?? null;
}

export function nameOf(part: Part): string {
  return tensorOf(part)?.name ?? NAMES[part.kind] ?? part.kind;
}

export function meaningOf(part: Part): string {
  const tensor = tensorOf(part);
  if (part.kind === "missing" || tensor === null) return MEANINGS[part.kind] ?? "";
  return report.value?.encodings.find((e) => e.encoding === tensor.encoding)?.about ?? "";
}

export function colourOf(part: Part): string {
  const tensor = part.kind === "tensor" ? tensorOf(part) : null;
  return tensor === null ? kindColour(part.kind) : encodingColour(tensor.encoding);
}

/** Whether nothing in the file accounts for it, or it is not there. */
export function isOdd(part: Part): boolean {
  return part.kind === "gap" || part.kind === "trailing" || part.kind === "missing";
}

/** What it shares with an earlier part; null for nothing. */
export function sharing(part: Part): string | null {
  const other = map.value.parts[part.sharesWith];
  if (other === undefined) return null;
  const same = other.start === part.start && other.end === part.end;
  if (same) return `the very bytes of ${nameOf(other)}`;
  return part.shared === part.end - part.start ? `lies inside ${nameOf(other)}` : `overlaps ${nameOf(other)} by ${plural(part.shared, "byte")}`;
}

export function look(i: number): Look {
  const part = map.value.parts[i];
  if (part === undefined) return { colour: "transparent", low: false, hatched: false, name: "", about: "" };
  const tensor = tensorOf(part);
  const about = tensor === null ? (MEANINGS[part.kind] ?? "") : `${tensor.encoding}${part.kind === "missing" ? ", not in the file" : ""}`;
  const shares = sharing(part);
  return { colour: colourOf(part), low: part.kind !== "tensor", hatched: isOdd(part), name: nameOf(part), about: shares === null ? about : `${about}; ${shares}` };
}
