import type { TensorReport } from "../wire/report.ts";

/** A line of the tensor list: a group of names, or one tensor. */
export type Row =
  | { kind: "group"; key: string; label: string; level: number; open: boolean; tensors: number; bytes: number; encodings: string[] }
  | { kind: "tensor"; key: string; label: string; level: number; index: number };

/** Names nest no deeper than this; the rest of a longer one stays in one piece. */
const DEPTH = 24;

interface Node {
  key: string;
  label: string;
  groups: Map<string, Node>;
  leaves: { label: string; index: number }[];
  tensors: number;
  bytes: number;
  encodings: Set<string>;
}

function node(key: string, label: string): Node {
  return { key, label, groups: new Map(), leaves: [], tensors: 0, bytes: 0, encodings: new Set() };
}

/** Splits "blk.0.attn_q.weight" after its dots and slashes: "blk.", "0.", "attn_q.", "weight". */
export function parts(name: string): string[] {
  const found = name.match(/[^./]*[./]+|[^./]+/g) ?? [name];
  return found.length <= DEPTH ? found : [...found.slice(0, DEPTH - 1), found.slice(DEPTH - 1).join("")];
}

/** The tensors `order` (indices, sorted as wanted) grouped by their names. */
export function buildTree(tensors: readonly TensorReport[], order: readonly number[]): Node {
  const root = node("", "");
  for (const index of order) {
    const tensor = tensors[index];
    if (tensor === undefined) continue;
    const pieces = parts(tensor.name);
    let at = root;
    add(at, tensor);
    for (const piece of pieces.slice(0, -1)) {
      let next = at.groups.get(piece);
      if (next === undefined) {
        next = node(at.key + piece, piece);
        at.groups.set(piece, next);
      }
      at = next;
      add(at, tensor);
    }
    at.leaves.push({ label: pieces.at(-1) ?? tensor.name, index });
  }
  return root;
}

function add(to: Node, tensor: TensorReport): void {
  to.tensors += 1;
  to.bytes += tensor.bytes ?? 0;
  to.encodings.add(tensor.encoding);
}

/** The lines to show. `isOpen` decides for each group; a group with a single member is not shown as one. */
export function flatten(root: Node, isOpen: (key: string, level: number, members: number) => boolean, bySize: boolean): Row[] {
  const rows: Row[] = [];
  const visit = (parent: Node, prefix: string, level: number): void => {
    const groups = [...parent.groups.values()];
    if (bySize) groups.sort((a, b) => b.bytes - a.bytes);
    // Tensors of a level come in the given order, before the groups: "token_embd" above "blk".
    for (const leaf of parent.leaves) rows.push({ kind: "tensor", key: `t${leaf.index}`, label: prefix + leaf.label, level, index: leaf.index });
    for (const child of groups) {
      const label = prefix + child.label;
      const members = child.groups.size + child.leaves.length;
      if (members === 1) {
        visit(child, label, level);
        continue;
      }
      const open = isOpen(child.key, level, members);
      rows.push({
        kind: "group", key: child.key, label: label.replace(/[./]+$/, ""), level, open,
        tensors: child.tensors, bytes: child.bytes, encodings: [...child.encodings],
      });
      if (open) visit(child, "", level + 1);
    }
  };
  visit(root, "", 0);
  return rows;
}
