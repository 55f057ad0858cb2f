import "./style.css";

import { count } from "../../lib/format.ts";
import { report } from "../../state/model.ts";
import type { NoteReport } from "../../wire/report.ts";
import { Icon, type IconName } from "../../widgets/Icon.tsx";
import { Text } from "../../widgets/Text.tsx";
import { ByteLink } from "../Bytes/link.tsx";

const SEVERITIES: Record<string, { icon: IconName; word: string }> = {
  error: { icon: "error", word: "Error" },
  warning: { icon: "warning", word: "Warning" },
  info: { icon: "info", word: "Information" },
};
const MOST = 500;

export function Notes() {
  const notes = report.value?.notes ?? [];
  if (notes.length === 0) {
    return <section class="card nothing"><h2>Nothing to note</h2><p class="muted">The header was read to its end, every size in it agrees with the file, and nothing unusual was found.</p></section>;
  }
  return (
    <ol class="notes stack">
      {notes.slice(0, MOST).map((note, i) => <Note key={i} note={note} />)}
      {notes.length > MOST ? <li class="muted">and {count(notes.length - MOST)} more findings of the same or lower severity</li> : null}
    </ol>
  );
}

export function Note({ note }: { note: NoteReport }) {
  const { icon, word } = SEVERITIES[note.severity] ?? { icon: "info" as const, word: note.severity };
  return (
    <li class={`card note ${note.severity}`}>
      <Icon name={icon} size={18} />
      <div>
        <p class="what break"><span class="quiet">{word}: </span><Text value={note.what} /></p>
        {note.file !== null || note.at !== null ? <p class="small muted break">{note.file !== null ? <>in <Text value={note.file} /></> : null}{note.at !== null ? <> at <ByteLink at={note.at} file={note.file} /></> : null}</p> : null}
        {note.why !== null ? <p class="break"><span class="muted">Why it matters: </span><Text value={note.why} /></p> : null}
        {note.advice !== null ? <p class="break"><span class="muted">What to do: </span><Text value={note.advice} /></p> : null}
      </div>
    </li>
  );
}
