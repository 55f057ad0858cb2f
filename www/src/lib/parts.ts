/** The parts of a model by its tensors' names, and how much of it each takes. */

export interface Sized {
  name: string;
  encoding: string;
  bytes: number | null;
}

export interface Part {
  /** From the beginning of the name: "blk.3.attn". */
  path: string;
  /** The last piece of it. */
  label: string;
  bytes: number;
  tensors: number;
  /** Encoding that most of its bytes are in. */
  encoding: string;
  /** How many encodings there are in it. */
  encodings: number;
  parts: Part[];
  /** Number of the tensor, where it is one; else -1. */
  tensor: number;
  /** It stands for many neighbours whose names do not begin alike. */
  range: boolean;
}

/** A part while it is filled. Tensors, of which there may be a hundred thousand, are parts at once. */
interface Open extends Part {
  by: Map<string, number>;
  inside: Map<string, Open>;
  tensorsHere: Part[];
}

const NONE: Part[] = [];

/** More parts of one part are put into ranges. */
const MANY = 200;
/** Names nest no deeper than this. */
const DEPTH = 12;
/** Pieces of names that name no part by themselves: GGUF's and PyTorch's ends. */
const ENDS = new Set(["weight", "bias", "scales", "qweight", "qzeros", "g_idx"]);

/** What belongs together in GGUF's names, which say it by their beginning: "attn_q" is part of "attn". */
const KIND = /^(?:attn|ssm|time_mix|channel_mix|shortconv|ffn|cross_attn|indexer)(?=_)/;

/** "blk.3.attn_q.weight" as "blk", "3", "attn", "attn_q.weight". */
export function pieces(name: string): string[] {
  const all = name.split(/[./]+/).filter((p) => p !== "");
  const last = all.length - 1;
  if (last > 0 && ENDS.has(all[last] ?? "")) all.splice(last - 1, 2, `${all[last - 1]}.${all[last]}`);
  const end = all.at(-1) ?? name;
  const kind = all.length > 1 ? KIND.exec(end)?.[0] : undefined;
  if (kind !== undefined) all.splice(all.length - 1, 0, kind);
  return all.length <= DEPTH ? all : [...all.slice(0, DEPTH - 1), all.slice(DEPTH - 1).join(".")];
}

export function partsOf(tensors: readonly Sized[]): Part {
  const root = open("", "");
  tensors.forEach((tensor, i) => {
    const bytes = tensor.bytes ?? 0;
    if (bytes === 0) return;
    let at = root;
    count(at, tensor.encoding, bytes);
    const names = pieces(tensor.name);
    const last = names.pop() ?? tensor.name;
    for (const label of names) {
      let next = at.inside.get(label);
      if (next === undefined) {
        next = open(at.path === "" ? label : `${at.path}.${label}`, label);
        at.inside.set(label, next);
      }
      at = next;
      count(at, tensor.encoding, bytes);
    }
    at.tensorsHere.push({ path: at.path === "" ? last : `${at.path}.${last}`, label: last, bytes, tensors: 1, encoding: tensor.encoding, encodings: 1, parts: NONE, tensor: i, range: false });
  });
  return close(root);
}

function open(path: string, label: string): Open {
  return { path, label, bytes: 0, tensors: 0, encoding: "", encodings: 0, parts: [], tensor: -1, range: false, by: new Map(), inside: new Map(), tensorsHere: [] };
}

function count(part: Open, encoding: string, bytes: number): void {
  part.bytes += bytes;
  part.tensors += 1;
  part.by.set(encoding, (part.by.get(encoding) ?? 0) + bytes);
}

/** A part that holds one part alone becomes one with it; the largest come first. */
function close(part: Open): Part {
  let { label } = part;
  let at = part;
  while (at.inside.size === 1 && at.tensorsHere.length === 0) {
    const [only] = at.inside.values();
    if (only === undefined) break;
    label = label === "" ? only.label : `${label}.${only.label}`;
    at = only;
  }
  const [tensor] = at.tensorsHere;
  if (tensor !== undefined && at.tensorsHere.length === 1 && at.inside.size === 0) return { ...tensor, label: label === "" ? tensor.label : `${label}.${tensor.label}` };
  const inside = [...[...at.inside.values()].map(close), ...at.tensorsHere];
  return { ...summary(at), label, parts: ranges(at.path, inside).sort(bySize) };
}

function summary({ path, label, bytes, tensors, by }: Open): Part {
  const encoding = [...by].reduce((most, now) => (now[1] > most[1] ? now : most), ["", -1] as [string, number])[0];
  return { path, label, bytes, tensors, encoding, encodings: by.size, parts: NONE, tensor: -1, range: false };
}

/** Parts of one part in ranges, in the order of the file, where they are too many to be seen: "0 … 105". */
function ranges(path: string, parts: Part[]): Part[] {
  if (parts.length <= MANY) return parts;
  const each = Math.ceil(Math.sqrt(parts.length));
  const out: Part[] = [];
  for (let i = 0; i < parts.length; i += each) {
    const inside = parts.slice(i, i + each);
    const label = `${inside[0]?.label} … ${inside.at(-1)?.label}`;
    const range = open(`${path}.${label}`, label);
    for (const part of inside) {
      range.bytes += part.bytes;
      range.tensors += part.tensors;
      range.by.set(part.encoding, (range.by.get(part.encoding) ?? 0) + part.bytes);
    }
    out.push({ ...summary(range), encodings: Math.max(range.by.size, ...inside.map((p) => p.encodings)), parts: inside.sort(bySize), range: true });
  }
  return out;
}

function bySize(a: Part, b: Part): number {
  return b.bytes - a.bytes;
}

/** The part at a path, or the nearest around it. */
export function partAt(root: Part, path: string): Part {
  return trail(root, path).at(-1) ?? root;
}

/** The parts from the whole to the one at this path, or to the nearest around it; tensors are none. */
export function trail(root: Part, path: string): Part[] {
  const out = [root];
  for (let at = root; at.path !== path; ) {
    const within = (p: Part): boolean => p.parts.length > 0 && (p.path === path || path.startsWith(`${p.path}.`) || (p.range && p.parts.some(within)));
    const next = at.parts.find(within);
    if (next === undefined) break;
    out.push(next);
    at = next;
  }
  return out;
}
