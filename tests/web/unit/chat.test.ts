import { beforeEach, describe, expect, it, vi } from "vitest";

import * as chat from "../../../www/src/state/chat.ts";
import * as model from "../../../www/src/state/model.ts";
import { follow, go } from "../../../www/src/state/route.ts";
import * as run from "../../../www/src/state/run.ts";
import * as talk from "../../../www/src/state/talk.ts";
import { folded } from "../../../www/src/lib/fold.ts";
import { stretches } from "../../../www/src/lib/stretches.ts";
import type { CallName } from "../../../www/src/wire/calls.ts";
import { templates } from "../mock/chat.ts";
import { llama } from "../mock/reports.ts";

type Answer = (question: never, options?: { onPiece?: (p: never) => void; signal?: AbortSignal }) => unknown;
let asked: { call: CallName; question: unknown }[] = [];
let answers: Partial<Record<CallName, Answer>> = {};
const restarts: (string | null)[] = [];

const worker = () => ({
  ask: (call: CallName, question: never, options?: never) => {
    asked.push({ call, question });
    const answer = answers[call];
    return answer === undefined ? new Promise(() => {}) : (async () => answer(question, options))();
  },
  restart: (why: string | null) => { restarts.push(why); },
  onBytesRead: (_: number) => {},
  onRestart: (_: string) => {},
});

const WRITTEN = { template: "default", from: "", templates: [], text: "written", ids: [1], pieces: null, failure: null, notes: [] };
const device = { index: null, name: "CPU", backend: "CPU", driver: "", tier: null, detail: "", software: false, limits: [], reason: "" };
const finished = (text: string, stop = "end token") => ({ prompt_ids: [1], ids: [2], text, stop, device, notes: [], timing: { load_s: 0, prefill_tokens: 1, prefill_s: 1, decode_tokens: 1, decode_s: 1, dispatches_per_token: 0, memory: 0 } });
const calls = () => asked.map((a) => a.call);

async function open(name = "a.gguf"): Promise<void> {
  answers = { open: () => llama(name, 0), openRunner: () => null, closeRunner: () => null, templates: () => templates(name), chat: () => WRITTEN, load: () => device, ...answers };
  await model.openFiles([{ name, file: new Blob([]) }]);
}

beforeEach(() => {
  asked = [];
  answers = {};
  restarts.length = 0;
  model.attach({ reader: worker() as never, runner: worker() as never }, () => Promise.reject(new Error("no address was expected")));
  follow("#overview", () => {});
  chat.replaceMessages([{ role: "user", content: "Hi" }]);
  chat.tools.value = "";
  chat.variables.value = "";
});

describe("the conversation", () => {
  it("keeps its order while messages are moved, added and taken away", () => {
    chat.replaceMessages([{ role: "system", content: "a" }, { role: "user", content: "b" }]);
    chat.addMessage();
    const order = () => chat.messages.value.map((m) => m.role);
    expect(order()).toEqual(["system", "user", "assistant"]);
    const keys = chat.messages.value.map((m) => m.key);
    chat.moveMessage(keys[2] ?? 0, -1);
    expect(order()).toEqual(["system", "assistant", "user"]);
    chat.moveMessage(keys[0] ?? 0, -1);
    chat.moveMessage(keys[1] ?? 0, 1);
    expect(order()).toEqual(["system", "assistant", "user"]);
    chat.removeMessage(keys[0] ?? 0);
    expect(order()).toEqual(["assistant", "user"]);
  });
  it("goes to the engine as it was typed: the order of keys and the form of numbers are the writer's", () => {
    const message = { key: 1, role: "assistant", content: "\"x\"\n", more: '{ "z": 1.0, "a": [2] }' };
    const json = chat.conversationJson([message], { tools: '[{"b": 1.50, "a": 2}]', variables: "", generationPrompt: false }, 5_999);
    expect(json).toBe('{"messages":[{"role":"assistant","content":"\\"x\\"\\n","z": 1.0, "a": [2]}],"tools":[{"b": 1.50, "a": 2}],"variables":{},"add_generation_prompt":false,"now":5}');
  });
  it("takes content of another form from the further fields", () => {
    const json = chat.conversationJson([{ key: 1, role: "user", content: "", more: '{"content": [{"type": "image"}]}' }], { tools: "", variables: "", generationPrompt: true }, 0);
    expect(JSON.parse(json)).toMatchObject({ messages: [{ role: "user", content: [{ type: "image" }] }], tools: null });
  });
  it("with a field that is no JSON is not written, and the field is named", async () => {
    const stop = chat.watchConversation();
    await open();
    go({ tab: "tokenizer", part: "chat" });
    await vi.waitFor(() => expect(chat.rendered.value.value?.text).toBe("written"));
    asked = [];
    chat.tools.value = "[{";
    expect(chat.faults.value.tools).toMatch(/^Not JSON/);
    chat.tools.value = "{}";
    expect(chat.faults.value.tools).toMatch(/list/);
    expect(calls()).toEqual([]);
    chat.tools.value = "[]";
    await vi.waitFor(() => expect(calls()).toEqual(["chat"]));
    stop();
  });
  it("is written anew by each change, and asks for the templates once", async () => {
    const stops = [chat.watchModel(), chat.watchConversation()];
    await open();
    go({ tab: "tokenizer", part: "chat" });
    await vi.waitFor(() => expect(calls().filter((c) => c !== "closeRunner")).toEqual(["open", "openRunner", "templates", "chat"]));
    chat.generationPrompt.value = false;
    await vi.waitFor(() => expect(calls().filter((c) => c === "chat").length).toBe(2));
    chat.generationPrompt.value = true;
    chat.against.value = { name: "tool_use" };
    await vi.waitFor(() => expect(asked.find((a) => a.call === "compareTemplates")?.question).toMatchObject({ left: "default", right: "tool_use", files: [] }));
    expect(calls().filter((c) => c === "templates").length).toBe(1);
    for (const stop of stops) stop();
  });
  it("that does not end is given up with its worker, and said so", async () => {
    const stops = [chat.watchModel()];
    await open();
    await chat.needTemplates();
    vi.useFakeTimers();
    try {
      answers = { ...answers, chat: () => new Promise(() => {}) };
      const hung = expect(chat.write("{}", null)).rejects.toThrow("took more than 20 seconds");
      await vi.advanceTimersByTimeAsync(20_001);
      await hung;
    } finally {
      vi.useRealTimers();
    }
    expect(restarts).toEqual([null]);
    // The next worker reads templates and tokenizer again before its time counts.
    answers = { ...answers, chat: () => WRITTEN };
    asked = [];
    await chat.write("{}", null);
    expect(calls()).toEqual(["openRunner", "templates", "chat"]);
    for (const stop of stops) stop();
  });
});

