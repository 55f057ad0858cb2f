import { beforeEach, describe, expect, it, vi } from "vitest";

import * as model from "../../../www/src/state/model.ts";
import type { Opener } from "../../../www/src/state/engine.ts";
import { arrive, follow, go, route } from "../../../www/src/state/route.ts";
import * as run from "../../../www/src/state/run.ts";
import * as tensors from "../../../www/src/state/tensors.ts";
import * as tokens from "../../../www/src/state/tokens.ts";
import { buildTree, flatten, parts } from "../../../www/src/state/tree.ts";
import type { CallName } from "../../../www/src/wire/calls.ts";
import { Cancelled, FaultError } from "../../../www/src/wire/fault.ts";
import type { ModelReport } from "../../../www/src/wire/report.ts";
import { type FetcherPort, RemoteFile } from "../../../www/src/wire/remote.ts";
import { huge, llama, onnx } from "../mock/reports.ts";

type Answer = (question: never, options?: { onPiece?: (p: never) => void; signal?: AbortSignal }) => unknown;
/** What was asked, and the answers to give. */
let asked: CallName[] = [];
let answers: Partial<Record<CallName, Answer>> = {};
let opener: Opener = () => Promise.reject(new Error("no address was expected"));

/** A runner that is told of a model takes it. */
const ALWAYS: Partial<Record<CallName, Answer>> = { openRunner: () => null, closeRunner: () => null };
const worker = () => ({
  ask: (call: CallName, question: never, options?: never) => {
    asked.push(call);
    const answer = answers[call] ?? ALWAYS[call];
    return answer === undefined ? new Promise(() => {}) : (async () => answer(question, options))();
  },
  restart: () => {},
  onBytesRead: (_: number) => {},
  onRestart: (_: string) => {},
});
const asker = worker();
const runner = worker();

const FILE = [{ name: "a.gguf", file: new Blob([]) }];

async function open(report: ModelReport): Promise<void> {
  answers = { ...answers, open: () => report };
  await model.openFiles(FILE);
}

beforeEach(() => {
  asked = [];
  answers = {};
  model.attach({ reader: asker as never, runner: runner as never }, (...of) => opener(...of));
  follow("#overview", () => {});
  tensors.mode.value = "table";
  tensors.sort.value = { key: "name", descending: false };
});

