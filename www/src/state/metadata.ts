import { computed, effect, signal } from "@preact/signals";

import type { MetaItem } from "../wire/calls.ts";
import type { FaultReport, MetadataReport } from "../wire/report.ts";
import { faultOf } from "../wire/fault.ts";
import { askModel, generation, report } from "./model.ts";
import { route } from "./route.ts";

/** What is shown of one long array. */
export interface ArrayPage {
  start: number;
  items: MetaItem[];
  busy: boolean;
  fault: FaultReport | null;
}

export const PAGE = 64;

export const entries = computed<MetadataReport[]>(() => {
  const all = report.value?.metadata ?? [];
  const wanted = (route.value.tab === "metadata" ? route.value.search : "").toLowerCase().split(/\s+/).filter((t) => t !== "");
  if (wanted.length === 0) return all;
  return all.filter((entry) => {
    const text = `${entry.key}\n${entry.type}\n${Array.isArray(entry.value) ? entry.value.join("\n") : String(entry.value)}\n${entry.meaning ?? ""}`.toLowerCase();
    return wanted.every((t) => text.includes(t));
  });
});

/** Pages of the arrays that were opened, by key. */
export const pages = signal<ReadonlyMap<string, ArrayPage>>(new Map());

export async function showPage(key: string, start: number): Promise<void> {
  const mine = generation.value;
  const before = pages.value.get(key);
  put(key, { start: before?.start ?? start, items: before?.items ?? [], busy: true, fault: null });
  try {
    const items = await askModel("array", { key, start, count: PAGE });
    if (mine === generation.value) put(key, { start, items, busy: false, fault: null });
  } catch (error) {
    if (mine === generation.value) put(key, { start, items: [], busy: false, fault: faultOf(error) });
  }
}

export function closePages(key: string): void {
  const next = new Map(pages.value);
  next.delete(key);
  pages.value = next;
}

function put(key: string, page: ArrayPage): void {
  pages.value = new Map(pages.value).set(key, page);
}

export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    pages.value = new Map();
  });
}