describe("a talk", () => {
  it("grows by what was said and by the model's answers, each written by the template", async () => {
    const stops = [run.watchModel(), talk.watchModel()];
    await open();
    expect(run.mode.value).toBe("chat");
    answers = { ...answers, generate: (_q, options) => { options?.onPiece?.({ id: 2, text: "Hello", probability: null, alternatives: [] } as never); return finished("Hello"); } };
    talk.draft.value = "Hi";
    await talk.say();
    talk.draft.value = "And?";
    await talk.say();
    expect(talk.turns.value.map((t) => [t.role, t.content])).toEqual([["user", "Hi"], ["assistant", "Hello"], ["user", "And?"], ["assistant", "Hello"]]);
    const last = asked.filter((a) => a.call === "chat").at(-1)?.question as { conversation: string };
    expect((JSON.parse(last.conversation) as { messages: unknown[] }).messages).toEqual([{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }, { role: "user", content: "And?" }]);
    expect(asked.find((a) => a.call === "generate")?.question).toMatchObject({ prompt: "written", add_special: false });
    await talk.answerAgain();
    expect(talk.turns.value.length).toBe(4);
    talk.forget();
    expect(talk.turns.value).toEqual([]);
    for (const stop of stops) stop();
  });
  it("keeps what a stopped answer had said", async () => {
    const stops = [run.watchModel(), talk.watchModel()];
    await open();
    answers = { ...answers, generate: (_q, options) => { run.stop(); expect(options?.signal?.aborted).toBe(true); return finished("Hel", "stopped"); } };
    talk.draft.value = "Hi";
    await talk.say();
    expect(talk.turns.value.at(-1)).toMatchObject({ role: "assistant", content: "Hel", end: "stopped" });
    for (const stop of stops) stop();
  });
  it("whose template fails says why and adds no answer", async () => {
    const stops = [run.watchModel(), talk.watchModel()];
    await open();
    answers = { ...answers, chat: () => ({ ...WRITTEN, text: "", failure: { line: 2, fault: { blame: "file", what: "line 2: no", file: null, at: null, because: [] } } }) };
    talk.draft.value = "Hi";
    await talk.say();
    expect(run.runFault.value?.what).toBe("line 2: no");
    expect(talk.turns.value.map((t) => t.role)).toEqual(["user"]);
    expect(calls()).not.toContain("generate");
    for (const stop of stops) stop();
  });
});

describe("a text with special tokens", () => {
  const token = (start: number, end: number, kind = "control") => ({ id: 7, start, end, kind });
  it("is cut at them and loses nothing", () => {
    const text = "é<s>日</s>";
    const cut = stretches(text, [token(0, 2, "normal"), token(2, 5), token(5, 8, "normal"), token(8, 12)]);
    expect(cut.map((c) => [c.text, c.special?.id ?? null])).toEqual([["é", null], ["<s>", 7], ["日", null], ["</s>", 7]]);
    expect(stretches("", [])).toEqual([]);
    expect(stretches("a", null)).toEqual([{ text: "a", special: null }]);
  });
  it("whose tokens have impossible places stays whole", () => {
    expect(stretches("abc", [token(2, 900), token(1, 1)]).map((c) => c.text).join("")).toBe("abc");
  });
});

describe("lines of a difference", () => {
  const line = (change: string) => ({ change });
  it("keep three equal ones around a change, and fold the rest", () => {
    const lines = [...Array.from({ length: 10 }, () => line("same")), line("added"), ...Array.from({ length: 5 }, () => line("same"))];
    const rows = folded(lines);
    expect(rows[0]).toEqual({ equal: 7, from: 0 });
    expect(rows.at(-1)).toEqual({ equal: 2, from: 14 });
    expect(rows.length).toBe(1 + 3 + 1 + 3 + 1);
  });
  it("without a change are folded into one", () => {
    expect(folded([line("same"), line("same")])).toEqual([{ equal: 2, from: 0 }]);
  });
});