describe("opening", () => {
  it("shows the model, its counter and its status", async () => {
    await open(llama("a.gguf", 0));
    expect(model.title.value).toBe("a.gguf");
    expect(model.bytesRead.value).toBe(1_811_584);
    expect(model.status.value).toEqual({ kind: "ok", text: "complete" });
    expect(model.opening.value).toBeNull();
  });
  it("that fails keeps what was open and says why", async () => {
    await open(llama("a.gguf", 0));
    answers = { open: () => { throw new FaultError({ blame: "file", what: "torn", file: null, at: 4, because: [] }); } };
    await model.openFiles(FILE);
    expect(model.openFault.value?.what).toBe("torn");
    expect(model.title.value).toBe("a.gguf");
  });
  it("again after the worker was lost happens by itself, once", async () => {
    await open(llama("a.gguf", 0));
    asker.onRestart("unreachable");
    expect(model.lost.value).toBe("unreachable");
    answers = { ...answers, array: () => [1] };
    asked = [];
    await model.askModel("array", { key: "k", start: 0, count: 1 });
    await model.askModel("array", { key: "k", start: 1, count: 1 });
    expect(asked).toEqual(["open", "array", "array"]);
  });
  it("tells the runner of the model when it is first needed, once for all who ask", async () => {
    await open(llama("a.gguf", 0));
    answers = { ...answers, openRunner: () => null, tokenize: () => ({}), closeRunner: () => null };
    asked = [];
    const ask = () => model.askModel("tokenize", { text: "", addSpecial: true, parseSpecial: false });
    await Promise.all([ask(), ask()]);
    expect(asked).toEqual(["openRunner", "tokenize", "tokenize"]);
    asked = [];
    await open(llama("b.gguf", 0));
    await ask();
    expect(asked, "the next model takes the place of the last one").toEqual(["open", "closeRunner", "openRunner", "tokenize"]);
  });
  it("asks the runner again after it could not open the model", async () => {
    await open(llama("a.gguf", 0));
    const ask = () => model.askModel("tokenize", { text: "", addSpecial: true, parseSpecial: false });
    answers = { ...answers, openRunner: () => { throw new FaultError({ blame: "source", what: "gone", file: null, at: null, because: [] }); }, tokenize: () => ({}) };
    await expect(ask()).rejects.toThrow("gone");
    answers = { ...answers, openRunner: () => null };
    await expect(ask()).resolves.toEqual({});
  });
  it("loses with the runner what the runner had, and nothing else", async () => {
    await open(llama("a.gguf", 0));
    answers = { ...answers, openRunner: () => null, tokenize: () => ({}), array: () => [1] };
    await model.askModel("tokenize", { text: "", addSpecial: true, parseSpecial: false });
    const before = model.losses.value;
    runner.onRestart("out of memory");
    expect(model.losses.value).toBe(before + 1);
    expect(model.lost.value).toBe("out of memory");
    asked = [];
    await model.askModel("array", { key: "k", start: 0, count: 1 });
    await model.askModel("tokenize", { text: "", addSpecial: true, parseSpecial: false });
    expect(asked).toEqual(["array", "openRunner", "tokenize"]);
  });
  it("adds up what both workers read", async () => {
    await open(llama("a.gguf", 0));
    runner.onBytesRead(500);
    expect(model.bytesRead.value).toBe(1_812_084);
  });
  it("names missing files in the status, where no tensor of theirs is known", async () => {
    await open({ ...llama("a-00001-of-00003.gguf", 0), missing: ["a-00002-of-00003.gguf", "a-00003-of-00003.gguf"] });
    expect(model.status.value).toEqual({ kind: "bad", text: "2 files missing" });
  });
  it("counts missing tensors in the status", async () => {
    const report = llama("a.gguf", 0);
    report.tensors = report.tensors.map((t, i) => (i < 3 ? { ...t, place: "missing" } : t));
    await open(report);
    expect(model.status.value).toEqual({ kind: "bad", text: "3 tensors missing" });
  });
});

describe("an opening that is cancelled", () => {
  const SECOND = [{ name: "b.gguf", file: new Blob([]) }, { name: "b.json", file: new Blob([]) }];

  it("is named, until something else is opened or the notice is dismissed", async () => {
    await open(llama("a.gguf", 0));
    expect(model.cancelled.value).toBeNull();
    answers = { open: () => new Promise(() => {}) };
    void model.openFiles(SECOND);
    expect(model.opening.value).toMatchObject({ name: "b.gguf and 1 more" });
    model.cancelOpen();
    expect([model.cancelled.value, model.opening.value, model.title.value]).toEqual(["b.gguf and 1 more", null, "a.gguf"]);
    model.dismissCancelled();
    expect(model.cancelled.value).toBeNull();
    void model.openSample();
    model.cancelOpen();
    expect(model.cancelled.value).toBe("the sample");
    await open(llama("c.gguf", 0));
    expect(model.cancelled.value).toBeNull();
  });
  it("for another choice of files needs no notice", async () => {
    answers = { open: () => new Promise(() => {}) };
    void model.openFiles(SECOND);
    await open(llama("c.gguf", 0));
    expect([model.cancelled.value, model.title.value]).toEqual([null, "c.gguf"]);
  });
  it("takes no answer from the open model: what was asked about it is asked again", async () => {
    await open(llama("a.gguf", 0));
    let end: (error: Error) => void = () => {};
    answers = { open: () => new Promise(() => {}), array: () => new Promise((_, reject) => { end = reject; }) };
    const question = model.askModel("array", { key: "k", start: 0, count: 1 });
    await vi.waitFor(() => expect(asked).toContain("array"));
    void model.openFiles(SECOND);
    await vi.waitFor(() => expect(asked).toEqual(["open", "array", "open"]));
    model.cancelOpen();
    answers = { open: () => llama("a.gguf", 0), array: () => [7] };
    end(new Cancelled());
    await expect(question).resolves.toEqual([7]);
    expect(asked).toEqual(["open", "array", "open", "open", "array"]);
  });
  it("leaves alone what the person cancelled", async () => {
    await open(llama("a.gguf", 0));
    answers = { array: () => { throw new Cancelled(); } };
    await expect(model.askModel("array", { key: "k", start: 0, count: 1 })).rejects.toBeInstanceOf(Cancelled);
  });
});

