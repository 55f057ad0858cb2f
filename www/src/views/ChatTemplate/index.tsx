import "./style.css";

import { templates } from "../../state/chat.ts";
import { FaultCard } from "../Faults/index.tsx";
import { Note } from "../Notes/index.tsx";
import { Conversation } from "./conversation.tsx";
import { Difference } from "./difference.tsx";
import { Source } from "./source.tsx";
import { Written } from "./written.tsx";

/** A model's chat templates: what they say, what they make of a conversation, and what differs between two. */
export function ChatTemplate() {
  const { value, fault } = templates.value;
  if (fault !== null) return <FaultCard title="The chat templates could not be read" fault={fault} />;
  if (value === null) return <section class="card nothing" aria-busy="true"><p class="muted">Looking for chat templates…</p></section>;
  if (value.templates.length === 0) {
    return (
      <section class="card nothing">
        <h2>This model has no chat template</h2>
        <p class="muted">A chat template turns a conversation into a prompt. GGUF files of chat models carry theirs in tokenizer.chat_template; of a Hugging Face folder, drop tokenizer_config.json or chat_template.jinja together with the model.</p>
        {value.notes.length > 0 ? <ul class="stack">{value.notes.map((n, i) => <Note key={i} note={n} />)}</ul> : null}
      </section>
    );
  }
  return (
    <div class="stack chat-template">
      {value.notes.length > 0 ? <ul class="stack">{value.notes.map((n, i) => <Note key={i} note={n} />)}</ul> : null}
      <div class="split even">
        <Conversation />
        <Written />
      </div>
      <Source />
      <Difference />
    </div>
  );
}
