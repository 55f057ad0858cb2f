import { batch, computed, effect, signal } from "@preact/signals";

import type { SentFile } from "../wire/calls.ts";
import type { ChatReport, TemplateDiffReport, TemplateReport, TemplatesReport } from "../wire/report.ts";
import { latest } from "./latest.ts";
import { askModel, askWithin, generation, losses, report } from "./model.ts";
import { fill, reset, resource } from "./resource.ts";
import { route } from "./route.ts";

/** Seconds that a template may run; its steps are bounded, its copies of lists are not. */
const PATIENCE = 20;

/** One message of the conversation, as it is edited. */
export interface Message {
  key: number;
  role: string;
  content: string;
  /** More fields as a JSON object, such as tool_calls; empty for none. */
  more: string;
}

export const ROLES = ["system", "user", "assistant", "tool"] as const;
let keys = 0;

function message(role: string, content: string, more = ""): Message {
  keys += 1;
  return { key: keys, role, content, more };
}

/** The conversation stays when another model is opened: so one may compare what each makes of it. */
export const messages = signal<readonly Message[]>([
  message("system", "You are a helpful assistant."),
  message("user", "What is the capital of France?"),
]);
export const tools = signal("");
export const variables = signal("");
export const generationPrompt = signal(true);

/** The open model's templates; asked for when they are first needed. */
export const templates = resource<TemplatesReport>();
/** Name of the chosen template; null for the default. */
export const chosen = signal<string | null>(null);
export const rendered = resource<ChatReport>();
/** What the chosen template is compared with: another one here, or those of other files. */
export const against = signal<{ name: string } | { files: SentFile[] } | null>(null);
export const difference = resource<TemplateDiffReport>();
/** The template's line that was asked for; counts up so that asking twice shows it twice. */
export const shownLine = signal<{ line: number; asked: number } | null>(null);

export const template = computed<TemplateReport | null>(() => {
  const all = templates.value.value?.templates ?? [];
  return all.find((t) => t.name === chosen.value) ?? all[0] ?? null;
});