/** A fetcher whose answers the test gives. */
class FakeFetcher implements FetcherPort {
  sent: string[] = [];
  ended = false;
  onmessage: FetcherPort["onmessage"] = null;
  onerror: FetcherPort["onerror"] = null;
  postMessage(message: { kind: string }): void { this.sent.push(message.kind); }
  terminate(): void { this.ended = true; }
  tell(data: unknown): void { this.onmessage?.({ data } as MessageEvent<never>); }
}

describe("a file at an address", () => {
  const address = { url: "https://host.example/m.gguf", host: "host.example", name: "m.gguf", changed: null };
  let fetchers: FakeFetcher[] = [];
  const last = () => fetchers.at(-1) as FakeFetcher;
  beforeEach(() => {
    fetchers = [];
    opener = (url, onFetched, signal) => RemoteFile.open(() => { fetchers.push(new FakeFetcher()); return last(); }, url, onFetched, signal);
  });
  async function openRemotely(): Promise<void> {
    answers = { ...answers, open: () => llama("m.gguf", 0) };
    const opening = model.openAddress(address);
    last().tell({ kind: "opened", size: 1e9, hosts: ["host.example"], fetched: 4096 });
    await opening;
  }

  it("reaches the engine as a length and a port, and is counted by what arrived", async () => {
    let sent: unknown;
    answers = { open: (question: never) => { sent = question; return llama("m.gguf", 0); } };
    const opening = model.openAddress(address);
    expect(model.opening.value?.what).toBe("Asking host.example");
    last().tell({ kind: "fetched", fetched: 1000 });
    expect(model.opening.value).toMatchObject({ what: "Fetching from host.example", done: 1000 });
    last().tell({ kind: "opened", size: 1e9, hosts: ["host.example"], fetched: 4096 });
    await opening;
    expect(sent).toMatchObject({ files: [{ name: "m.gguf", file: { size: 1e9, port: expect.anything() } }] });
    expect(model.origin.value).toEqual({ url: address.url, hosts: ["host.example"] });
    expect(model.bytesRead.value).toBe(4096);
    asker.onBytesRead(9);
    last().tell({ kind: "fetched", fetched: 5000 });
    expect(model.bytesRead.value).toBe(5000);
  });
  it("is connected anew after the engine was lost, and let go when another file opens", async () => {
    await openRemotely();
    asker.onRestart("unreachable");
    answers = { ...answers, array: () => [1] };
    await model.askModel("array", { key: "k", start: 0, count: 1 });
    expect(last().sent).toEqual(["open", "serve", "serve"]);
    await open(llama("a.gguf", 0));
    expect(last().ended).toBe(true);
    expect(model.origin.value).toBeNull();
  });
  it("that fails or is given up leaves no fetcher behind, and keeps what was open", async () => {
    await open(llama("a.gguf", 0));
    const failing = model.openAddress(address);
    last().tell({ kind: "fault", fault: { blame: "network", what: "answered 404", file: null, at: null, because: [] } });
    await failing;
    expect(model.openFault.value?.what).toBe("answered 404");
    expect(last().ended).toBe(true);
    const waiting = model.openAddress(address);
    model.cancelOpen();
    await waiting;
    expect([last().ended, model.openFault.value, model.title.value]).toEqual([true, null, "a.gguf"]);
    answers = { open: () => { throw new FaultError({ blame: "file", what: "torn", file: null, at: 4, because: [] }); } };
    const torn = model.openAddress(address);
    last().tell({ kind: "opened", size: 5, hosts: ["host.example"], fetched: 5 });
    await torn;
    expect([last().ended, fetchers.length]).toEqual([true, 3]);
  });
});

describe("the route", () => {
  it("pushes steps, replaces while typing, and drops the search with its tab", () => {
    const written: [string, boolean][] = [];
    follow("#overview", (hash, replace) => written.push([hash, replace]));
    go({ tab: "tensors" });
    go({ search: "attn" }, true);
    go({ tab: "metadata" });
    expect(written).toEqual([["#tensors", false], ["#tensors?q=attn", true], ["#metadata", false]]);
    arrive("#tensors?q=attn");
    expect(route.value.search).toBe("attn");
    expect(written).toHaveLength(3);
  });
});

