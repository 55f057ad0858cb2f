import { batch, effect, signal } from "@preact/signals";

import { FaultError } from "../wire/fault.ts";
import { chosen, conversationJson, needTemplates, replaceMessages, write } from "./chat.ts";
import { generation, report } from "./model.ts";
import { go, route } from "./route.ts";
import { busy, chunks, mode, produce, written } from "./run.ts";

/** One turn of the talk with the model. */
export interface Turn {
  key: number;
  role: "user" | "assistant";
  content: string;
  /** Why an answer ended; null for what a person said. */
  end: string | null;
}

export const turns = signal<readonly Turn[]>([]);
/** Instructions that come before the conversation; empty for nothing. */
export const system = signal("");
export const draft = signal("");
/** Key of the answer whose tokens are still at hand (`chunks` of run.ts). */
export const latestAnswer = signal<number | null>(null);
let keys = 0;

function add(role: Turn["role"], content: string, end: string | null): number {
  keys += 1;
  turns.value = [...turns.value, { key: keys, role, content, end }];
  return keys;
}

function conversation(): { role: string; content: string }[] {
  const first = system.value.trim() === "" ? [] : [{ role: "system", content: system.value }];
  return [...first, ...turns.value.map(({ role, content }) => ({ role, content }))];
}

/** Says what was typed and lets the model answer. */
export async function say(): Promise<void> {
  if (busy.value || draft.value.trim() === "") return;
  batch(() => {
    add("user", draft.value, null);
    draft.value = "";
  });
  await answer();
}

/** Lets the model answer what was said last: the template writes the whole talk, and the model goes on from there. */
export async function answer(): Promise<void> {
  const model = generation.value;
  latestAnswer.value = null;
  const text = async (): Promise<string> => {
    const messages = conversation().map((m, i) => ({ key: i, more: "", ...m }));
    const report = await write(conversationJson(messages, { tools: "", variables: "", generationPrompt: true }, Date.now()), chosen.peek());
    if (report.failure !== null) throw new FaultError(report.failure.fault);
    return report.text;
  };
  // The template writes its own BOS.
  const done = await produce(text, false);
  if (model !== generation.value) return;
  // What a device wrote before it failed is kept, too.
  const said = done?.text ?? written();
  if (done !== null || said !== "") latestAnswer.value = add("assistant", said, done?.stop ?? "failed");
}

/** Takes the last answer back and asks for another. */
export async function answerAgain(): Promise<void> {
  if (busy.value) return;
  if (turns.value.at(-1)?.role === "assistant") turns.value = turns.value.slice(0, -1);
  if (turns.value.at(-1)?.role === "user") await answer();
}

export function forget(): void {
  batch(() => {
    turns.value = [];
    latestAnswer.value = null;
    chunks.value = [];
  });
}

/** Shows the talk where its text can be looked at. */
export function showText(): void {
  replaceMessages(conversation());
  go({ tab: "tokenizer", part: "chat" });
}

export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    batch(() => {
      turns.value = [];
      latestAnswer.value = null;
      draft.value = "";
    });
  });
}

/** Asks for the templates when the page is about to talk. */
export function watchMode(): () => void {
  return effect(() => {
    void generation.value;
    if (route.value.tab === "run" && mode.value === "chat" && report.value !== null) void needTemplates();
  });
}
