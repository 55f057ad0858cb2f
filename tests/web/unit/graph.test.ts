import { describe, expect, it } from "vitest";

import { around, drawable, drawing, openAtFirst, titleOf } from "../../../www/src/lib/graph/boxes.ts";
import { familyOf } from "../../../www/src/lib/graph/families.ts";
import { layered } from "../../../www/src/lib/graph/layered.ts";
import type { Operator } from "../../../www/src/lib/graph/links.ts";
import { repeats } from "../../../www/src/lib/graph/repeats.ts";
import { escaped, path, svg } from "../../../www/src/lib/graph/svg.ts";
import { beginning, pan, whole, zoom } from "../../../www/src/lib/graph/view.ts";

const node = (name: string, op: string, inputs: string[], outputs: string[]): Operator => ({ name, op, inputs, outputs });

/** Layers of three operators behind an embedding. */
function network(layers: number): { nodes: Operator[]; inputs: { name: string }[]; outputs: { name: string }[] } {
  const body = Array.from({ length: layers }, (_, l) => ["MatMul", "Add", "Relu"].map((op, i) => node(`/model/layer.${l}/${op}`, op, [`v${l * 3 + i - 1}`], [`v${l * 3 + i}`]))).flat();
  return { nodes: [node("/model/Gather", "Gather", ["ids"], ["v-1"]), ...body], inputs: [{ name: "ids" }], outputs: [{ name: `v${layers * 3 - 1}` }] };
}

describe("groups", () => {
  it("puts equal layers into one row that is closed at first, and opens to each of them", () => {
    const graph = drawable(network(30));
    const first = drawing(graph, openAtFirst(graph), () => "");
    expect(first.boxes.map((b) => b.title)).toEqual(["ids", "Gather", "30 × layer", "v89"]);
    expect(first.edges.map((e) => [e.from, e.to])).toEqual([[1, 2], [0, 1], [2, 3]].sort());
    const row = graph.groups.find((g) => g.times === 30);
    const open = new Set([...openAtFirst(graph), row?.id ?? ""]);
    expect(drawing(graph, open, () => "").boxes).toHaveLength(33);
  });

  it("tells which groups are around a node, so that a search can open them", () => {
    const graph = drawable(network(30));
    expect(around(graph, graph.groupOf[5] ?? -1).map((g) => titleOf(graph.groups[g] ?? graph.groups[0]!))).toEqual(["model", "30 × layer", "layer.1"]);
  });

  it("keeps layers apart that hold different operators", () => {
    const source = network(4);
    source.nodes[5] = node("/model/layer.1/Sub", "Sub", ["v3"], ["v4"]);
    const titles = drawing(drawable(source), new Set(["model"]), () => "").boxes.map((b) => b.title);
    expect(titles).toContain("layer.1");
    expect(titles).toContain("3 × layer");
  });

  it("finds blocks that repeat where no name tells of any", () => {
    const ops = ["Conv", "Relu", "Conv", "Relu", "Add"];
    const nodes = Array.from({ length: 42 }, (_, i) => node("", i === 0 ? "Gather" : i === 41 ? "Gemm" : (ops[(i - 1) % 5] ?? ""), [`v${i - 1}`], [`v${i}`]));
    const graph = drawable({ nodes, inputs: [], outputs: [] });
    expect(drawing(graph, new Set(), () => "").boxes.map((b) => b.title)).toEqual(["Gather", "8 × block", "Gemm"]);
    expect(repeats(Array.from({ length: 50 }, () => "Add"))).toEqual([]);
  });

  it("draws constants with what reads them, and every other node once", () => {
    const nodes = [node("c", "Constant", [], ["one"]), node("a", "Add", ["x", "one"], ["s"]), node("b", "Mul", ["s", "s"], ["y"])];
    const drawn = drawing(drawable({ nodes, inputs: [{ name: "x" }], outputs: [{ name: "y" }] }), new Set(), () => "");
    expect(drawn.boxes.map((b) => b.title)).toEqual(["x", "Add", "Mul", "y"]);
    expect(drawn.edges).toHaveLength(3);
  });

  it("reads TensorFlow's names of outputs and controls", () => {
    const nodes = [node("x", "Placeholder", [], ["x"]), node("s", "Split", ["x"], ["s"]), node("y", "Add", ["s:1", "^x"], ["y"])];
    const drawn = drawing(drawable({ nodes, inputs: [{ name: "x" }], outputs: [{ name: "y" }] }), new Set(), () => "");
    expect(drawn.boxes.map((b) => b.kind)).toEqual(["node", "node", "node"]);
    expect(drawn.edges.map((e) => [e.from, e.to])).toEqual([[0, 1], [1, 2], [0, 2]]);
  });
});

