import { describe, expect, it } from "vitest";

import { bytes, count, hexPairs, parameters, percent, plural, rate, real, seconds, shape, single } from "../../../www/src/lib/format.ts";

describe("sizes", () => {
  it("are decimal and step up where rounding does", () => {
    expect(bytes(0)).toBe("0 B");
    expect(bytes(999)).toBe("999 B");
    expect(bytes(1500)).toBe("1.5 kB");
    expect(bytes(999_949)).toBe("999.9 kB");
    expect(bytes(999_950)).toBe("1.0 MB");
    expect(bytes(4_700_000_000)).toBe("4.7 GB");
    expect(bytes(Number.POSITIVE_INFINITY)).toBe("unknown");
  });
});

describe("numbers", () => {
  it("group their thousands and name their things", () => {
    expect(count(1234567)).toBe("1,234,567");
    expect(plural(1, "tensor")).toBe("1 tensor");
    expect(plural(2, "entry", "entries")).toBe("2 entries");
    expect(shape([576, 1536])).toBe("576 × 1,536");
    expect(shape([])).toBe("scalar");
  });
  it("of parameters read as model sizes do", () => {
    expect(parameters(134_515_008)).toBe("135 M");
    expect(parameters(1_100_000_000)).toBe("1.1 B");
    expect(parameters(999)).toBe("999");
  });
  it("that are real keep their sign, their zeros and their NaN", () => {
    expect(real(-0.4123456)).toBe("−0.4123");
    expect(real(0)).toBe("0");
    expect(real(null)).toBe("NaN");
    expect(real(0.00001234)).toBe("1.234e−5");
    expect(real(-0.00001234)).toBe("−1.234e−5");
    expect(real(6.5625)).toBe("6.563");
    expect(real(32)).toBe("32");
    expect(real(100)).toBe("100");
    expect(real(74_381.4)).toBe("74,381");
    expect(real(-12_345, 3)).toBe("−12,345");
  });
  it("of single precision lose the digits that say nothing", () => {
    expect(single(0.000009999999747378752)).toBe("0.00001");
    expect(single(Math.fround(0.1))).toBe("0.1");
    expect(single(100000)).toBe("100000");
  });
  it("of probability and time stay short", () => {
    expect(percent(0.6123)).toBe("61.2 %");
    expect(percent(1)).toBe("100 %");
    expect(percent(0.0001)).toBe("< 0.1 %");
    expect(seconds(0.0214)).toBe("21 ms");
    expect(seconds(0.41)).toBe("0.41 s");
    expect(rate(100, 2)).toBe("50.0");
    expect(rate(0, 0)).toBe("–");
  });
});

it("hexadecimal comes in pairs", () => {
  expect(hexPairs("0b3055")).toEqual(["0b", "30", "55"]);
  expect(hexPairs("")).toEqual([]);
});
