import { describe, expect, it } from "vitest";

import { cosines, lines, neighbours, type Vectors } from "../../../www/src/state/vectors.ts";

describe("texts of an encoder", () => {
  it("each line that is not empty is a text", () => {
    expect(lines("one\r\n\n  two words \n\t\nthree")).toEqual(["one", "two words", "three"]);
  });

  it("similarities are cosines, whatever the lengths, and zeros are like nothing", () => {
    const similar = cosines([[3, 0], [0, 2], [1, 1], [0, 0]]);
    const want = [1, 0, Math.SQRT1_2, 0, 0, 1, Math.SQRT1_2, 0, Math.SQRT1_2, Math.SQRT1_2, 1, 0, 0, 0, 0, 0];
    want.forEach((w, i) => expect(similar[i]).toBeCloseTo(w, 6));
  });

  it("the nearest texts come first, without the text itself", () => {
    const texts = ["a", "b", "c"];
    const of = { texts, report: {}, similar: cosines([[1, 0], [0, 1], [1, 0.5]]) } as unknown as Vectors;
    expect(neighbours(of, 0).map((n) => n.text)).toEqual(["c", "b"]);
    expect(neighbours(of, 1).map((n) => n.index)).toEqual([2, 0]);
  });
});
