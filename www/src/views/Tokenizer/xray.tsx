import { count, real } from "../../lib/format.ts";
import { tokenSegments, visible } from "../../lib/visible.ts";
import { picked } from "../../state/tokens.ts";
import { chosenWord, explained } from "../../state/xray.ts";
import type { AlignedReport, ChoiceReport, ExplainedPart, ExplainedToken, ExplainedWord, MergeReport } from "../../wire/report.ts";
import { Runs, Text } from "../../widgets/Text.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { Note } from "../Notes/index.tsx";

/** Words shown on either side of the chosen one. */
const NEIGHBOURS = 5;
/** Steps drawn of one word. */
const MOST = 300;

/** How the chosen piece came about: normalised form, words, merges or matches, ids. */
export function XRay() {
  const { value, fault, busy } = explained.value;
  const found = chosenWord.value;
  return (
    <section class="card xray" aria-labelledby="xray-title" aria-busy={busy}>
      <h2 id="xray-title">How a token was made</h2>
      {picked.value === null ? <p class="muted">Choose a token above, by a click or by Enter, to see how the text was normalised, where it was split into words, and which merges or matches made its tokens.</p>
        : fault !== null ? <FaultCard title="The steps could not be computed" fault={fault} />
          : found === null || value === null ? <p class="muted">{busy ? "Working out the steps…" : "The steps of this piece are not known."}</p>
            : (
              <>
                <p class="small muted break">{value.report.method}{value.excerpt ? " The text is long: only the line around the piece is explained." : ""}</p>
                {value.report.agrees ? null : <ul class="stack">{value.report.notes.map((n, i) => <Note key={i} note={n} />)}</ul>}
                <Steps part={found.part} word={found.word} />
              </>
            )}
    </section>
  );
}

function Steps({ part, word }: { part: ExplainedPart; word: ExplainedWord | null }) {
  if (part.token !== null) {
    return <p>{part.kind === "added" ? "The tokenizer\u2019s rules put it around every text" : "It is written out in the text, and cut out before anything else is done"}: <Token id={part.token.id} piece={part.token.piece} />.</p>;
  }
  return (
    <ol class="steps">
      <li>
        <h3>Normalised</h3>
        <Normalised of={part.normalized} />
      </li>
      <li>
        <h3>Cut into words</h3>
        {word === null ? <p class="muted">The piece crosses a word boundary.</p> : <Words part={part} word={word} />}
      </li>
      {word === null ? null : (
        <li>
          <h3>{word.choices.length > 0 ? "Matches" : "Merges"}</h3>
          <Made word={word} />
        </li>
      )}
      {word === null ? null : (
        <li>
          <h3>Tokens</h3>
          <p class="row">{word.tokens.map((t, i) => <Token key={i} id={t.id} piece={t.piece} how={t} />)}</p>
        </li>
      )}
    </ol>
  );
}

function Token({ id, piece, how }: { id: number; piece: string; how?: ExplainedToken }) {
  return <span class="made"><span class="mono"><Runs of={tokenSegments(piece)} /></span> <span class="id mono">{id}</span>{how === undefined || how.how === "" ? null : <span class="small muted"> {how.how}</span>}</span>;
}

function Normalised({ of }: { of: readonly AlignedReport[] }) {
  const changed = of.filter((a) => a.from !== a.to);
  if (changed.length === 0) return <p class="muted">Nothing is changed.</p>;
  return (
    <>
      <p class="mono clip">{of.map((a, i) => (a.from === a.to ? <Text key={i} value={a.to} /> : <mark key={i} title={`was: ${visible(a.from) || "nothing"}`}><Runs of={tokenSegments(a.to)} />{a.to === "" ? "∅" : ""}</mark>))}</p>
      <p class="small muted">{changed.slice(0, 8).map((a, i) => <span key={i}>{i > 0 ? ", " : null}<span class="mono"><Runs of={tokenSegments(a.from)} />{a.from === "" ? "nothing" : ""}</span> became <span class="mono"><Runs of={tokenSegments(a.to)} />{a.to === "" ? "nothing" : ""}</span></span>)}{changed.length > 8 ? ` and ${count(changed.length - 8)} more` : null}</p>
    </>
  );
}