/** A graph of n boxes in which most edges are short and some are long. */
function random(n: number, seed: number) {
  let state = seed;
  const next = (most: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
  const [from, to]: [number[], number[]] = [[], []];
  const known = new Set<number>();
  for (let i = 0; i < n * 1.4; i++) {
    const a = next(n);
    const b = Math.min(n - 1, Math.max(0, a + 1 + next(i % 9 === 0 ? n : 6) - (i % 23 === 0 ? 9 : 0)));
    if (a === b || known.has(a * n + b)) continue;
    known.add(a * n + b);
    from.push(a);
    to.push(b);
  }
  return { widths: Array.from({ length: n }, () => 60 + next(120)), heights: Array.from({ length: n }, () => 28 + next(14)), from, to };
}

describe("layout", () => {
  it("lays no box over another, whatever the graph, cycles among them", () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const boxes = random(120, seed);
      const { x, y } = layered(boxes);
      for (let a = 0; a < 120; a++) {
        for (let b = 0; b < a; b++) {
          const apart = Math.abs((x[a] ?? 0) - (x[b] ?? 0)) >= ((boxes.widths[a] ?? 0) + (boxes.widths[b] ?? 0)) / 2 - 0.01 || Math.abs((y[a] ?? 0) - (y[b] ?? 0)) >= ((boxes.heights[a] ?? 0) + (boxes.heights[b] ?? 0)) / 2;
          expect(apart, `seed ${seed}: ${a} and ${b}`).toBe(true);
        }
      }
    }
  });

  it("begins and ends every line at its boxes, and keeps all within the drawing", () => {
    const boxes = random(200, 9);
    const { x, y, routes, width, height } = layered(boxes);
    routes.forEach((route, e) => {
      const [a = 0, b = 0] = [boxes.from[e], boxes.to[e]];
      expect([route[0], Math.abs((route[1] ?? 0) - (y[a] ?? 0))]).toEqual([x[a], (boxes.heights[a] ?? 0) / 2]);
      expect([route.at(-2), Math.abs((route.at(-1) ?? 0) - (y[b] ?? 0))]).toEqual([x[b], (boxes.heights[b] ?? 0) / 2]);
      expect(Math.min(...route)).toBeGreaterThanOrEqual(0);
    });
    expect(Math.max(...x)).toBeLessThan(width);
    expect(Math.max(...y)).toBeLessThan(height);
  });

  it("puts a chain into one straight column, and readers below writers", () => {
    const { x, y } = layered({ widths: [60, 90, 60, 70], heights: [28, 28, 42, 28], from: [0, 1, 2], to: [1, 2, 3] });
    expect(new Set(x).size).toBe(1);
    expect([...y]).toEqual([...y].sort((a, b) => a - b));
  });

  it("lays out nothing, one box, and ten thousand, telling how far it is", () => {
    expect(layered({ widths: [], heights: [], from: [], to: [] }).width).toBe(0);
    expect(layered({ widths: [60], heights: [28], from: [], to: [] }).width).toBe(60);
    const shares: number[] = [];
    const { x } = layered(random(10_000, 3), (share) => shares.push(share));
    expect(x.every(Number.isFinite)).toBe(true);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
  });
});

describe("what is in sight", () => {
  const drawing = { width: 4000, height: 20_000 };
  const sight = { width: 800, height: 600 };

  it("shows all of it, or its beginning in letters that can be read", () => {
    expect(whole(drawing, sight).scale * drawing.height).toBeLessThanOrEqual(sight.height);
    const first = beginning(drawing, sight, 900);
    expect(first.scale).toBeGreaterThanOrEqual(0.5);
    expect(first.y * first.scale).toBeLessThanOrEqual(sight.height / 2);
  });

  it("keeps the point under the pointer while it zooms, and never loses the drawing", () => {
    const before = { x: 100, y: 200, scale: 1 };
    const after = zoom(before, 2, 50, -30, 0.01);
    expect(after.x + 50 / after.scale).toBeCloseTo(before.x + 50);
    expect(after.y - 30 / after.scale).toBeCloseTo(before.y - 30);
    expect(pan(before, 1e9, -1e9, drawing)).toEqual({ x: 0, y: 20_000, scale: 1 });
  });
});

describe("the picture", () => {
  it("is text in which names of files cannot be markup", () => {
    expect(escaped('<script>"&\u202E\u0000')).toBe("&lt;script&gt;&quot;&amp;\ufffd\ufffd");
    const layout = layered({ widths: [100, 100], heights: [28, 42], from: [0], to: [1] });
    const text = svg({ boxes: [{ kind: "node", index: 0, title: "<b>", note: "" }, { kind: "output", index: 0, title: "y", note: "output" }], widths: [100, 100], heights: [28, 42], layout, colour: () => "#123456", ink: "#000", muted: "#666", line: "#999", surface: "#fff", sunk: "#eee", background: "#fff" });
    expect(text).toContain("&lt;b&gt;");
    expect(text).not.toContain("<b>");
    expect(text.match(/<path /g)).toHaveLength(1);
    expect(path([0, 0, 0, 10, 5, 20])).toBe("M0 0V10C0 15 5 15 5 20");
  });
});

it("knows families of operators by their names, in any domain", () => {
  const families = ["MatMul", "com.microsoft.Attention", "CONV_2D", "SkipLayerNormalization", "Gelu", "DequantizeLinear", "Reshape", "Add", "LSTM", "Wondrous"].map((op) => familyOf(op).name);
  expect(families).toEqual(["Products of matrices", "Attention", "Convolution and pooling", "Normalization", "Activation", "Quantization and types", "Shapes and places", "Arithmetic and comparison", "Recurrence", "Others"]);
});
