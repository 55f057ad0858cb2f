import { beforeEach, describe, expect, it, vi } from "vitest";

import type { NormReport } from "../../../www/src/lib/values/norms.ts";
import * as model from "../../../www/src/state/model.ts";
import * as norms from "../../../www/src/state/norms.ts";
import * as pictures from "../../../www/src/state/pictures.ts";
import { follow } from "../../../www/src/state/route.ts";
import * as tensors from "../../../www/src/state/tensors.ts";
import { Cancelled } from "../../../www/src/wire/fault.ts";
import type { CallName, Calls } from "../../../www/src/wire/calls.ts";
import { huge, llama } from "../mock/reports.ts";

type Answer = (question: never, options: { onPiece?: (p: unknown) => void; signal?: AbortSignal }) => unknown;
let asked: { call: CallName; question: unknown }[] = [];
let answers: Partial<Record<CallName, Answer>> = {};

const worker = () => ({
  ask: (call: CallName, question: never, options: never) => {
    asked.push({ call, question });
    const answer = answers[call];
    return answer === undefined ? new Promise(() => {}) : (async () => answer(question, options ?? {}))();
  },
  restart: () => {},
  onBytesRead: (_: number) => {},
  onRestart: (_: string) => {},
});

const of = <C extends CallName>(call: C) => asked.filter((a) => a.call === call).map((a) => a.question as Calls[C]["ask"]);
const piece = (tensor: number): NormReport => ({ tensor, count: 4, odd: 0, zeros: 0, sum: 0, squares: 4, largest: 1, fault: null });
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

async function open(report = llama("a.gguf", 0)): Promise<void> {
  answers.open = () => report;
  await model.openFiles([{ name: "a.gguf", file: new Blob([]) }]);
}

let stops: (() => void)[] = [];
beforeEach(async () => {
  stops.forEach((stop) => stop());
  stops = [];
  asked = [];
  answers = {};
  const [reader, runner] = [worker(), worker()];
  model.attach({ reader: reader as never, runner: runner as never }, () => Promise.reject(new Error("no address was expected")));
  follow("#tensors?tensor=blk.0.ffn_down.weight", () => {});
  tensors.contents.value = "numbers";
  await open();
  asked = [];
});

describe("pictures of the open tensor", () => {
  it("read nothing before they are looked at", async () => {
    stops.push(pictures.watchSubject());
    await settle();
    expect(asked).toEqual([]);
  });
  it("ask for the whole plane first, and of a small tensor for its channels by themselves", async () => {
    answers.heat = () => ({});
    stops.push(pictures.watchSubject());
    pictures.room.value = { height: 140, width: 250 };
    tensors.contents.value = "heat";
    await settle();
    expect(of("heat")).toMatchObject([{ plane: { rows: 576, cols: 1536 }, window: { top: 0, left: 0, rows: 576, cols: 1536 }, budget: { reads: 1024 } }]);
    tensors.contents.value = "channels";
    await settle();
    expect(of("channels")).toMatchObject([{ rows: 576, rowLen: 1536 }]);
  });
  it("of what is in sight only the newest is asked for while one answer is on its way", async () => {
    let tell: (value: unknown) => void = () => {};
    answers.heat = () => new Promise((resolve) => { tell = resolve; });
    stops.push(pictures.watchSubject());
    tensors.contents.value = "heat";
    await settle();
    for (const rows of [300, 200, 100]) {
      pictures.sight.value = { top: 0, left: 0, rows, cols: 100 };
      void pictures.look();
    }
    await settle();
    expect(of("heat")).toHaveLength(1);
    tell({});
    await settle();
    expect(of("heat").map((h) => h.window.rows)).toEqual([576, 100]);
    tell({});
    await settle();
  });
  it("a stopped pass over all values is no failure, and can be begun again", async () => {
    answers.channels = (_, { signal }) => new Promise((_resolve, reject) => { signal?.addEventListener("abort", () => reject(new Cancelled())); });
    stops.push(pictures.watchSubject());
    tensors.contents.value = "channels";
    await settle();
    expect(pictures.channels.value.busy).toBe(true);
    pictures.stopChannels();
    await settle();
    expect(pictures.channels.value).toEqual({ busy: false, value: null, fault: null });
    void pictures.measureChannels();
    await settle();
    expect(of("channels")).toHaveLength(2);
  });
  it("a block of singular values stays inside the plane", () => {
    pictures.choice.value = { rowAxis: 0, colAxis: 1, at: [0, 0] };
    pictures.size.value = "256";
    pictures.corner.value = { row: 500, col: 1535 };
    expect(pictures.sampled.value).toEqual({ top: 320, left: 1280, rows: 256, cols: 256 });
  });
});

describe("norms of the whole model", () => {
  it("wait to be asked for where the model is large", async () => {
    stops.push(norms.watchNorms());
    await settle();
    expect(norms.state.value).toBe("idle");
    expect(asked).toEqual([]);
  });
  it("show what was measured before they were stopped, and go on with the rest alone", async () => {
    answers.norms = async (question, { onPiece, signal }) => {
      for (const { tensor } of (question as Calls["norms"]["ask"]).tensors) {
        if (signal?.aborted) break;
        onPiece?.(piece(tensor));
        if (tensor === 4) norms.stop();
        await Promise.resolve();
      }
      return null;
    };
    stops.push(norms.watchNorms());
    await norms.measure();
    expect(norms.state.value).toBe("stopped");
    expect(norms.measured.value.map((m) => m.tensor)).toEqual([0, 1, 2, 3, 4]);
    answers.norms = async (question, { onPiece }) => {
      for (const { tensor } of (question as Calls["norms"]["ask"]).tensors) onPiece?.(piece(tensor));
      return null;
    };
    await norms.measure();
    expect(of("norms")[1]?.tensors[0]).toEqual({ tensor: 5, elements: expect.any(Number) as number });
    expect(norms.state.value).toBe("done");
    expect(norms.measured.value).toHaveLength(tensors.tensors.value.length);
    expect(norms.done.value).toBe(norms.total.value);
    expect(norms.parts.value.length).toBe(9);
    expect(norms.outliers.value).toEqual([]);
  });
  it("of one model are never shown for another", async () => {
    let tell: (p: unknown) => void = () => {};
    answers.norms = (_, { onPiece }) => new Promise(() => { tell = (p) => onPiece?.(p); });
    stops.push(norms.watchNorms());
    void norms.measure();
    await settle();
    await open(huge("huge.gguf"));
    vi.spyOn(performance, "now").mockReturnValue(1e9);
    tell(piece(0));
    vi.restoreAllMocks();
    expect(norms.state.value).toBe("idle");
    expect(norms.measured.value).toEqual([]);
  });
});