function Words({ part, word }: { part: ExplainedPart; word: ExplainedWord }) {
  const at = part.words.indexOf(word);
  const from = Math.max(0, at - NEIGHBOURS);
  const shown = part.words.slice(from, at + NEIGHBOURS + 1);
  return (
    <p class="row words">
      {from > 0 ? <span class="muted small">{count(from)} before</span> : null}
      {shown.map((w, i) => <span key={i} class={w === word ? "word-box chosen mono" : "word-box mono"}><Runs of={tokenSegments(w.text)} /></span>)}
      {from + shown.length < part.words.length ? <span class="muted small">{count(part.words.length - from - shown.length)} after</span> : null}
    </p>
  );
}

function Made({ word }: { word: ExplainedWord }) {
  if (!word.listed) return <p class="muted">There are too many steps to list.</p>;
  if (word.choices.length > 0) return <Choices choices={word.choices} />;
  if (word.merges.length === 0) return <p class="muted">{word.tokens.some((t) => t.how === "whole word") ? "The whole word is a token: nothing has to be merged." : "No merge is known for these symbols: they stay as they are."}</p>;
  return <Merges symbols={word.symbols} merges={word.merges} />;
}

function Merges({ symbols, merges }: { symbols: readonly string[]; merges: readonly MergeReport[] }) {
  const hasRank = merges.some((m) => m.rank !== null);
  return (
    <div class="scroll steps-table" tabIndex={0} role="region" aria-label="Merges in order">
      <table>
        <thead><tr><th scope="col" class="num">Step</th><th scope="col">Merges</th><th scope="col" class="num">{hasRank ? "Rank" : "Score"}</th><th scope="col">Symbols after it</th></tr></thead>
        <tbody>
          <tr><td class="num">0</td><td class="muted">–</td><td class="num">–</td><td><Symbols of={symbols} at={-1} /></td></tr>
          {merges.slice(0, MOST).map((m, i) => (
            <tr key={i}>
              <td class="num">{i + 1}</td>
              <td class="mono"><Runs of={tokenSegments(m.left)} /> + <Runs of={tokenSegments(m.right)} /></td>
              <td class="num">{m.rank === null ? real(m.score) : count(m.rank)}</td>
              <td><Symbols of={m.symbols} at={m.at} /></td>
            </tr>
          ))}
        </tbody>
      </table>
      {merges.length > MOST ? <p class="small muted">and {count(merges.length - MOST)} more</p> : null}
    </div>
  );
}

function Symbols({ of, at }: { of: readonly string[]; at: number }) {
  return <span class="symbols mono">{of.slice(0, 80).map((s, i) => <span key={i} class={i === at ? "symbol merged" : "symbol"}><Runs of={tokenSegments(s)} /></span>)}{of.length > 80 ? <span class="muted">… {count(of.length - 80)} more</span> : null}</span>;
}

function Choices({ choices }: { choices: readonly ChoiceReport[] }) {
  const rows = choices.flatMap((c) => c.candidates.map((candidate, i) => ({ at: c.at, first: i === 0, candidate })));
  const scored = rows.some((r) => r.candidate.score !== null);
  return (
    <div class="scroll steps-table" tabIndex={0} role="region" aria-label="Tokens that match, place by place">
      <table>
        <thead><tr><th scope="col" class="num">At byte</th><th scope="col">Matches</th><th scope="col" class="num">Id</th>{scored ? <><th scope="col" class="num">Score</th><th scope="col" class="num">Best way over it</th></> : null}<th scope="col">Taken</th></tr></thead>
        <tbody>
          {rows.slice(0, MOST).map(({ at, first, candidate: c }, i) => (
            <tr key={i} class={c.taken ? "taken" : ""}>
              <td class="num">{first ? count(at) : <span class="quiet">{at}</span>}</td>
              <td class="mono"><Runs of={tokenSegments(c.text)} /></td>
              <td class="num mono">{c.id ?? "unknown"}</td>
              {scored ? <><td class="num">{c.score === null ? "–" : real(c.score)}</td><td class="num">{c.total === null ? "–" : real(c.total)}</td></> : null}
              <td>{c.taken ? "yes" : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > MOST ? <p class="small muted">and {count(rows.length - MOST)} more</p> : null}
    </div>
  );
}