describe("the tensor list", () => {
  beforeEach(async () => {
    await open(llama("a.gguf", 0));
    go({ tab: "tensors" });
  });
  const names = () => tensors.found.value.map((i) => tensors.tensors.value[i]?.name);

  it("sorts numbers in names as people count", () => {
    go({ search: "ffn_down" });
    expect(names().slice(0, 12).map((n) => n?.split(".")[1])).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]);
  });
  it("finds by name and encoding and shape, all terms at once", () => {
    go({ search: "ffn Q6 576x1536" });
    expect(names()).toHaveLength(30);
    go({ search: "ffn q6 1536 × 576" });
    expect(names()).toHaveLength(0);
    go({ search: "attn_v q8_0 192,576" });
    expect(names()).toHaveLength(30);
  });
  it("sorts by size, largest first, then turned round", () => {
    tensors.sortBy("bytes");
    expect(names()[0]).toBe("token_embd.weight");
    tensors.sortBy("bytes");
    expect(names().at(-1)).toBe("token_embd.weight");
  });
  it("as a tree rolls sizes up and opens the way to the chosen tensor", () => {
    tensors.mode.value = "tree";
    const group = (key: string) => tensors.rows.value.find((r) => r.kind === "group" && r.key === key);
    expect(group("blk.")).toMatchObject({ open: true, tensors: 270 });
    expect(group("blk.7.")).toMatchObject({ open: false, tensors: 9, bytes: 2304 * 2 + 228096 * 2 + 76032 + 117504 + 497664 * 2 + 725760 });
    go({ tensor: "blk.7.attn_q.weight" });
    expect(group("blk.7.")).toMatchObject({ open: true });
    tensors.toggle("blk.7.", false);
    expect(group("blk.7.")).toMatchObject({ open: false });
  });
  it("of 100,000 tensors is searched whole", async () => {
    await open(huge("huge.gguf"));
    expect(tensors.found.value).toHaveLength(100_001);
    go({ search: "blk.77 ffn q4" });
    // Layers 77, 770 to 779 and 7700 to 7799, each with a gate and an up projection.
    expect(tensors.found.value).toHaveLength(222);
  });
});

describe("names as a tree", () => {
  const tensor = (name: string) => ({ name, shape: [1], encoding: "F32", offset: 0, bytes: 4, file: null, place: "here" });
  const labels = (list: string[]) => flatten(buildTree(list.map(tensor), list.map((_, i) => i)), () => true, false).map((r) => `${" ".repeat(r.level)}${r.label}`);

  it("split after dots and slashes and lose nothing", () => {
    for (const name of ["blk.0.attn_q.weight", "/model/layers.0/attn", "..", "a", "", "onnx::MatMul_1"]) expect(parts(name).join("")).toBe(name);
  });
  it("merge a chain with a single member", () => {
    expect(labels(["model.layers.0.a", "model.layers.0.b"])).toEqual(["model.layers.0", " a", " b"]);
    expect(labels(["token_embd.weight", "output.weight"])).toEqual(["token_embd.weight", "output.weight"]);
  });
  it("of hostile depth stay shallow", () => {
    expect(parts("a.".repeat(10_000)).length).toBeLessThanOrEqual(24);
  });
});

describe("tokenizing", () => {
  it("asks for the last text only while one question is out", async () => {
    await open(llama("a.gguf", 0));
    const seen: string[] = [];
    answers = {
      tokenize: async ({ text }: { text: string }) => {
        seen.push(text);
        if (seen.length === 1) for (const next of ["b", "c"]) { tokens.text.value = next; void tokens.tokenize(); }
        return { tokenizer: "t", count: 1, ids: [1], pieces: [{ id: 1, text, start: 0, end: 1, kind: "normal", hex: "", added: false, part_of: "" }], characters: 1, graphemes: 1, bytes: 1, specials: 0, roundtrips: true, notes: [] };
      },
    };
    tokens.text.value = "a";
    await tokens.tokenize();
    expect(seen).toEqual(["a", "c"]);
    expect(tokens.tokens.value.value?.text).toBe("c");
  });
  it("links a piece to its characters and a selection to its pieces", async () => {
    await open(llama("a.gguf", 0));
    const pieces = [[0, 3], [3, 4], [4, 8]].map(([start, end], i) => ({ id: i, text: "", start, end, kind: "normal", hex: "", added: false, part_of: "" }));
    answers = { tokenize: () => ({ tokenizer: "t", count: 3, ids: [], pieces, characters: 3, graphemes: 3, bytes: 8, specials: 0, roundtrips: true, notes: [] }) };
    tokens.text.value = "日a🚀";
    await tokens.tokenize();
    tokens.pointed.value = 2;
    expect(tokens.marked.value).toEqual([2, 4]);
    tokens.selection.value = [0, 2];
    const stop = tokens.watchSelection();
    expect(tokens.touched.value).toEqual([0, 2]);
    tokens.selection.value = [1, 1];
    await vi.waitFor(() => expect(tokens.touched.value).toEqual([1, 2]));
    stop();
  });
});