/** What is wrong with a field of JSON; null for nothing. */
export function jsonFault(text: string, wanted: "list" | "object"): string | null {
  if (text.trim() === "") return null;
  try {
    const value: unknown = JSON.parse(text);
    const fits = wanted === "list" ? Array.isArray(value) : typeof value === "object" && value !== null && !Array.isArray(value);
    return fits ? null : wanted === "list" ? "A JSON list is needed: [ … ]" : "A JSON object is needed: { … }";
  } catch (error) {
    return `Not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

export const faults = computed(() => ({
  tools: jsonFault(tools.value, "list"),
  variables: jsonFault(variables.value, "object"),
  messages: new Map(messages.value.map((m) => [m.key, jsonFault(m.more, "object")])),
}));
/** Whether every field of JSON can be read. */
export const valid = computed(() => {
  const f = faults.value;
  return f.tools === null && f.variables === null && [...f.messages.values()].every((m) => m === null);
});

/** Texts of JSON go as they were typed: templates write keys in their order, and 1.0 is not 1. */
function messageJson({ role, content, more }: Message): string {
  const extra = more.trim() === "" ? {} : (JSON.parse(more) as Record<string, unknown>);
  const fields: string[] = [];
  if (!("role" in extra)) fields.push(`"role":${JSON.stringify(role)}`);
  if (!("content" in extra)) fields.push(`"content":${JSON.stringify(content)}`);
  const inner = more.trim().slice(1, -1).trim();
  if (inner !== "") fields.push(inner);
  return `{${fields.join(",")}}`;
}

/** What the engine is asked: `Asked` of crate/src/faces. */
export function conversationJson(of: readonly Message[], from: { tools: string; variables: string; generationPrompt: boolean }, now: number): string {
  return `{"messages":[${of.map(messageJson).join(",")}],"tools":${from.tools.trim() || "null"},"variables":${from.variables.trim() || "{}"},`
    + `"add_generation_prompt":${String(from.generationPrompt)},"now":${Math.floor(now / 1000)}}`;
}

/** The conversation on the page, or null while a field of it cannot be read. */
const asked = computed<string | null>(() => (valid.value
  ? conversationJson(messages.value, { tools: tools.value, variables: variables.value, generationPrompt: generationPrompt.value }, Date.now())
  : null));

export function addMessage(): void {
  const last = messages.value.at(-1)?.role;
  messages.value = [...messages.value, message(last === "user" ? "assistant" : "user", "")];
}

export function change(key: number, to: Partial<Omit<Message, "key">>): void {
  messages.value = messages.value.map((m) => (m.key === key ? { ...m, ...to } : m));
}

export function removeMessage(key: number): void {
  messages.value = messages.value.filter((m) => m.key !== key);
}

/** Moves a message up (-1) or down (1). */
export function moveMessage(key: number, by: -1 | 1): void {
  const at = messages.value.findIndex((m) => m.key === key);
  const to = at + by;
  const next = messages.value.slice();
  const [moved] = next.splice(at, 1);
  if (at < 0 || to < 0 || to > next.length || moved === undefined) return;
  next.splice(to, 0, moved);
  messages.value = next;
}

export function replaceMessages(by: readonly { role: string; content: string }[]): void {
  messages.value = by.map((m) => message(m.role, m.content));
}

export function showLine(line: number): void {
  shownLine.value = { line, asked: (shownLine.peek()?.asked ?? 0) + 1 };
}

/** Asks for the templates, once a model. Their tokenizer is loaded with them: what follows is quick. */
export async function needTemplates(): Promise<void> {
  const { busy, value, fault } = templates.peek();
  if (busy || value !== null || fault !== null || report.peek() === null) return;
  const model = generation.peek();
  await fill(templates, readTemplates, () => model === generation.peek());
}

/** Number of the worker that has templates and tokenizer at hand: reading them is not part of a template's time. */
let loadedIn = -1;

async function readTemplates(): Promise<TemplatesReport> {
  const worker = losses.peek();
  const read = await askModel("templates", {});
  loadedIn = worker;
  return read;
}

async function atHand(): Promise<void> {
  if (loadedIn !== losses.peek()) await readTemplates();
}

/** A conversation by one of the open model's templates. */
export async function write(conversation: string, name: string | null): Promise<ChatReport> {
  await atHand();
  return askWithin(PATIENCE, "chat", { template: name, conversation });
}

/** Writes the conversation as it is now. */
export const render = latest(async () => {
  const [conversation, model, of] = [asked.value, generation.value, template.value];
  if (conversation === null || of === null) return;
  await fill(rendered, () => write(conversation, of.name), () => model === generation.value);
});

/** Compares with what was chosen for it. */
export const compare = latest(async () => {
  const [conversation, model, of, other] = [asked.value, generation.value, template.value, against.value];
  if (conversation === null || of === null || other === null) return;
  const question = { left: of.name, right: "name" in other ? other.name : null, files: "files" in other ? other.files : [], conversation };
  await fill(difference, async () => {
    await atHand();
    return askWithin(PATIENCE, "compareTemplates", question);
  }, () => model === generation.value && against.value === other);
});

/** Whether the part of the page that shows templates is looked at. */
const looked = computed(() => route.value.tab === "tokenizer" && route.value.part === "chat" && report.value !== null);

/** Keeps templates, text and difference current while they are looked at. */
export function watchConversation(): () => void {
  let done = "";
  return effect(() => {
    if (!looked.value) return;
    void generation.value;
    void needTemplates();
    const key = JSON.stringify([generation.value, template.value?.name, asked.value]);
    const other = against.value;
    if (template.value === null || asked.value === null) return;
    if (key !== done) void render();
    done = key;
    if (other !== null) void compare();
  });
}

export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    loadedIn = -1;
    batch(() => {
      reset(templates);
      reset(rendered);
      reset(difference);
      chosen.value = null;
      against.value = null;
      shownLine.value = null;
    });
  });
}
