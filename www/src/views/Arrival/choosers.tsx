import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";

import { fromList } from "../../lib/collect.ts";
import { take } from "../../state/join.ts";
import { openSample } from "../../state/model.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { AddressForm } from "./address.tsx";

/** The ways to open something without dropping it. */
export function Choosers({ onChosen = () => {} }: { onChosen?: () => void }) {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const asking = useSignal(false);
  const chosen = (input: HTMLInputElement) => {
    const list = fromList(input.files ?? []);
    // Emptied, so that choosing the same file again counts as a change.
    input.value = "";
    if (list.length === 0) return;
    onChosen();
    void take(list);
  };
  return (
    <div class="choosers">
      <button type="button" class="button primary" onClick={() => files.current?.click()}><Icon name="file" />Choose files</button>
      <button type="button" class="button" onClick={() => folder.current?.click()}><Icon name="folder" />Choose folder</button>
      <button type="button" class="button" aria-expanded={asking.value} onClick={() => (asking.value = !asking.value)}><Icon name="link" />Open a URL</button>
      <button type="button" class="button" onClick={() => { onChosen(); void openSample(); }}>Try the sample</button>
      <input ref={files} class="quiet" type="file" multiple tabIndex={-1} aria-hidden="true" data-testid="files" onChange={(e) => chosen(e.currentTarget)} />
      <input ref={folder} class="quiet" type="file" {...{ webkitdirectory: true }} tabIndex={-1} aria-hidden="true" data-testid="folder" onChange={(e) => chosen(e.currentTarget)} />
      {asking.value ? <AddressForm onChosen={onChosen} /> : null}
    </div>
  );
}
