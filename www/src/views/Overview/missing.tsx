import { count } from "../../lib/format.ts";
import { dropAsWell } from "../../lib/join.ts";
import type { ModelReport } from "../../wire/report.ts";
import { Text } from "../../widgets/Text.tsx";

/** Names listed. */
const MOST = 12;

/** A page cannot look into a folder: it says which files to drop as well. */
export function DropAsWell({ model }: { model: ModelReport }) {
  const names = dropAsWell(model);
  if (names.length === 0) return null;
  return (
    <section class="card drop-as-well" aria-label="Files to drop as well">
      <h2>Drop these as well</h2>
      <p class="muted">They belong to this model and are not open: a page sees only the files that are dropped, not their folder. Drop them together or one after the other, or drop the whole folder.</p>
      <ul>
        {names.slice(0, MOST).map((name) => <li key={name} class="break"><code><Text value={name} /></code></li>)}
        {names.length > MOST ? <li class="muted">and {count(names.length - MOST)} more</li> : null}
      </ul>
    </section>
  );
}
