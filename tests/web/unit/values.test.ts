import { describe, expect, it } from "vitest";

import { Channels } from "../../../www/src/lib/values/channels.ts";
import { bin, type Budget, BUDGET, cellAt, cut, fullColour, heat, plan, type Read } from "../../../www/src/lib/values/heat.ts";
import { Moments, norm, type NormReport, place, rms, roles } from "../../../www/src/lib/values/norms.ts";
import { moved, planeOf, usual, wholePlane, withAxis, zoomed } from "../../../www/src/lib/values/plane.ts";
import { CHANNELS, LAYERS, median, strange } from "../../../www/src/lib/values/robust.ts";
import { CACHES, longest, needed } from "../../../www/src/lib/reach.ts";
import { describe as told, singularValues } from "../../../www/src/lib/values/svd.ts";

/** A tensor in memory that counts what is asked of it. */
function tensor(value: (i: number) => number): { read: Read; asked: () => { reads: number; values: number; most: number } } {
  const asked = { reads: 0, values: 0, most: 0 };
  const read: Read = async (first, count) => {
    asked.reads += 1;
    asked.values += count;
    asked.most = Math.max(asked.most, count);
    return Float64Array.from({ length: count }, (_, i) => value(first + i));
  };
  return { read, asked: () => asked };
}

describe("a plane of a tensor", () => {
  it("is its last two axes at first, as rows and columns in the file", () => {
    expect(planeOf([3, 5], usual([3, 5]))).toEqual({ rows: 3, cols: 5, rowStep: 5, colStep: 1, base: 0 });
    expect(planeOf([2, 3, 5], { ...usual([2, 3, 5]), at: [1, 0, 0] })).toEqual({ rows: 3, cols: 5, rowStep: 5, colStep: 1, base: 15 });
  });
  it("of a list is one row, of a single number one cell", () => {
    expect(planeOf([7], usual([7]))).toMatchObject({ rows: 1, cols: 7, colStep: 1, base: 0 });
    expect(planeOf([], usual([]))).toMatchObject({ rows: 1, cols: 1, base: 0 });
  });
  it("takes any two axes, the others held, and they change places rather than be the same", () => {
    const other = withAxis(usual([2, 3, 5]), "colAxis", 0);
    expect(planeOf([2, 3, 5], { ...other, at: [0, 0, 4] })).toMatchObject({ rows: 3, cols: 2, rowStep: 5, colStep: 15, base: 4 });
    expect(withAxis(usual([2, 3, 5]), "rowAxis", 2)).toMatchObject({ rowAxis: 2, colAxis: 1 });
  });
  it("is zoomed around a place and moved, never beyond its edges", () => {
    const plane = planeOf([100, 200], usual([100, 200]));
    const near = zoomed(plane, wholePlane(plane), 4, 1, 0);
    expect(near).toEqual({ top: 0, left: 150, rows: 25, cols: 50 });
    expect(moved(plane, near, -5, 999)).toEqual({ ...near, top: 0, left: 150 });
    expect(zoomed(plane, near, 1e9)).toMatchObject({ rows: 4, cols: 4 });
    expect(zoomed(plane, near, 1e-9)).toEqual(wholePlane(plane));
  });
});

