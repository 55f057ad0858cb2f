import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/** What a canvas needs: CSS colours with custom properties worked out, again whenever light and dark change. */
export function useColours(inside: { current: HTMLElement | null }): ReadonlySignal<(css: string) => string> {
  const resolve = useSignal(resolver(inside));
  useEffect(() => {
    const renew = () => { resolve.value = resolver(inside); };
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", renew);
    const watcher = new MutationObserver(renew);
    watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      dark.removeEventListener("change", renew);
      watcher.disconnect();
    };
  }, []);
  return resolve;
}

function resolver(inside: { current: HTMLElement | null }): (css: string) => string {
  const known = new Map<string, string>();
  return (css) => {
    const before = known.get(css);
    if (before !== undefined) return before;
    const parent = inside.current;
    if (parent === null) return "transparent";
    const probe = document.createElement("i");
    probe.style.color = css;
    probe.hidden = true;
    parent.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    known.set(css, colour);
    return colour;
  };
}
