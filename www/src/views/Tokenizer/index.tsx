import "./style.css";

import { formatHash, START } from "../../lib/hash.ts";
import { report } from "../../state/model.ts";
import { go, route } from "../../state/route.ts";
import { ChatTemplate } from "../ChatTemplate/index.tsx";
import { Compare } from "./beside.tsx";
import { TextPart } from "./text.tsx";
import { Vocabulary } from "./vocabulary.tsx";

/** Parts of this view; the first has no name in the address. */
const PARTS = { "": "Text", compare: "Two tokenizers", vocabulary: "Vocabulary", chat: "Chat template" } as const;
type Part = keyof typeof PARTS;

export function Tokenizer() {
  const part: Part = route.value.part in PARTS ? (route.value.part as Part) : "";
  return (
    <>
      <div role="navigation" class="parts" aria-label="Parts of the tokenizer">
        {(Object.keys(PARTS) as Part[]).map((name) => (
          <a
            key={name}
            href={formatHash({ ...START, tab: "tokenizer", part: name })}
            {...(name === part ? { "aria-current": "true" as const } : {})}
            onClick={(e) => {
              if (e.metaKey || e.ctrlKey || e.shiftKey) return;
              e.preventDefault();
              go({ part: name });
            }}
          >{PARTS[name]}</a>
        ))}
      </div>
      {part === "chat" ? <ChatTemplate /> : report.value?.tokenizer == null ? <Nothing /> : part === "compare" ? <Compare /> : part === "vocabulary" ? <Vocabulary /> : <TextPart kind={report.value.tokenizer} />}
    </>
  );
}

function Nothing() {
  return <section class="card nothing"><h2>There is no tokenizer here</h2><p class="muted">GGUF files of language models carry theirs. For others, drop the model together with its tokenizer.json, or the whole folder.</p></section>;
}