describe("the heat map", () => {
  const cells = { height: 4, width: 5 };
  it("shows each cell's strongest value and mean, and the sums", async () => {
    const plane = planeOf([8, 10], usual([8, 10]));
    const { read } = tensor((i) => (i === 37 ? -90 : i % 10));
    const made = await heat(read, plane, wholePlane(plane), cells);
    expect(made).toMatchObject({ height: 4, width: 5, seen: 80, rowsRead: 8, odd: 0, low: -90, high: 9 });
    expect(made.strongest[0]).toBe(1);
    expect(made.strongest[1 * 5 + 3], "row 3 column 7").toBe(-90);
    expect(made.mean[4]).toBe(8.5);
    expect(made.rowSums).toEqual([90, -7, 90, 90]);
    expect(made.colSums.reduce((a, b) => a + b)).toBe(8 * 45 - 97);
    expect(cellAt(made, 3, 7)).toMatchObject({ rows: [2, 3], cols: [6, 7], strongest: -90 });
    expect(cellAt(made, 8, 0)).toBeNull();
  });
  it("names values far from the rest by row and column, and counts them all", async () => {
    const plane = planeOf([64, 64], usual([64, 64]));
    const { read } = tensor((i) => (i === 64 * 7 + 11 ? 50 : i === 5 ? -40 : Math.sin(i)));
    const made = await heat(read, plane, wholePlane(plane), cells);
    expect(made.outliers).toEqual([{ row: 7, col: 11, value: 50 }, { row: 0, col: 5, value: -40 }]);
    expect(made.far).toBe(2);
  });
  it("tells what is no finite number, and leaves it out of sums and means", async () => {
    const plane = planeOf([2, 4], usual([2, 4]));
    const made = await heat(tensor((i) => (i === 2 ? NaN : i === 7 ? Infinity : 1)).read, plane, wholePlane(plane), { height: 2, width: 2 });
    expect(made).toMatchObject({ odd: 2, strongest: [1, null, 1, null], mean: [1, 1, 1, 1], rowSums: [3, 3] });
  });
  it("is the same for a plane whose columns lie further apart than its rows, turned", async () => {
    const shape = [6, 4, 8];
    const value = (i: number) => Math.cos(i * i);
    const straight = planeOf(shape, { rowAxis: 0, colAxis: 2, at: [0, 3, 0] });
    const turned = planeOf(shape, { rowAxis: 2, colAxis: 0, at: [0, 3, 0] });
    const a = await heat(tensor(value).read, straight, wholePlane(straight), { height: 3, width: 4 });
    const b = await heat(tensor(value).read, turned, wholePlane(turned), { height: 4, width: 3 });
    expect(Array.from({ length: 12 }, (_, i) => b.strongest[(i % 4) * 3 + Math.floor(i / 4)])).toEqual(a.strongest);
    expect(b.colSums).toEqual(a.rowSums);
    expect(b).toMatchObject({ rows: 8, cols: 6, height: 4, width: 3, seen: 48 });
    const corner = [24, 25, 56, 57].map(value).reduce((m, v) => (Math.abs(v) > Math.abs(m) ? v : m));
    expect(a.strongest[0]).toBeCloseTo(corner, 5);
  });
  it("never reads more than its budget, whatever the shape", async () => {
    const budget: Budget = { values: 4096, reads: 64 };
    const shapes = [[151_936, 4096], [4096, 151_936], [500_000_000], [3, 700_000], [1_000_000, 2], [64, 2048, 1408], [512, 512, 3, 3]];
    for (const shape of shapes) {
      for (const [rowAxis, colAxis] of [[shape.length - 2, shape.length - 1], [0, Math.min(1, shape.length - 1)], [shape.length - 1, 0]] as const) {
        const plane = planeOf(shape, { rowAxis, colAxis, at: shape.map(() => 0) });
        const { read, asked } = tensor((i) => i % 7);
        const made = await heat(read, plane, wholePlane(plane), { height: 100, width: 200 }, budget);
        expect(asked().values, `${shape} by ${rowAxis}, ${colAxis}`).toBeLessThanOrEqual(2 * budget.values);
        expect(asked().reads).toBeLessThanOrEqual(budget.reads);
        expect(made.strongest.length).toBe(made.height * made.width);
        expect(made.strongest.every((v) => v !== null)).toBe(true);
        expect(made.mean.every((v) => v !== null), "every cell has a value").toBe(true);
      }
    }
  });
  it("asks for no more at a time than the worker gives", () => {
    const plane = planeOf([5000, 1000], usual([5000, 1000]));
    const { stretches } = plan(plane, wholePlane(plane), { height: 150, width: 250 }, BUDGET);
    for (const s of stretches) expect((s.lines - 1) * plane.rowStep + s.count).toBeLessThanOrEqual(4 << 20);
  });
  it("cuts indices into cells and finds their cell again", () => {
    for (const [size, parts] of [[10, 3], [7, 7], [1000, 37], [5, 1]] as const) {
      for (let i = 0; i < size; i++) {
        const [from, to] = cut(0, size, parts, bin(i, size, parts));
        expect(i >= from && i <= to).toBe(true);
      }
    }
  });
  it("fits colours to nearly all cells, so that one of them does not pale the rest", () => {
    expect(fullColour([...Array<number>(999).fill(-2), 500])).toBe(2);
    expect(fullColour([0, null])).toBe(1);
  });
});

