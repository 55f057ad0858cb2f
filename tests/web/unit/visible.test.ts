import { describe, expect, it } from "vitest";

import { proseSegments, segments, tokenSegments, visible } from "../../../www/src/lib/visible.ts";

describe("text from files", () => {
  it("that hides nothing stays one piece", () => {
    expect(segments("blk.0.attn_q.weight")).toEqual([{ text: "blk.0.attn_q.weight" }]);
    expect(segments("日本語 naïve עברית")).toEqual([{ text: "日本語 naïve עברית" }]);
    expect(segments("")).toEqual([]);
  });
  it("shows a bidi override as what it is", () => {
    expect(segments("a\u202Eb")).toEqual([{ text: "a" }, { text: "<U+202E>", hidden: "U+202E RIGHT-TO-LEFT OVERRIDE" }, { text: "b" }]);
  });
  it("shows controls, zero-width characters, tags and lone surrogates", () => {
    expect(visible("\u0000\u001b[31m\u200b\u{e0041}\ud800\u0085")).toBe("<U+0000><U+001B>[31m<U+200B><U+E0041><U+D800><U+0085>");
  });
  it("shows letters that look like nothing", () => {
    expect(visible("a\u3164b\u115f")).toBe("a<U+3164>b<U+115F>");
  });
  it("keeps lines where lines are wanted", () => {
    expect(visible("a\nb")).toBe("a<U+000A>b");
    expect(segments("a\n\tb", true).map((s) => s.text).join("")).toBe("a\n\tb");
    expect(segments("a\r\nb", true).map((s) => s.text).join("")).toBe("a<U+000D>\nb");
  });
  it("leaves the joiner inside one emoji, and shows it elsewhere", () => {
    expect(visible("👩‍🚀")).toBe("👩‍🚀");
    expect(visible("a\u200db")).toBe("a<U+200D>b");
  });
});

describe("tokens", () => {
  it("show their spaces, tabs and line ends", () => {
    expect(tokenSegments(" fox").map((s) => s.text)).toEqual(["·", "fox"]);
    expect(tokenSegments("\n\t").map((s) => s.text)).toEqual(["↵", "→"]);
    expect(tokenSegments("▁the").map((s) => s.text).join("")).toBe("▁the");
  });
});

describe("a text in its lines", () => {
  const shown = (text: string) => proseSegments(text).map((s) => s.text).join("");
  it("shows line ends, tabs, and spaces that no eye would see", () => {
    expect(shown("a b\n  c \n\td")).toBe("a b\u21b5\n\u00b7\u00b7c\u00b7\u21b5\n\u2192\td");
    expect(shown("a  b")).toBe("a\u00b7\u00b7b");
  });
  it("names what is hidden", () => {
    expect(proseSegments("a\u200b")).toEqual([{ text: "a" }, { text: "<U+200B>", hidden: "U+200B ZERO WIDTH SPACE" }]);
  });
});