describe("running", () => {
  const device = { index: null, name: "CPU", backend: "CPU", driver: "", tier: null, detail: "", software: false, limits: [], reason: "" };
  const finished = (ids: number[]) => ({ prompt_ids: [1], ids, text: "", stop: "limit", device, notes: [], timing: { load_s: 0, prefill_tokens: 1, prefill_s: 1, decode_tokens: 1, decode_s: 1, dispatches_per_token: 0, memory: 0 } });
  const token = (id: number) => ({ id, text: "x", probability: null, alternatives: [] });

  it("loads once, streams every token in order, and loads again for another device", async () => {
    const stopWatching = run.watchModel();
    await open(llama("a.gguf", 0));
    answers = {
      load: () => device,
      generate: (_q, options) => {
        for (let i = 0; i < 150; i++) options?.onPiece?.(token(i) as never);
        return finished(Array.from({ length: 150 }, (_, i) => i));
      },
    };
    asked = [];
    await run.run();
    expect(run.produced.value).toBe(150);
    expect(Array.from({ length: 150 }, (_, i) => run.piece(i)?.id)).toEqual(Array.from({ length: 150 }, (_, i) => i));
    expect(run.phase.value).toBe("idle");
    await run.run();
    run.device.value = "cpu";
    await run.run();
    expect(asked).toEqual(["openRunner", "load", "generate", "generate", "load", "generate"]);
    run.device.value = "auto";
    stopWatching();
  });
  it("stops by a signal and keeps what was written", async () => {
    const stopWatching = run.watchModel();
    await open(llama("a.gguf", 0));
    answers = {
      load: () => device,
      generate: (_q, options) => {
        options?.onPiece?.(token(0) as never);
        run.stop();
        expect(options?.signal?.aborted).toBe(true);
        return { ...finished([0]), stop: "stopped" };
      },
    };
    await run.run();
    expect(run.produced.value).toBe(1);
    expect(run.finished.value?.stop).toBe("stopped");
    stopWatching();
  });
  it("that is stopped while another file is being opened ends alone: the file opens", async () => {
    const stopWatching = run.watchModel();
    await open(llama("a.gguf", 0));
    const restarted: string[] = [];
    asker.restart = () => { restarted.push("reader"); };
    runner.restart = () => { restarted.push("runner"); };
    let give: (report: ModelReport) => void = () => {};
    answers = { open: () => new Promise<ModelReport>((resolve) => { give = resolve; }) };
    void run.run();
    await Promise.resolve();
    const opening = model.openFiles([{ name: "b.gguf", file: new Blob([]) }]);
    await Promise.resolve();
    run.stop();
    expect(restarted).toEqual(["runner"]);
    expect(model.opening.value?.what).toBe("Reading the header");
    give(llama("b.gguf", 0));
    await opening;
    expect(model.title.value).toBe("b.gguf");
    asker.restart = runner.restart = () => {};
    stopWatching();
  });
  it("shows a failure and is ready again", async () => {
    const stopWatching = run.watchModel();
    await open(llama("a.gguf", 0));
    answers = { load: () => { throw new FaultError({ blame: "device", what: "lost", file: null, at: null, because: [] }); } };
    await run.run();
    expect(run.runFault.value?.what).toBe("lost");
    expect(run.busy.value).toBe(false);
    stopWatching();
  });
});

it("a file without tensors or tokenizer is a whole file too", async () => {
  await open({ ...onnx("m.onnx", 0), tensors: [], notes: [] });
  expect(model.status.value.kind).toBe("ok");
});
