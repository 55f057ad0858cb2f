import { useSignal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";

import { addMessage, change, faults, generationPrompt, type Message, messages, moveMessage, removeMessage, ROLES, template, tools, variables } from "../../state/chat.ts";
import { Icon } from "../../widgets/Icon.tsx";

/** The conversation that is being written, message by message. */
export function Conversation() {
  const list = useRef<HTMLOListElement>(null);
  const asks = template.value?.variables ?? [];
  const add = () => {
    addMessage();
    requestAnimationFrame(() => list.current?.querySelector<HTMLTextAreaElement>("li:last-child textarea")?.focus());
  };
  return (
    <section class="card conversation" aria-labelledby="conversation-title">
      <h2 id="conversation-title">Conversation</h2>
      <ol ref={list} class="messages">
        {messages.value.map((m, i) => <Editor key={m.key} message={m} number={i + 1} first={i === 0} last={i === messages.value.length - 1} />)}
      </ol>
      <div class="row">
        <button type="button" class="button" onClick={add}>Add a message</button>
        <label class="check"><input type="checkbox" checked={generationPrompt.value} onChange={(e) => (generationPrompt.value = e.currentTarget.checked)} /> Add the generation prompt</label>
      </div>
      <div class="fields-json">
        <Json label="Tools" about="a JSON list of functions" value={tools.value} fault={faults.value.tools} placeholder={'[{"type": "function", "function": {"name": "…"}}]'} onInput={(t) => (tools.value = t)} />
        <Json label="Other variables" about={asks.length > 0 ? `this template asks for ${asks.slice(0, 6).join(", ")}${asks.length > 6 ? " …" : ""}` : "a JSON object"} value={variables.value} fault={faults.value.variables} placeholder={asks.length > 0 ? `{"${asks[0] ?? ""}": true}` : "{}"} onInput={(t) => (variables.value = t)} />
      </div>
    </section>
  );
}

function Editor({ message: m, number, first, last }: { message: Message; number: number; first: boolean; last: boolean }) {
  const roles = useId();
  const open = useSignal(m.more !== "");
  const fault = faults.value.messages.get(m.key) ?? null;
  return (
    <li class="message">
      <div class="row">
        <input class="field role" aria-label={`Role of message ${number}`} list={roles} value={m.role} spellcheck={false} onInput={(e) => change(m.key, { role: e.currentTarget.value })} />
        <datalist id={roles}>{ROLES.map((r) => <option key={r} value={r} />)}</datalist>
        <span class="push row tight">
          <button type="button" class="button plain" aria-expanded={open.value} onClick={() => (open.value = !open.value)} title="More fields of this message, such as tool_calls">{"{ }"}<span class="quiet"> More fields of message {number}</span></button>
          <button type="button" class="button plain" aria-label={`Move message ${number} up`} disabled={first} onClick={() => moveMessage(m.key, -1)}><span class="up"><Icon name="chevron" size={14} /></span></button>
          <button type="button" class="button plain" aria-label={`Move message ${number} down`} disabled={last} onClick={() => moveMessage(m.key, 1)}><span class="down"><Icon name="chevron" size={14} /></span></button>
          <button type="button" class="button plain" aria-label={`Remove message ${number}`} onClick={() => removeMessage(m.key)}><Icon name="cross" size={14} /></button>
        </span>
      </div>
      <textarea class="field" aria-label={`Content of message ${number}`} rows={Math.min(12, Math.max(2, m.content.split("\n").length))} value={m.content} onInput={(e) => change(m.key, { content: e.currentTarget.value })} />
      {open.value ? <Json label={`More fields of message ${number}`} about="a JSON object; its role and content win" value={m.more} fault={fault} placeholder={'{"tool_calls": [ … ]}'} onInput={(more) => change(m.key, { more })} /> : null}
    </li>
  );
}

function Json({ label, about, value, fault, placeholder, onInput }: { label: string; about: string; value: string; fault: string | null; placeholder: string; onInput: (text: string) => void }) {
  const id = useId();
  return (
    <div class="json">
      <label for={id}>{label}: <span class="small muted">{about}</span></label>
      <textarea
        id={id}
        class="field mono"
        rows={Math.min(12, Math.max(2, value.split("\n").length))}
        spellcheck={false}
        placeholder={placeholder}
        value={value}
        aria-invalid={fault !== null}
        aria-describedby={`${id}-fault`}
        onInput={(e) => onInput(e.currentTarget.value)}
      />
      <p id={`${id}-fault`} class="small bad-words">{fault ?? ""}</p>
    </div>
  );
}
