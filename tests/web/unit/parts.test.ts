import { expect, it } from "vitest";

import { partAt, partsOf, pieces, trail } from "../../../www/src/lib/parts.ts";
import { tiles } from "../../../www/src/lib/tiles.ts";

const tensor = (name: string, bytes: number, encoding = "Q4_K") => ({ name, bytes, encoding });
const MODEL = [
  tensor("token_embd.weight", 500, "Q6_K"),
  ...[0, 1].flatMap((i) => [tensor(`blk.${i}.attn_q.weight`, 100), tensor(`blk.${i}.attn_k.weight`, 50), tensor(`blk.${i}.ffn_up.weight`, 200), tensor(`blk.${i}.attn_norm.weight`, 1, "F32")]),
];

it("takes names apart into layers, attention and tensors", () => {
  expect(pieces("blk.3.attn_q.weight")).toEqual(["blk", "3", "attn", "attn_q.weight"]);
  expect(pieces("model.layers.0.self_attn.q_proj.weight")).toEqual(["model", "layers", "0", "self_attn", "q_proj.weight"]);
  expect(pieces("x")).toEqual(["x"]);
  expect(pieces("")).toEqual([]);
});

it("adds bytes up by part, the largest first, with the encoding that most of it is in", () => {
  const root = partsOf(MODEL);
  expect([root.bytes, root.tensors]).toEqual([1202, 9]);
  expect(root.parts.map((p) => [p.label, p.bytes, p.encoding])).toEqual([["blk", 702, "Q4_K"], ["token_embd.weight", 500, "Q6_K"]]);
  expect(partAt(root, "blk.1.attn").parts.map((p) => p.label)).toEqual(["attn_q.weight", "attn_k.weight", "attn_norm.weight"]);
  expect(trail(root, "blk.1.attn").map((p) => p.label)).toEqual(["", "blk", "1", "attn"]);
  expect(partAt(root, "nothing.of.this")).toBe(root);
});

it("draws every part with its share of the area, none over another of its depth", () => {
  const root = partsOf(MODEL);
  const drawn = tiles(root, 800, 300);
  const first = drawn.filter((t) => t.depth === 1);
  const area = first.reduce((sum, t) => sum + t.width * t.height, 0);
  for (const t of first) expect((t.width * t.height) / area).toBeCloseTo(t.bytes / root.bytes, 1);
  for (const a of first) for (const b of first) if (a !== b) expect(a.x + a.width <= b.x + 0.01 || b.x + b.width <= a.x + 0.01 || a.y + a.height <= b.y + 0.01 || b.y + b.height <= a.y + 0.01).toBe(true);
  expect(drawn.some((t) => t.depth === 4)).toBe(true);
});

it("draws a bounded number of tiles for a hundred thousand tensors, and loses no byte", () => {
  const many = Array.from({ length: 100_000 }, (_, i) => tensor(`w${i}`, 1 + (i % 7)));
  const root = partsOf(many);
  const drawn = tiles(root, 1000, 340);
  expect(drawn.length).toBeLessThan(4001);
  expect(drawn.filter((t) => t.depth === 1).reduce((sum, t) => sum + t.bytes, 0)).toBe(root.bytes);
  expect(root.parts).toHaveLength(316);
  expect(root.parts.map((p) => p.label)).toContain("w317 … w633");
  expect(trail(root, root.parts[3]?.path ?? "")).toHaveLength(2);
  expect(tiles(partsOf([]), 1000, 340)).toEqual([]);
});
