import { useSignal } from "@preact/signals";

import { Icon } from "./Icon.tsx";

/** Copies a text and says so; where the browser refuses, says that. */
export function CopyButton({ text, what }: { text: () => string; what: string }) {
  const state = useSignal<"ready" | "done" | "refused">("ready");
  const copy = () => {
    navigator.clipboard.writeText(text()).then(() => (state.value = "done"), () => (state.value = "refused"));
    setTimeout(() => (state.value = "ready"), 1500);
  };
  const words = state.value === "done" ? "Copied" : state.value === "refused" ? "The browser refused to copy" : `Copy ${what}`;
  return (
    <button type="button" class="button plain copy" onClick={copy} aria-label={words} title={words}>
      <Icon name={state.value === "done" ? "check" : state.value === "refused" ? "cross" : "copy"} size={14} />
    </button>
  );
}
