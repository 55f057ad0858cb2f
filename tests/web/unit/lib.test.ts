import { describe, expect, it } from "vitest";

import { fromList, insideFolder } from "../../../www/src/lib/collect.ts";
import { formatHash, parseHash, START } from "../../../www/src/lib/hash.ts";
import { encodingColour } from "../../../www/src/lib/palette.ts";
import { Utf8Map } from "../../../www/src/lib/spans.ts";

describe("the address", () => {
  it("carries tab, tensor and search there and back", () => {
    for (const route of [
      { ...START, tab: "tensors", tensor: "blk.0.attn q&=%#.weight", search: "attn q4" },
      { ...START, tab: "metadata", search: "日本 \u202e" },
      { ...START, tab: "bytes", tensor: "a b", file: 2, at: 2 ** 53 - 1 },
      START,
    ] as const) {
      expect(parseHash(formatHash(route))).toEqual(route);
    }
  });
  it("that is nonsense means the overview", () => {
    expect(parseHash("#nowhere?x=%E0%A4%A")).toEqual(START);
    expect(parseHash("")).toEqual(START);
    for (const at of ["-1", "1e3", "0x10", "9007199254740993", ""]) expect(parseHash(`#bytes?at=${at}`).at, at).toBeNull();
  });
});

describe("byte spans", () => {
  it("become string ranges, also beyond the basic plane", () => {
    const text = "aé日🚀z";
    const map = new Utf8Map(text);
    const piece = (start: number, end: number) => text.slice(...map.range(start, end));
    expect(piece(0, 1)).toBe("a");
    expect(piece(1, 3)).toBe("é");
    expect(piece(3, 6)).toBe("日");
    expect(piece(6, 10)).toBe("🚀");
    expect(piece(10, 11)).toBe("z");
  });
  it("of part of a character are widened to the whole of it", () => {
    const map = new Utf8Map("🚀z");
    expect(map.range(0, 1)).toEqual([0, 2]);
    expect(map.range(3, 4)).toEqual([0, 2]);
    expect(map.range(2, 5)).toEqual([0, 3]);
  });
  it("beyond the end stay inside the text", () => {
    expect(new Utf8Map("ab").range(1, 99)).toEqual([1, 2]);
    expect(new Utf8Map("").range(0, 0)).toEqual([0, 0]);
  });
});

describe("chosen files", () => {
  const file = (name: string, webkitRelativePath = "") => ({ name, webkitRelativePath }) as File;
  it("are named by their path inside the chosen folder", () => {
    expect(insideFolder("model/onnx/model.onnx")).toBe("onnx/model.onnx");
    expect(fromList([file("a.json", "model/a.json"), file("b", "model/sub/b")]).map((f) => f.name)).toEqual(["a.json", "sub/b"]);
  });
  it("leave out what belongs to tools", () => {
    expect(fromList([file("config", "m/.git/config"), file("w.gguf", "m/w.gguf")]).map((f) => f.name)).toEqual(["w.gguf"]);
  });
  it("that are hidden but chosen alone are meant", () => {
    expect(fromList([file(".model.gguf")]).map((f) => f.name)).toEqual([".model.gguf"]);
  });
});

it("an encoding has one colour, known or not", () => {
  expect(encodingColour("Q4_K")).toBe("var(--c-blue)");
  expect(encodingColour("ggml type 99")).toBe(encodingColour("ggml type 99"));
  expect(encodingColour("ggml type 99")).toMatch(/^var\(--c-[a-z-]+\)$/);
});
