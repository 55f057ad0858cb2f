import { describe, expect, it } from "vitest";

import { fromList, insideFolder } from "../../../www/src/lib/collect.ts";
import { formatHash, parseHash, START } from "../../../www/src/lib/hash.ts";
import { encodingColour } from "../../../www/src/lib/palette.ts";
import { Graphemes } from "../../../www/src/lib/graphemes.ts";
import { templateLines } from "../../../www/src/lib/jinja.ts";
import { Utf8Map } from "../../../www/src/lib/spans.ts";

describe("the address", () => {
  it("carries tab, tensor and search there and back", () => {
    for (const route of [
      { ...START, tab: "tensors", tensor: "blk.0.attn q&=%#.weight", search: "attn q4" },
      { ...START, tab: "metadata", search: "日本 \u202e" },
      { ...START, tab: "bytes", tensor: "a b", file: 2, at: 2 ** 53 - 1 },
      { ...START, tab: "tokenizer", part: "chat" },
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

describe("a text of a megabyte", () => {
  const text = "aé日🚀 ".repeat(90_000);
  const map = new Utf8Map(text);
  it("has its bytes counted and its places found from both sides, as TextEncoder counts them", () => {
    const encoder = new TextEncoder();
    expect(map.bytes).toBe(encoder.encode(text).length);
    for (const index of [0, 1, 5, 6, 7777, 123_456, text.length - 1, text.length]) {
      const byte = encoder.encode(text.slice(0, index)).length;
      // Between the halves of a pair there is no place: the character's own is told.
      if (text.charCodeAt(index) >= 0xdc00 && text.charCodeAt(index) < 0xe000) continue;
      expect(map.byte(index)).toBe(byte);
      expect(map.begins(byte)).toBe(index);
    }
    expect(map.begins(2)).toBeNull();
  });
});

describe("characters that tokens cut", () => {
  const cut = (text: string, start: number, end: number) => new Graphemes(new Utf8Map(text)).cut({ start, end });
  it("are told with the side on which they are cut", () => {
    expect(cut("a日b", 0, 1)).toBeNull();
    expect(cut("a日b", 1, 4)).toBeNull();
    expect(cut("a日b", 0, 2)).toEqual({ character: "日", before: false, after: true });
    expect(cut("a日b", 2, 3)).toEqual({ character: "日", before: true, after: true });
    expect(cut("a日b", 3, 5)).toEqual({ character: "日", before: true, after: false });
  });
  it("may be made of several code points", () => {
    const family = "👩\u200d👧";
    expect(cut(`${family}!`, 0, 4)).toEqual({ character: family, before: false, after: true });
    expect(cut("e\u0301x", 1, 3)).toEqual({ character: "e\u0301", before: true, after: false });
  });
  it("are none where a token covers nothing", () => {
    expect(cut("日", 0, 0)).toBeNull();
  });
});

describe("lines of a template", () => {
  it("keep every character, and tags that go over several lines stay tags", () => {
    const source = "a{% if\n x %}{{ y }}\n\n{# c\n#}z";
    const lines = templateLines(source);
    expect(lines.map((runs) => runs.map((r) => r.text).join("")).join("\n")).toBe(source);
    expect(lines[1]?.map((r) => r.kind)).toEqual(["tag", "value"]);
    expect(lines[4]?.[0]).toEqual({ text: "#}", kind: "comment" });
  });
  it("are as many as an engine counts", () => {
    expect(templateLines("").length).toBe(1);
    expect(templateLines("a\n").length).toBe(1);
    expect(templateLines("a\nb").length).toBe(2);
    expect(templateLines("{% unfinished").length).toBe(1);
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
