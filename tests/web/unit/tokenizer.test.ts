import { expect, describe, it, vi } from "vitest";

import { Utf8Map } from "../../../www/src/lib/spans.ts";
import { joined } from "../../../www/src/state/beside.ts";
import * as model from "../../../www/src/state/model.ts";
import { follow, go } from "../../../www/src/state/route.ts";
import { touching } from "../../../www/src/state/tokens.ts";
import * as vocabulary from "../../../www/src/state/vocabulary.ts";
import { stretch, wordAt } from "../../../www/src/state/xray.ts";
import type { CompareReport } from "../../../www/src/wire/report.ts";
import { llama } from "../mock/reports.ts";
import * as mock from "../mock/tokens.ts";

describe("a selection", () => {
  const pieces = [[0, 0], [0, 3], [3, 4], [4, 8]].map(([start, end]) => ({ start: start ?? 0, end: end ?? 0 }));
  it("has the pieces that it touches, and a caret the one behind it", () => {
    expect(touching(pieces, 0, 8)).toEqual([1, 4]);
    expect(touching(pieces, 2, 4)).toEqual([1, 3]);
    expect(touching(pieces, 3, 3)).toEqual([2, 3]);
    expect(touching(pieces, 8, 8)).toBeNull();
  });
});

describe("the stretch that is explained of a long text", () => {
  it("is the line around the piece, with its line feed", () => {
    expect("one\ntwo three\nfour".slice(...stretch("one\ntwo three\nfour", 8, 13))).toBe("two three\n");
    expect("one".slice(...stretch("one", 1, 2))).toBe("one");
  });
  it("is cut where a line has no end, but not inside a character", () => {
    const text = "\ud83d\ude80".repeat(10_000);
    const [from, to] = stretch(text, 10_000, 10_002);
    expect(to - from).toBeLessThan(4_100);
    expect([...text.slice(from, to)].every((c) => c === "\ud83d\ude80")).toBe(true);
    const odd = `a${text}`;
    expect(odd.slice(...stretch(odd, 10_001, 10_003))).not.toMatch(/\p{Cs}/u);
  });
});

describe("the word of a piece", () => {
  const pieces = [" one", "x"].map((text, i) => ({ id: 10 + i, text, start: i * 4, end: i * 4 + text.length, kind: "normal", hex: "", added: false, part_of: "" }));
  const report = mock.explanation(" onex", pieces, true);
  it("is found by its place in the text", () => {
    expect(wordAt(report, 4, 5, 11, 0)?.word?.text).toBe("x");
    expect(wordAt(report, 0, 4, 10, 0)?.word?.text).toBe("\u0120one");
  });
  it("is none for what goes over its edge, and for tokens put around the text", () => {
    expect(wordAt(report, 3, 5, 0, 0)).toMatchObject({ word: null });
    expect(wordAt(report, 0, 0, 1, 0)?.part.kind).toBe("added");
    expect(wordAt(report, 50, 51, 1, 0)).toBeNull();
  });
});

describe("stretches of two tokenizers", () => {
  const of = (text: string, ends: number[], differs: number[]) => joined({ text, map: new Utf8Map(text), report: { stretches: { ends, a: ends.map(() => 1), b: ends.map(() => 2), differs } } as unknown as CompareReport }, 3);
  it("are joined where nothing differs, and keep the whole text", () => {
    const { list, more } = of("日bcd", [3, 4, 5, 6], [0, 0, 2, 0]);
    expect(list).toEqual([{ text: "日b", a: 2, b: 4, differs: 0 }, { text: "c", a: 1, b: 2, differs: 2 }, { text: "d", a: 1, b: 2, differs: 0 }]);
    expect(more).toBe(false);
  });
  it("beyond the limit are said to be more", () => {
    expect(of("abcdef", [1, 2, 3, 4], [2, 1, 2, 1])).toMatchObject({ more: true });
  });
});

describe("looking through the vocabulary", () => {
  it("asks for the first page of a query, for others when they come in sight, and forgets what another query found", async () => {
    const asked: unknown[] = [];
    const ask = (call: string, question: never) => {
      if (call === "vocabulary") asked.push(question);
      const q = question as { search: string; kind: string; sort: string; reverse: boolean; first: number; count: number };
      const answer = call === "open" ? llama("a.gguf", 0) : call === "vocabulary" ? mock.vocabulary(q.search, q.kind, q.sort, q.reverse, q.first, q.count) : null;
      return Promise.resolve(answer);
    };
    const worker = () => ({ ask, restart: () => {}, onBytesRead: () => {}, onRestart: () => {} });
    model.attach({ reader: worker() as never, runner: worker() as never }, () => Promise.reject(new Error("no address")));
    follow("#overview", () => {});
    const stops = [vocabulary.watchModel(), vocabulary.watchQuery()];
    await model.openFiles([{ name: "a.gguf", file: new Blob([]) }]);
    go({ tab: "tokenizer", part: "vocabulary" });
    await vi.waitFor(() => expect(vocabulary.tokenAt(0)?.id).toBe(0));
    expect(vocabulary.tokenAt(1000)).toBeUndefined();
    await vocabulary.needPage(5);
    expect(vocabulary.tokenAt(1000)?.id).toBe(1000);
    go({ search: "#77" }, true);
    await vi.waitFor(() => expect(vocabulary.tokenAt(0)?.id).toBe(77));
    expect(vocabulary.tokenAt(1000)).toBeUndefined();
    vocabulary.sortBy("length");
    vocabulary.sortBy("length");
    await vi.waitFor(() => expect(asked.at(-1)).toMatchObject({ search: "#77", sort: "length", reverse: true }));
    for (const stop of stops) stop();
  });
});
