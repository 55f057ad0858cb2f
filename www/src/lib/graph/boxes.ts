/** What of a graph is drawn: operators, and one box for each group that is not open. */
import { type Links, links, type Operators } from "./links.ts";
import { type Group, scopes } from "./scopes.ts";

export interface Drawable {
  source: Operators;
  links: Links;
  groups: Group[];
  /** For each node the innermost group. */
  groupOf: Int32Array;
}

export interface Box {
  kind: "node" | "group" | "input" | "output";
  /** Number of the node, the group, the input or the output. */
  index: number;
  title: string;
  /** A second line. */
  note: string;
}

export interface Edge {
  from: number;
  to: number;
  /** Names of the values, each once. */
  values: string[];
}

export interface Drawing {
  boxes: Box[];
  edges: Edge[];
  /** For each node the box that shows it, -1 for constants. */
  boxOf: Int32Array;
}

export function drawable(source: Operators): Drawable {
  const found = links(source);
  const groups = scopes(source.nodes, found.constant);
  const groupOf = new Int32Array(source.nodes.length).fill(-1);
  groups.forEach((g, i) => { for (const node of g.nodes) groupOf[node] = i; });
  return { source, links: found, groups, groupOf };
}

/** The groups around a node or group, outermost first, without the whole graph. */
export function around(graph: Drawable, innermost: number): number[] {
  const out: number[] = [];
  for (let g = innermost; g > 0; g = graph.groups[g]?.parent ?? -1) out.unshift(g);
  return out;
}

/** What a number of nodes may be drawn of by itself. */
const FIRST = 120;
const WHOLE = 60;

/** The groups that are open at first: level by level, as long as the drawing stays small; rows of equal groups stay closed. */
export function openAtFirst(graph: Drawable): Set<string> {
  const open = new Set<string>();
  const whole = graph.groups[0];
  if (whole === undefined) return open;
  let shown = whole.nodes.length + whole.groups.length;
  const queue = [...whole.groups];
  for (let i = 0; i < queue.length; i++) {
    const group = graph.groups[queue[i] ?? -1];
    if (group === undefined || (group.times > 1 && whole.size > WHOLE)) continue;
    const inside = group.nodes.length + group.groups.length;
    if (shown + inside - 1 > FIRST) continue;
    shown += inside - 1;
    open.add(group.id);
    queue.push(...group.groups);
  }
  return open;
}

export function drawing(graph: Drawable, open: ReadonlySet<string>, note: (node: number) => string): Drawing {
  const { source, groups } = graph;
  const n = source.nodes.length;
  const boxes: Box[] = [];
  const boxOf = new Int32Array(n + source.inputs.length + source.outputs.length).fill(-1);
  source.inputs.forEach((v, i) => {
    if (graph.links.drawn[i] !== 1) return;
    boxOf[n + i] = boxes.length;
    boxes.push({ kind: "input", index: i, title: v.name, note: "input" });
  });
  const close = (g: number, box: number) => {
    for (const node of groups[g]?.nodes ?? []) boxOf[node] = box;
    for (const child of groups[g]?.groups ?? []) close(child, box);
  };
  const visit = (g: number) => {
    const group = groups[g];
    if (group === undefined) return;
    // In the order of the file, so that the drawing begins where the file does.
    const items = [...group.nodes.map((i) => ({ first: i, node: i, group: -1 })), ...group.groups.map((c) => ({ first: firstOf(groups, c), node: -1, group: c }))];
    items.sort((a, b) => a.first - b.first);
    for (const item of items) {
      const inner = groups[item.group];
      if (inner === undefined) {
        boxOf[item.node] = boxes.length;
        boxes.push({ kind: "node", index: item.node, title: source.nodes[item.node]?.op ?? "", note: note(item.node) });
      } else if (open.has(inner.id)) {
        visit(item.group);
      } else {
        close(item.group, boxes.length);
        boxes.push({ kind: "group", index: item.group, title: titleOf(inner), note: `${inner.size.toLocaleString("en")} operators` });
      }
    }
  };
  visit(0);
  source.outputs.forEach((v, i) => {
    if (graph.links.drawn[source.inputs.length + i] !== 1) return;
    boxOf[n + source.inputs.length + i] = boxes.length;
    boxes.push({ kind: "output", index: i, title: v.name, note: "output" });
  });
  return { boxes, edges: edges(graph, boxOf, boxes.length), boxOf };
}

export function titleOf(group: Group): string {
  const label = group.label.replace(/^block (\d+) of \d+ from \d+$/, "block $1");
  if (group.times < 2) return label;
  return group.each === "" ? `${group.times.toLocaleString("en")} × ${label}` : `${label}: ${group.times.toLocaleString("en")} × ${group.each}`;
}

function firstOf(groups: readonly Group[], g: number): number {
  const group = groups[g];
  return Math.min(group?.nodes[0] ?? Infinity, ...(group?.groups ?? []).map((child) => firstOf(groups, child)));
}

function edges(graph: Drawable, boxOf: Int32Array, boxes: number): Edge[] {
  const known = new Map<number, Edge>();
  for (const { from, to, value } of graph.links.list) {
    const [a = -1, b = -1] = [boxOf[from], boxOf[to]];
    if (a < 0 || b < 0 || a === b) continue;
    const edge = known.get(a * boxes + b);
    if (edge === undefined) known.set(a * boxes + b, { from: a, to: b, values: [value] });
    else if (!edge.values.includes(value)) edge.values.push(value);
  }
  return [...known.values()];
}
