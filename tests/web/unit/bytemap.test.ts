import { describe, expect, it } from "vitest";

import { byteMap, columns, inView, type MapSource, partAt } from "../../../www/src/lib/bytemap.ts";
import { huge, llama } from "../mock/reports.ts";

const tensor = (name: string, offset: number, bytes: number, place = "here", file = "f") => ({ name, encoding: "F32", offset, bytes, file, place });

/** A file of 100 bytes: header, then tensors from byte 20. */
function source(tensors: MapSource["tensors"], sections: MapSource["sections"], bytes = 100): MapSource {
  return { files: [{ name: "f", bytes }], sections, tensors };
}
const HEADER = { file: 0, start: 0, end: 20, kind: "header" };

function told(of: MapSource, file = 0): (string | number)[][] {
  return byteMap(of, file).parts.map((p) => [p.kind, p.start, p.end, p.tensor, p.shared]);
}

describe("the byte map", () => {
  it("has every byte of a whole file in one part", () => {
    for (const report of [llama("m.gguf", 64), huge("m.gguf")]) {
      const map = byteMap(report, 0);
      const starts = map.parts.map((p) => p.start);
      expect(starts).toEqual([0, ...map.parts.slice(0, -1).map((p) => p.end)]);
      expect(map.parts.filter((p) => p.shared > 0)).toEqual([]);
      expect(map.parts.filter((p) => p.kind === "tensor").length).toBe(report.tensors.length);
      expect(map.extent).toBe(map.parts.at(-1)?.end);
    }
  });
  it("shows as padding what a run of tensors leaves between them, in whatever order they are listed", () => {
    const of = source([tensor("b", 64, 36), tensor("a", 20, 40)], [HEADER, { file: 0, start: 20, end: 100, kind: "tensors" }]);
    expect(told(of)).toEqual([["header", 0, 20, -1, 0], ["tensor", 20, 60, 1, 0], ["padding", 60, 64, -1, 0], ["tensor", 64, 100, 0, 0]]);
  });
  it("tells what overlaps, what is shared, and by how much", () => {
    const of = source([tensor("a", 20, 40), tensor("tied", 20, 40), tensor("b", 50, 50)], [HEADER, { file: 0, start: 20, end: 100, kind: "tensors" }]);
    expect(told(of)).toEqual([["header", 0, 20, -1, 0], ["tensor", 20, 60, 0, 0], ["tensor", 20, 60, 1, 40], ["tensor", 50, 100, 2, 10]]);
    expect(byteMap(of, 0).parts[3]?.sharesWith).toBe(1);
  });
  it("goes on behind the end of a cut file, and gives the cut tensor the bytes that seemed to belong to nothing", () => {
    const of = source([tensor("a", 20, 40), tensor("b", 60, 60, "partial"), tensor("c", 120, 40, "missing")], [HEADER, { file: 0, start: 20, end: 60, kind: "tensors" }, { file: 0, start: 60, end: 100, kind: "trailing" }]);
    expect(told(of)).toEqual([["header", 0, 20, -1, 0], ["tensor", 20, 60, 0, 0], ["missing", 60, 120, 1, 0], ["missing", 120, 160, 2, 0]]);
    expect(byteMap(of, 0).extent).toBe(160);
  });
  it("leaves out tensors of other files, and those without bytes", () => {
    const of = source([tensor("a", 20, 80), tensor("elsewhere", 0, 50, "missing", "g"), { ...tensor("inline", 0, 4, "inline"), offset: null }], [HEADER, { file: 0, start: 20, end: 100, kind: "tensors" }]);
    expect(told(of).length).toBe(2);
  });
  it("finds what lies at a byte: of overlapping parts the one that starts last", () => {
    const map = byteMap(source([tensor("long", 20, 80), tensor("inside", 40, 10)], [HEADER, { file: 0, start: 20, end: 100, kind: "tensors" }]), 0);
    expect([0, 19, 20, 45, 50, 99, 100].map((at) => partAt(map, at))).toEqual([0, 0, 1, 2, 1, 1, -1]);
    expect(inView(map, 60, 70)).toEqual({ first: 1, last: 3 });
  });
});

describe("the columns of a strip", () => {
  it("give each encoding the pixels of its share, however many parts a pixel holds", () => {
    const report = huge("m.gguf");
    const map = byteMap(report, 0);
    const last = map.parts.findLast((p) => p.kind === "tensor");
    const { part } = columns(map, 40_000_000, last?.end ?? 0, 1300);
    const shown = (encoding: string) => part.filter((i) => report.tensors[map.parts[i]?.tensor ?? -1]?.encoding === encoding).length / 1300;
    const total = report.encodings.reduce((n, e) => n + e.bytes, 0);
    // 1,300 samples of shares between 0.05 and 0.46: three standard deviations are 0.04.
    for (const e of report.encodings) expect(Math.abs(shown(e.encoding) - e.bytes / total), e.encoding).toBeLessThan(0.04);
  });
  it("show what lies there, and mark what must not be overlooked", () => {
    const of = source([tensor("a", 20, 40), tensor("b", 61, 39)], [HEADER, { file: 0, start: 20, end: 60, kind: "tensors" }, { file: 0, start: 60, end: 61, kind: "gap" }, { file: 0, start: 61, end: 100, kind: "tensors" }]);
    const { part, marked } = columns(byteMap(of, 0), 0, 100, 10);
    expect([...part]).toEqual([0, 0, 1, 1, 1, 1, 3, 3, 3, 3]);
    expect([...marked]).toEqual([0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
  });
  it("of 100,000 tensors cost one pass over them", () => {
    const map = byteMap(huge("m.gguf"), 0);
    columns(map, 0, map.extent, 2880);
    const begin = performance.now();
    for (let i = 0; i < 5; i++) columns(map, 0, map.extent, 2880);
    // A few milliseconds on a machine at rest; work that grew with pixels times parts would take minutes.
    expect((performance.now() - begin) / 5).toBeLessThan(200);
  });
});
