import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";

import { parseAddress } from "../../lib/address.ts";
import { openAddress } from "../../state/model.ts";
import { Text } from "../../widgets/Text.tsx";

/** Opens a file by its address. It says whom it will ask; nothing is asked before the button is pressed. */
export function AddressForm({ onChosen }: { onChosen: () => void }) {
  const text = useSignal("");
  const refused = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const about = useId();
  useEffect(() => field.current?.focus(), []);
  const address = parseAddress(text.value);
  const open = () => {
    if ("why" in address) {
      refused.value = true;
      field.current?.focus();
      return;
    }
    onChosen();
    void openAddress(address);
  };
  return (
    <form class="address" noValidate onSubmit={(e) => { e.preventDefault(); open(); }}>
      <label>
        <span class="small muted">Address of a model file</span>
        <input
          ref={field}
          class="field"
          type="url"
          placeholder="https://host.example/model.gguf"
          autocomplete="off"
          spellcheck={false}
          value={text.value}
          aria-describedby={about}
          aria-invalid={refused.value}
          onInput={(e) => { text.value = e.currentTarget.value; refused.value = false; }}
        />
      </label>
      <button type="submit" class="button">Open</button>
      <p id={about} class={refused.value ? "small refused" : "small muted"} role="status">
        {"why" in address
          ? (refused.value ? address.why : "The parts that are needed are fetched from that host, when you press Open and as you look around.")
          : <>{address.changed !== null ? `${address.changed} ` : ""}Glassbox will ask <b><Text value={address.host} /></b> for parts of <Text value={address.name} />. The host sees which.</>}
      </p>
    </form>
  );
}
