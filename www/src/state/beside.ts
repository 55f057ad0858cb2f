import { computed, effect, signal } from "@preact/signals";

import { Utf8Map } from "../lib/spans.ts";
import type { SentFile } from "../wire/calls.ts";
import type { CompareReport } from "../wire/report.ts";
import { latest } from "./latest.ts";
import { askModel, askWithin, generation, losses, report } from "./model.ts";
import { fill, reset, resource } from "./resource.ts";
import { route } from "./route.ts";
import { addSpecial, parseSpecial, text } from "./tokens.ts";

const PATIENCE = 30;
const PACE = 20_000;

/** The files of the second tokenizer; null before any are chosen. */
export const files = signal<SentFile[] | null>(null);

export interface Beside {
  text: string;
  map: Utf8Map;
  report: CompareReport;
}
export const beside = resource<Beside>();

/** The files that a worker has open, and which worker it was. */
let openedIn: { files: SentFile[]; worker: number; model: number } | null = null;

const compare = latest(async () => {
  const chosen = files.value;
  const asked = { text: text.value, addSpecial: addSpecial.value, parseSpecial: parseSpecial.value };
  const model = generation.value;
  if (chosen === null) return;
  await fill(
    beside,
    async () => {
      if (openedIn?.files !== chosen || openedIn.worker !== losses.peek() || openedIn.model !== model) {
        openedIn = null;
        const worker = losses.peek();
        await askModel("openOther", { files: chosen });
        openedIn = { files: chosen, worker, model };
      }
      const report = await askWithin(PATIENCE + Math.ceil(asked.text.length / PACE), "compare", asked);
      return { text: asked.text, map: new Utf8Map(asked.text), report };
    },
    () => model === generation.value && files.value === chosen,
  );
});

/** A stretch of the text that both tokenizers begin and end with a token. */
export interface Stretch {
  text: string;
  a: number;
  b: number;
  /** 0 the ids are the same, 1 cut at the same places, 2 cut at different places. */
  differs: number;
}

/** Stretches drawn: neighbours of the same kind are joined, and the list is cut. */
const MOST = 3000;

export const stretches = computed<{ list: Stretch[]; more: boolean }>(() => {
  const done = beside.value.value;
  if (done === null) return { list: [], more: false };
  return joined(done, MOST);
});

/** Stretches that are alike and lie side by side are one, so that what differs stands out. */
export function joined({ text, map, report }: Beside, most: number): { list: Stretch[]; more: boolean } {
  const { ends, a, b, differs } = report.stretches;
  const runs: { from: number; to: number; a: number; b: number; differs: number }[] = [];
  let from = 0;
  let more = false;
  for (const [i, to] of ends.entries()) {
    const kind = differs[i] ?? 0;
    const last = runs.at(-1);
    if (last !== undefined && kind === 0 && last.differs === 0) {
      last.to = to;
      last.a += a[i] ?? 0;
      last.b += b[i] ?? 0;
    } else if (runs.length < most) {
      runs.push({ from, to, a: a[i] ?? 0, b: b[i] ?? 0, differs: kind });
    } else {
      more = true;
      break;
    }
    from = to;
  }
  return { list: runs.map((r) => ({ text: text.slice(map.range(r.from, r.from)[0], map.range(r.to, r.to)[0]), a: r.a, b: r.b, differs: r.differs })), more };
}

export function watchBoth(): () => void {
  let done: readonly unknown[] = [];
  return effect(() => {
    const key = [generation.value, files.value, text.value, addSpecial.value, parseSpecial.value];
    if (route.value.tab !== "tokenizer" || route.value.part !== "compare" || report.value?.tokenizer == null || files.value === null || key.every((k, i) => k === done[i])) return;
    done = key;
    void compare();
  });
}

export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    reset(beside);
    openedIn = null;
  });
}
