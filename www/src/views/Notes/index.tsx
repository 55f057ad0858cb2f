import "./style.css";

import { bytes, count, plural } from "../../lib/format.ts";
import { findings, look, lookCloser } from "../../state/check.ts";
import { report } from "../../state/model.ts";
import type { FileSalvageReport, NoteReport, SalvageReport } from "../../wire/report.ts";
import { Icon, type IconName } from "../../widgets/Icon.tsx";
import { Text } from "../../widgets/Text.tsx";
import { ByteLink } from "../Bytes/link.tsx";

const SEVERITIES: Record<string, { icon: IconName; word: string }> = {
  error: { icon: "error", word: "Error" },
  warning: { icon: "warning", word: "Warning" },
  info: { icon: "info", word: "Information" },
};
const MOST = 500;
/** Missing ranges shown of one file. */
const RANGES = 12;

export function Notes() {
  const notes = findings.value;
  const salvage = report.value?.salvage;
  return (
    <div class="notes stack">
      {salvage !== undefined ? <Salvage salvage={salvage} /> : null}
      {notes.length === 0 ? <section class="card nothing"><h2>Nothing to note</h2><p class="muted">The header was read completely, all sizes agree with the file, and nothing unusual was found.</p></section> : null}
      <ol class="notes stack">
        {notes.slice(0, MOST).map((note, i) => <Note key={i} note={note} />)}
        {notes.length > MOST ? <li class="muted">and {count(notes.length - MOST)} more findings of the same or lower severity</li> : null}
      </ol>
      <Closer />
    </div>
  );
}

/** What is there of a model that is not whole, and which bytes are missing. */
function Salvage({ salvage }: { salvage: SalvageReport }) {
  const unlisted = salvage.unlisted === 0 ? "" : salvage.unlisted === null ? ", others not even listed" : `, ${count(salvage.unlisted)} not even listed`;
  return (
    <section class="card salvage">
      <h2>Incomplete</h2>
      <p>Tensors: {count(salvage.complete)} complete, {count(salvage.partial)} partial, {count(salvage.missing)} missing{unlisted}. {bytes(salvage.bytes_here)} of {bytes(salvage.bytes_all)} of their bytes are here.</p>
      <ul>{salvage.files.map((file) => <FileSalvage key={file.name} file={file} />)}</ul>
    </section>
  );
}

function FileSalvage({ file }: { file: FileSalvageReport }) {
  const more = file.missing.length - RANGES;
  return (
    <li class="break">
      <Text value={file.name} /> <span class="muted">{file.bytes === null ? "not given" : `${count(file.bytes)} bytes here`}</span>
      <ul>
        {file.missing.slice(0, RANGES).map(([start, end]) => <li key={start}>missing: bytes {count(start)} to {count(end - 1)} <span class="muted">({bytes(end - start)})</span></li>)}
        {more > 0 ? <li class="muted">and {count(more)} more ranges</li> : null}
        {file.more ? <li class="muted">{file.missing.length > 0 ? "and what follows; " : file.bytes !== null ? `missing from byte ${count(file.bytes)} on; ` : "missing wholly; "}how much is not known</li> : null}
      </ul>
    </li>
  );
}

/** The part of the doctor that costs reading: asked for, never by itself. */
function Closer() {
  const state = look.value;
  const checked = state?.report;
  return (
    <section class="card closer">
      <h2>A closer look</h2>
      {checked === null || checked === undefined ? (
        <p class="muted">Reads the small files beside the weights, padding and bytes that belong to nothing, and samples of values, and compares them: hidden files, special tokens that disagree, values that are not numbers. Up to 16 KiB are read of each of at most 512 tensors.</p>
      ) : (
        <>
          {checked.refusals.map((r) => <p key={r.program} class="break"><b>{r.program} would refuse this because:</b> <Text value={r.because} />{r.more > 0 ? ` (and ${count(r.more)} more reasons above)` : null}</p>)}
          <p class="muted">{plural(checked.errors, "error")}, {plural(checked.warnings, "warning")}; checked: {checked.checks.join(", ")}.{checked.looked_at.length > 0 ? ` Read beyond the headers: ${checked.looked_at.join("; ")}.` : null}</p>
        </>
      )}
      {state?.fault ? <p class="break">It could not be finished: <Text value={state.fault.what} /></p> : null}
      <button type="button" class="button" disabled={state?.state === "busy"} onClick={() => void lookCloser()}>{state?.state === "busy" ? "Looking…" : checked ? "Look again" : "Look closer"}</button>
    </section>
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
