/** Who writes and who reads each value of an operator graph. */

export interface Operator {
  name: string;
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
}

/** What a drawing is made of, in the words of the report. */
export interface Operators {
  nodes: readonly Operator[];
  inputs: readonly { name: string }[];
  outputs: readonly { name: string }[];
}

/** A value on its way. Ends are numbers of nodes; then come the graph's inputs, then its outputs. */
export interface Link {
  from: number;
  to: number;
  value: string;
}

export interface Links {
  list: Link[];
  /** Nodes that only hold a constant: drawn with what reads them. */
  constant: Uint8Array;
  /** The graph's inputs and outputs that are drawn: in some formats inputs are nodes too. */
  drawn: Uint8Array;
}

const CONSTANTS = new Set(["Constant", "Const"]);

export function links({ nodes, inputs, outputs }: Operators): Links {
  const n = nodes.length;
  const writer = new Map<string, number>();
  inputs.forEach((v, i) => writer.set(v.name, n + i));
  nodes.forEach((node, i) => { for (const v of node.outputs) if (v !== "") writer.set(v, i); });
  const constant = Uint8Array.from(nodes, (node) => (CONSTANTS.has(node.op) && node.inputs.length === 0 ? 1 : 0));
  const list: Link[] = [];
  const add = (value: string, to: number) => {
    const from = writer.get(value) ?? writer.get(bare(value));
    if (from !== undefined && from !== to && constant[from] !== 1) list.push({ from, to, value });
  };
  nodes.forEach((node, i) => { for (const v of node.inputs) if (v !== "") add(v, i); });
  outputs.forEach((v, i) => add(v.name, n + inputs.length + i));
  const drawn = new Uint8Array(inputs.length + outputs.length).fill(1);
  inputs.forEach((v, i) => { if (writer.get(v.name) !== n + i) drawn[i] = 0; });
  // TensorFlow states no outputs: nodes that nobody reads stand there, and are drawn as nodes.
  outputs.forEach((v, i) => { if (nodes[writer.get(v.name) ?? -1]?.name === v.name) drawn[inputs.length + i] = 0; });
  return { list: list.filter((l) => l.to < n || drawn[l.to - n] === 1), constant, drawn };
}

/** TensorFlow writes "name:1" for the second output, and "^name" for an order without a value. */
export function bare(value: string): string {
  return value.replace(/^\^/, "").replace(/:\d+$/, "");
}
