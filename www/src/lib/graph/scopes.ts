/** Groups of operators: by the scopes in their names, else by what repeats. */
import type { Operator } from "./links.ts";
import { repeats } from "./repeats.ts";

export interface Group {
  /** "encoder/layer.3"; the groups that wrap equal ones end in "/*". */
  id: string;
  label: string;
  /** Number of the group around it; -1 for the outermost. */
  parent: number;
  /** Numbers of the groups directly inside. */
  groups: number[];
  /** Numbers of the nodes directly inside. */
  nodes: number[];
  /** Nodes at any depth. */
  size: number;
  /** For a row of equal groups, how many they are. */
  times: number;
  /** What they are called, where the row has a name of its own: "encoder: 24 × layer". */
  each: string;
}

/** A group of fewer nodes is not worth a box. */
const LEAST = 3;

/** All groups; the first is the whole graph. Constants belong to none. */
export function scopes(nodes: readonly Operator[], constant: Uint8Array): Group[] {
  const root: Group = { id: "", label: "", parent: -1, groups: [], nodes: [], size: 0, times: 1, each: "" };
  const groups = [root];
  const paths = byName(nodes, constant) ?? byRepeats(nodes, constant);
  const known = new Map<string, number>([["", 0]]);
  nodes.forEach((_, i) => {
    if (constant[i] === 1) return;
    let at = 0;
    let id = "";
    for (const label of paths[i] ?? []) {
      id = id === "" ? label : `${id}/${label}`;
      let next = known.get(id);
      if (next === undefined) {
        next = groups.length;
        known.set(id, next);
        groups.push({ id, label, parent: at, groups: [], nodes: [], size: 0, times: 1, each: "" });
        groups[at]?.groups.push(next);
      }
      at = next;
    }
    groups[at]?.nodes.push(i);
  });
  dissolve(groups, 0);
  wrap(groups, nodes, 0);
  return numbered(groups);
}

/** The scopes of each node where most names have some. */
function byName(nodes: readonly Operator[], constant: Uint8Array): string[][] | null {
  const names = nodes.map((node) => (node.name !== "" ? node.name : (node.outputs[0] ?? "")));
  for (const separator of ["/", "."]) {
    let [within, all] = [0, 0];
    const paths = names.map((name, i) => {
      const parts = name.split(separator).filter((part) => part !== "").slice(0, -1);
      if (constant[i] !== 1) {
        all += 1;
        if (parts.length > 0) within += 1;
      }
      return parts;
    });
    if (within > 0.3 * all) return paths;
  }
  return null;
}

/** Without scopes: blocks of the same operators in the same order, as long as they are. */
function byRepeats(nodes: readonly Operator[], constant: Uint8Array): string[][] {
  const drawn = nodes.flatMap((_, i) => (constant[i] === 1 ? [] : [i]));
  const paths: string[][] = nodes.map(() => []);
  for (const { start, length, times } of repeats(drawn.map((i) => nodes[i]?.op ?? ""))) {
    for (let k = 0; k < length * times; k++) paths[drawn[start + k] ?? 0] = [`block ${Math.floor(k / length) + 1} of ${length} from ${start}`];
  }
  return paths;
}

/** Groups that hold little become part of what is around them; a group in a group alone becomes one with it. */
function dissolve(groups: Group[], at: number): void {
  const group = groups[at];
  if (group === undefined) return;
  for (const child of [...group.groups]) dissolve(groups, child);
  group.size = group.nodes.length + group.groups.reduce((sum, g) => sum + (groups[g]?.size ?? 0), 0);
  for (const number of [...group.groups]) {
    const child = groups[number];
    if (child === undefined) continue;
    const only = child.nodes.length === 0 && child.groups.length === 1 ? groups[child.groups[0] ?? -1] : undefined;
    if (child.size < LEAST) {
      group.nodes.push(...child.nodes);
      adopt(groups, at, number, child.groups);
    } else if (only !== undefined) {
      only.label = `${child.label}/${only.label}`;
      adopt(groups, at, number, child.groups);
    }
  }
  group.nodes.sort((a, b) => a - b);
}

/** Puts a group's groups in its place. */
function adopt(groups: Group[], at: number, gone: number, instead: readonly number[]): void {
  const group = groups[at];
  if (group === undefined) return;
  group.groups.splice(group.groups.indexOf(gone), 1, ...instead);
  for (const g of instead) {
    const child = groups[g];
    if (child !== undefined) child.parent = at;
  }
}

/** What is before the number in "layer.3". */
const common = (label: string) => pattern(label).replace(/[.\-_\s]*#.*$/, "").trim() || "block";
const pattern = (label: string) => label.replace(/\d+/g, "#");

/** Puts rows of groups that differ in numbers alone, and hold the same operators, into one: "24 × layer". */
function wrap(groups: Group[], nodes: readonly Operator[], at: number): void {
  const group = groups[at];
  if (group === undefined) return;
  const rows = new Map<string, number[]>();
  for (const g of group.groups) {
    wrap(groups, nodes, g);
    const child = groups[g];
    if (child === undefined || !/\d/.test(child.label)) continue;
    const kind = `${pattern(child.label)}\n${signature(groups, nodes, g)}`;
    rows.set(kind, [...(rows.get(kind) ?? []), g]);
  }
  for (const row of rows.values()) {
    const first = groups[row[0] ?? -1];
    if (row.length < 2 || first === undefined || (row.length === group.groups.length && group.nodes.length === 0 && at !== 0)) continue;
    const label = common(first.label);
    const number = groups.length;
    groups.push({ id: `${first.id}/*`, label, parent: at, groups: row, nodes: [], size: row.reduce((n, g) => n + (groups[g]?.size ?? 0), 0), times: row.length, each: "" });
    group.groups = [...group.groups.filter((g) => !row.includes(g)), number];
    for (const g of row) {
      const child = groups[g];
      if (child !== undefined) child.parent = number;
    }
  }
  // A group that holds equal groups and nothing else is the row itself.
  const [only] = rows.size === 1 ? [...rows.values()] : [];
  if (only !== undefined && at !== 0 && only.length > 1 && only.length === group.groups.length && group.nodes.length === 0) {
    group.times = only.length;
    group.each = common(groups[only[0] ?? -1]?.label ?? "");
  }
}

/** The operators of a group, sorted. */
function signature(groups: readonly Group[], nodes: readonly Operator[], at: number): string {
  const ops: string[] = [];
  const visit = (g: number) => {
    for (const i of groups[g]?.nodes ?? []) ops.push(nodes[i]?.op ?? "");
    for (const child of groups[g]?.groups ?? []) visit(child);
  };
  visit(at);
  return ops.sort().join();
}

/** Without the groups that are gone. */
function numbered(groups: readonly Group[]): Group[] {
  const out: Group[] = [];
  const visit = (g: number, parent: number): number => {
    const group = groups[g];
    if (group === undefined) return -1;
    const number = out.length;
    const copy: Group = { ...group, parent, groups: [] };
    out.push(copy);
    copy.groups = group.groups.map((child) => visit(child, number));
    return number;
  };
  visit(0, -1);
  return out;
}
