import { percent } from "../../lib/format.ts";
import { tokenSegments } from "../../lib/visible.ts";
import { piece, pointed, produced } from "../../state/run.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { Meter } from "../../widgets/Meter.tsx";
import { Runs } from "../../widgets/Text.tsx";

/** How likely the chosen token was and what else could have stood there. */
export function Alternatives() {
  const total = produced.value;
  const at = pointed.value ?? (total > 0 ? total - 1 : null);
  const token = at === null ? undefined : piece(at);
  return (
    <section class="card alternatives">
      <div class="row head">
        <h2>{token === undefined ? "Alternatives for a token" : <>“<span class="mono"><Runs of={tokenSegments(token.text)} /></span>”, and what else could stand here</>}</h2>
        <span class="push row">
          <button type="button" class="button plain" aria-label="Token before" disabled={at === null || at <= 0} onClick={() => { pointed.value = (at ?? 1) - 1; }}><span class="back"><Icon name="chevron" size={12} /></span></button>
          <button type="button" class="button plain" aria-label="Token after" disabled={at === null || at >= total - 1} onClick={() => { pointed.value = (at ?? 0) + 1; }}><Icon name="chevron" size={12} /></button>
        </span>
      </div>
      {token === undefined ? <p class="muted small">Point at a token of the text, or step through the tokens with the arrows.</p> : token.alternatives.length === 0 ? (
        <p class="muted small">{token.probability === null ? "For speed, probabilities were not read back for this token." : `Probability ${percent(token.probability)}.`}</p>
      ) : (
        <table>
          <thead class="quiet"><tr><th scope="col">Token</th><th scope="col">Bar</th><th scope="col">Probability</th></tr></thead>
          <tbody>
            {token.alternatives.slice(0, 8).map((a) => (
              <tr key={a.id} class={a.id === token.id ? "taken" : ""}>
                <th scope="row" class="mono"><Runs of={tokenSegments(a.text)} />{a.id === token.id ? <span class="quiet"> (taken)</span> : null}</th>
                <td><Meter label={`Probability of ${a.text}`} share={a.probability} /></td>
                <td class="num">{percent(a.probability)}</td>
              </tr>
            ))}
            {token.probability !== null && !token.alternatives.some((a) => a.id === token.id) ? (
              <tr class="taken"><th scope="row" class="mono"><Runs of={tokenSegments(token.text)} /><span class="quiet"> (taken)</span></th><td><Meter label="Probability of the token taken" share={token.probability} /></td><td class="num">{percent(token.probability)}</td></tr>
            ) : null}
          </tbody>
        </table>
      )}
    </section>
  );
}
