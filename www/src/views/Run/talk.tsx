import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import { chosen, template, templates } from "../../state/chat.ts";
import { busy, chunks, phase, pointed, runFault } from "../../state/run.ts";
import { answerAgain, draft, forget, latestAnswer, say, showText, system, type Turn, turns } from "../../state/talk.ts";
import { Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Chunks } from "./tokens.tsx";

/** A talk with the model, turn by turn; the chat template writes what it reads. */
export function Talk({ status, controls }: { status: ComponentChildren; controls: ComponentChildren }) {
  const { value, fault } = templates.value;
  if (fault !== null) return <FaultCard title="The chat templates could not be read" fault={fault} />;
  if (value !== null && value.templates.length === 0) {
    return <div class="no-talk"><p>This model has no chat template, so a conversation cannot be turned into a prompt.</p><p class="muted">Give it a text to continue instead. Templates are read from GGUF metadata, tokenizer_config.json and chat_template.jinja.</p></div>;
  }
  return (
    <>
      <System />
      <Turns />
      <div class="state small muted" role="status">{status}</div>
      {runFault.value !== null ? <FaultCard title="The answer failed" fault={runFault.value} /> : null}
      <form class="prompt" onSubmit={(e) => { e.preventDefault(); void say(); }}>
        <textarea
          class="field"
          rows={3}
          aria-label="Message"
          placeholder="Your message; Enter sends it, Shift + Enter starts a new line"
          value={draft.value}
          onInput={(e) => (draft.value = e.currentTarget.value)}
          onKeyDown={(e) => { if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); void say(); } }}
        />
        <div class="row">
          {controls}
          <span class="push row">
            <button type="button" class="button slim" disabled={busy.value || turns.value.length === 0} onClick={() => void answerAgain()}>Answer again</button>
            <button type="button" class="button slim" disabled={busy.value || turns.value.length === 0} onClick={forget}>New conversation</button>
          </span>
        </div>
      </form>
    </>
  );
}

function System() {
  const all = templates.value.value?.templates ?? [];
  return (
    <details class="system">
      <summary class="small muted">System message{system.value.trim() === "" ? "" : " (set)"}{template.value === null ? null : <>, template <Text value={template.value.name} /></>}</summary>
      <textarea class="field" rows={2} aria-label="System message" placeholder="Instructions that come before the conversation" value={system.value} disabled={busy.value} onInput={(e) => (system.value = e.currentTarget.value)} />
      <div class="row">
        {all.length > 1 ? (
          <label class="row small muted">Template <select class="field slim" value={template.value?.name ?? ""} disabled={busy.value} onChange={(e) => (chosen.value = e.currentTarget.value)}>{all.map((t) => <option key={t.name} value={t.name}>{t.name}</option>)}</select></label>
        ) : null}
        <button type="button" class="button slim" onClick={showText}>Show the prompt</button>
      </div>
    </details>
  );
}

function Turns() {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const writing = busy.value;
  // The newest words stay in sight, unless someone has scrolled away from them.
  useLayoutEffect(() => {
    if (box.current !== null && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [chunks.value, turns.value, writing]);
  return (
    <div
      class="out talk"
      ref={box}
      tabIndex={0}
      role="log"
      aria-label="Conversation with the model"
      aria-busy={writing}
      onScroll={(e) => { atEnd.current = e.currentTarget.scrollTop + e.currentTarget.clientHeight >= e.currentTarget.scrollHeight - 24; }}
      onMouseLeave={() => (pointed.value = null)}
    >
      {turns.value.length === 0 ? <p class="muted">Send a message. The model\u2019s chat template turns the conversation into a prompt, and the answer appears here token by token.</p> : null}
      {turns.value.map((turn) => <Said key={turn.key} turn={turn} />)}
      {writing ? (
        <div class="turn assistant">
          <p class="who small muted">assistant</p>
          <p class="text busy">{chunks.value.length === 0 ? <span class="muted">{phase.value === "loading" ? "" : "\u2026"}</span> : <Chunks />}</p>
        </div>
      ) : null}
    </div>
  );
}

const ENDS: Record<string, string> = { limit: "cut at the limit of new tokens", context: "cut: the context is full", stopped: "stopped", failed: "broken off" };

function Said({ turn }: { turn: Turn }) {
  const end = turn.end === null ? undefined : ENDS[turn.end];
  return (
    <div class={`turn ${turn.role}`}>
      <p class="who small muted">{turn.role}</p>
      <p class="text">{turn.key === latestAnswer.value ? <Chunks /> : <Text value={turn.content} lines />}{end === undefined ? null : <span class="small muted"> ({end})</span>}</p>
    </div>
  );
}