describe("singular values", () => {
  it("are those that LAPACK gives (NumPy 2.4's linalg.svd)", () => {
    const a = Array.from({ length: 54 }, (_, k) => { const [i, j] = [Math.floor(k / 6), k % 6]; return ((i * i * 7 + j * 13 + i * j * 5 + 3) % 23) - 11; });
    const lapack = [28.00073791728837, 22.890158300082405, 20.093988771120046, 19.315661765395568, 12.401003479777556, 7.959350954065337];
    singularValues(a, 9, 6).forEach((v, i) => expect(v).toBeCloseTo(lapack[i] ?? 0, 12));
    const turned = Array.from({ length: 54 }, (_, k) => a[(k % 9) * 6 + Math.floor(k / 9)] ?? 0);
    singularValues(turned, 6, 9).forEach((v, i) => expect(v).toBeCloseTo(lapack[i] ?? 0, 12));
  });
  it("of Hilbert's matrix are right down to the smallest", () => {
    const hilbert = Array.from({ length: 36 }, (_, k) => 1 / (Math.floor(k / 6) + (k % 6) + 1));
    const known = [1.6188998589243393, 0.2423608705752095, 0.01632152131987582, 0.0006157483541826447, 1.2570757122632472e-5, 1.0827994844462713e-7];
    singularValues(hilbert, 6, 6).forEach((v, i) => expect(Math.abs(v / (known[i] ?? 1) - 1)).toBeLessThan(1e-9));
  });
  it("of a diagonal are its magnitudes, of one direction one, of zero none", () => {
    expect(singularValues([3, 0, 0, 0, -7, 0], 2, 3)).toEqual([7, 3]);
    const flat = singularValues([1, 2, 3, 2, 4, 6, 3, 6, 9], 3, 3);
    expect(flat[0]).toBeCloseTo(14, 12);
    expect(flat[1]).toBeLessThan(1e-12);
    expect(singularValues([0, 0, 0, 0], 2, 2)).toEqual([0, 0]);
  });
  it("are told in terms of rank", () => {
    const even = told({ rows: 4, cols: 4, values: [2, 2, 2, 2], rms: 1 });
    expect(even).toMatchObject({ largest: 2, frobenius: 4, stableRank: 4, condition: 1, for90: 4, for99: 4, random: 4 });
    expect(even?.effectiveRank).toBeCloseTo(4, 12);
    expect(told({ rows: 2, cols: 2, values: [5, 0], rms: 1 })).toMatchObject({ stableRank: 1, effectiveRank: 1, condition: null, for90: 1 });
    expect(told({ rows: 2, cols: 2, values: null, rms: 0 })).toBeNull();
  });
});

describe("what stands out", () => {
  it("is told by the median, which it does not move", () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    const layers = [1, 1.1, 0.9, 1.05, 8, 0.95, 1, 0.1];
    expect(strange(layers, LAYERS).map((s) => s.index)).toEqual([7, 4]);
  });
  it("is nothing among few, among equals, or where all differ as much", () => {
    expect(strange([1, 100], LAYERS)).toEqual([]);
    expect(strange(Array<number>(20).fill(2), LAYERS)).toEqual([]);
    expect(strange([1, 2, 4, 8, 16, 32, 64], LAYERS)).toEqual([]);
    expect(strange([0, 0, 0, 0, 0, 5], LAYERS)).toEqual([]);
  });
  it("is a channel of zeros among others", () => {
    const sizes = Array.from({ length: 100 }, (_, i) => (i === 40 ? 0 : 1 + (i % 5) / 100));
    expect(strange(sizes, CHANNELS)).toEqual([{ index: 40, times: 0 }]);
  });
});

describe("statistics by channel and block", () => {
  // Sixteenths, whose sums are exact in any order.
  const value = (i: number) => (i % 64 === 9 ? 5 : Math.round(16 * Math.sin(i)) / 16);
  function whole(chunk: number) {
    const made = new Channels(32, 64, 32);
    for (let first = 0; first < 2048; first += chunk) made.add(Float64Array.from({ length: Math.min(chunk, 2048 - first) }, (_, i) => value(first + i)), first);
    return made.report();
  }
  it("are the same whatever the chunks", () => {
    expect(whole(32 * 7)).toEqual(whole(2048));
  });
  it("agree with sums over rows and columns", () => {
    const { rows, cols, values } = whole(256);
    expect(values).toBe(2048);
    const row = Array.from({ length: 64 }, (_, c) => value(3 * 64 + c));
    expect(rows.metrics.mean.middle[3]).toBeCloseTo(row.reduce((a, b) => a + b) / 64, 5);
    expect(rows.metrics.rms.middle[3]).toBeCloseTo(Math.sqrt(row.reduce((a, b) => a + b * b, 0) / 64), 5);
    expect(rows.metrics.largest.middle[3]).toBe(5);
    expect(cols.named[0]).toMatchObject({ index: 9, rms: 5, mean: 5, largest: 5 });
    expect(cols.strange).toBe(1);
  });
  it("leave out what is no finite number", () => {
    const made = new Channels(2, 4, 1);
    made.add([1, NaN, 3, Infinity, 1, 1, 1, 1], 0);
    const report = made.report();
    expect(report).toMatchObject({ odd: 2, blocks: null });
    expect(report.rows.metrics.mean.middle).toEqual([2, 1]);
    expect(report.cols.metrics.largest.high).toEqual([1, 1, 3, 1]);
  });
  it("count blocks by octave and by their different values", () => {
    const made = new Channels(1, 96, 32);
    made.add(Float64Array.from({ length: 96 }, (_, i) => (i < 32 ? 0 : i < 64 ? (i % 4) / 8 : i)), 0);
    expect(made.report().blocks).toMatchObject({ count: 3, len: 32, zero: 1, first: -2, counts: [1, 0, 0, 0, 0, 0, 0, 0, 1], counted: 3, levels: [{ values: 1, blocks: 1 }, { values: 4, blocks: 1 }, { values: 32, blocks: 1 }] });
    expect(made.report().blocks?.largest[0]).toEqual({ index: 2, largest: 95 });
  });
  it("share slots where an axis has more channels than memory should hold", () => {
    const made = new Channels(1, 600_000, 1);
    for (let first = 0; first < 600_000; first += 100_000) made.add(new Float64Array(100_000).fill(2), first);
    const { cols } = made.report();
    expect(cols).toMatchObject({ channels: 600_000, shared: 3, median: 2 });
    expect(cols.from.length).toBe(256);
  });
});

