import { effect, signal } from "@preact/signals";

import { joining } from "../lib/join.ts";
import type { NamedFile } from "../wire/calls.ts";
import { generation, joinFiles, openFiles, report } from "./model.ts";

/** Files that may belong to the open model, until a person says what is meant. */
export const offer = signal<NamedFile[] | null>(null);
/** Files that joined the open model, as they were given. */
export const joined = signal<NamedFile[] | null>(null);

/** Files were dropped or chosen: what the open model misses joins it, another model is opened, of the rest one is asked. */
export async function take(chosen: NamedFile[]): Promise<void> {
  offer.value = null;
  if (chosen.length === 0) return;
  const found = report.value === null ? null : joining(report.value, chosen);
  if (found === null) return openFiles(chosen);
  if (found.sure) return join(chosen);
  offer.value = chosen;
}

/** Opens the model again with these files as parts of it. */
export async function join(chosen: NamedFile[]): Promise<void> {
  offer.value = null;
  const parts = report.value === null ? null : joining(report.value, chosen);
  if (parts !== null && (await joinFiles(parts.files))) joined.value = chosen;
}

/** Opens the files by themselves, in place of the model. */
export function openInstead(chosen: NamedFile[]): Promise<void> {
  offer.value = null;
  joined.value = null;
  return openFiles(chosen);
}

export function dismiss(): void {
  offer.value = null;
  joined.value = null;
}

/** What was said about one model is not said about the next. */
export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    dismiss();
  });
}
