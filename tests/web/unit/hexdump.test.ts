import { describe, expect, it } from "vitest";

import { bytesOf, hexOffset, parseOffset, textCells } from "../../../www/src/lib/hexdump.ts";

describe("a typed offset", () => {
  it("is decimal, with separators or without, or hexadecimal", () => {
    for (const [text, value] of [["0", 0], [" 1,811,584 ", 1_811_584], ["1 811 584", 1_811_584], ["0x1BA480", 1_811_584], ["9007199254740991", 2 ** 53 - 1]] as const) {
      expect(parseOffset(text), text).toBe(value);
    }
  });
  it("that is none is refused, also one that a number cannot hold", () => {
    for (const text of ["", "-1", "1.5", "1e6", "ff", "0x", "9007199254740993", "0xfffffffffffffffff"]) expect(parseOffset(text), text).toBeNull();
  });
});

it("offsets beyond 32 bits have the digits that their file needs", () => {
  expect(hexOffset(4096, 1e6)).toBe("00001000");
  expect(hexOffset(0x12_3456_7890, 0xff_ffff_ffff)).toBe("1234567890");
});

it("hexadecimal becomes the very bytes", () => {
  expect([...bytesOf("00 1f ff")]).toEqual([0, 31, 255]);
  expect(bytesOf("").length).toBe(0);
});

describe("the text column", () => {
  const text = (bytes: number[]) => textCells(Uint8Array.from(bytes)).map((c) => c.text).join("");
  it("has one sign a byte, none of which controls anything", () => {
    const all = Array.from({ length: 256 }, (_, i) => i);
    const shown = textCells(Uint8Array.from(all));
    expect(shown.length).toBe(256);
    for (const { text: sign } of shown) expect(sign).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    expect(text([0x47, 0x47, 0x55, 0x46, 0, 0x0a, 0x1b, 0x7f, 0x80])).toBe("GGUF·↵···");
  });
  it("tells characters that hide or turn text, and no others", () => {
    const hidden = (bytes: number[]) => textCells(Uint8Array.from(bytes)).map((c) => c.hidden?.slice(0, 6));
    expect(hidden([0x61, 0xe2, 0x80, 0xae, 0x62])).toEqual([undefined, "U+202E", "U+202E", "U+202E", undefined]);
    expect(hidden([0xe2, 0x82, 0xac])).toEqual([undefined, undefined, undefined]);
    expect(hidden([0xe2, 0x80])).toEqual([undefined, undefined]);
  });
});