describe("norms by layer", () => {
  const measure = (tensor: number, values: number[]): NormReport => {
    const m = new Moments();
    m.add(values);
    return { tensor, ...m, fault: null };
  };
  it("are sums of squares, whatever is no finite number left out", () => {
    const m = measure(0, [3, -4, 0, NaN, -Infinity]);
    expect(m).toMatchObject({ count: 3, odd: 2, zeros: 1, largest: 4 });
    expect(norm(m)).toBe(5);
    expect(rms(m)).toBeCloseTo(Math.sqrt(25 / 3), 12);
  });
  it("find layers in names of every kind", () => {
    expect(place("blk.12.attn_q.weight")).toEqual({ role: "blk.#.attn_q.weight", layer: 12 });
    expect(place("model.layers.3.mlp.experts.17.up_proj.weight")).toEqual({ role: "model.layers.#.mlp.experts.*.up_proj.weight", layer: 3 });
    expect(place("/encoder/layer.0/attention/MatMul")).toEqual({ role: ".encoder.layer.#.attention.MatMul", layer: 0 });
    expect(place("token_embd.weight")).toBeNull();
    expect(place("0.weight")).toBeNull();
    expect(place("onnx::MatMul_928")).toBeNull();
  });
  it("join the experts of a layer, and name the layer that stands out", () => {
    const names = Array.from({ length: 12 }, (_, i) => `blk.${i >> 1}.ffn_up.${i % 2}.weight`);
    const made = roles(names, names.map((_, i) => measure(i, i >> 1 === 4 ? [9, 9] : [1, -1.02 - (i % 3) / 100])));
    expect(made).toHaveLength(1);
    expect(made[0]).toMatchObject({ label: "ffn_up.*.weight" });
    expect(made[0]?.points.map((p) => p.layer)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(made[0]?.points[4]).toMatchObject({ tensors: [8, 9], rms: 9, largest: 9 });
    expect(made[0]?.points.filter((p) => p.strange !== null).map((p) => p.layer)).toEqual([4]);
  });
  it("leave out tensors that could not be read", () => {
    const gone: NormReport = { ...measure(0, [1]), fault: "gone" };
    expect(roles(["blk.0.a.weight", "blk.1.a.weight"], [gone, measure(1, [1])])).toEqual([]);
  });
});

describe("memory over the context", () => {
  const fit = { weights: 100, cache_per_token: 64, states: 10, scratch: 20, context: 1000 };
  it("grows by the cache alone", () => {
    expect(needed(fit, 1, 0)).toBe(130);
    expect(CACHES.map((c) => needed(fit, c.share, 100) - 130)).toEqual([6400, 3200, 1700]);
  });
  it("tells the longest context that fits, which is the model's own at most", () => {
    expect(longest(fit, 1, 130 + 64 * 10.5)).toBe(10);
    expect(longest(fit, 0.5, 130 + 64 * 10.5)).toBe(21);
    expect(longest(fit, 1, 1e9)).toBe(1000);
    expect(longest(fit, 1, 129)).toBe(0);
    expect(longest({ ...fit, cache_per_token: 0 }, 1, 130)).toBe(1000);
  });
});
