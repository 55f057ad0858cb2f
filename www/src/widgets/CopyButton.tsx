import { useSignal } from "@preact/signals";

import { Icon } from "./Icon.tsx";

/** Copies a text and says so; where the browser refuses, says that. */
export function CopyButton({ text, what }: { text: () => string | Promise<string>; what: string }) {
  const state = useSignal<"ready" | "done" | "refused">("ready");
  const copy = () => {
    const say = (words: "done" | "refused") => {
      state.value = words;
      setTimeout(() => (state.value = "ready"), 1500);
    };
    Promise.resolve(text()).then((t) => navigator.clipboard.writeText(t)).then(() => say("done"), () => say("refused"));
  };
  const words = state.value === "done" ? "Copied" : state.value === "refused" ? "The browser refused to copy" : `Copy ${what}`;
  return (
    <button type="button" class="button plain copy" onClick={copy} aria-label={words} title={words}>
      <Icon name={state.value === "done" ? "check" : state.value === "refused" ? "cross" : "copy"} size={14} />
    </button>
  );
}
