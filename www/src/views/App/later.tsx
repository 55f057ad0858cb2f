import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { Icon } from "../../widgets/Icon.tsx";
import type * as all from "../runner.ts";

type Views = typeof all;

const views = signal<Views | null>(null);
const failed = signal(false);
let fetching = false;

/** Fetches the views that come behind the first one; again where that failed. */
export async function fetchViews(): Promise<void> {
  if (fetching || views.value !== null) return;
  fetching = true;
  failed.value = false;
  try {
    views.value = await import("../runner.ts");
  } catch {
    failed.value = true;
  }
  fetching = false;
}

/** One of these views, or what stands in its place until it is here. */
export function later(name: keyof Views) {
  return function Later() {
    useEffect(() => void fetchViews(), []);
    if (views.value !== null) {
      const View = views.value[name];
      return <View />;
    }
    if (failed.value) {
      return (
        <section class="card fault" role="alert">
          <div class="row"><Icon name="error" /><strong>This view could not be fetched</strong></div>
          <p>It is loaded from the page's own host when it is first needed. Is this machine connected?</p>
          <button type="button" class="button" onClick={() => void fetchViews()}>Try again</button>
        </section>
      );
    }
    return <p class="muted" role="status">Loading this view…</p>;
  };
}
