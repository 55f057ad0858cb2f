import { computed, effect, signal } from "@preact/signals";

import type { Calls } from "../wire/calls.ts";
import type { TokenReport, VocabularyReport } from "../wire/report.ts";
import { latest } from "./latest.ts";
import { askModel, generation, report } from "./model.ts";
import { fill, reset, resource } from "./resource.ts";
import { route } from "./route.ts";

/** Tokens are asked for in pages of so many. */
export const PAGE = 200;

export type Sort = Calls["vocabulary"]["ask"]["sort"];
export const kind = signal("");
export const sort = signal<{ by: Sort; reverse: boolean }>({ by: "id", reverse: false });

/** Counts and the first page of what the query finds. */
export const found = resource<VocabularyReport>();
const pages = signal<ReadonlyMap<number, readonly TokenReport[]>>(new Map());
let fetching = new Set<number>();

const query = computed(() => ({ search: route.value.search, kind: kind.value, sort: sort.value.by, reverse: sort.value.reverse }));

export function tokenAt(number: number): TokenReport | undefined {
  return pages.value.get(Math.floor(number / PAGE))?.[number % PAGE];
}

/** Turns a column round, or sorts by it, the most interesting first. */
export function sortBy(by: Sort): void {
  sort.value = { by, reverse: sort.value.by === by ? !sort.value.reverse : false };
}

const look = latest(async () => {
  const model = generation.value;
  const asked = query.value;
  await fill(
    found,
    async () => {
      const answer = await askModel("vocabulary", { ...asked, first: 0, count: PAGE });
      fetching = new Set();
      pages.value = new Map([[0, answer.tokens]]);
      return answer;
    },
    () => model === generation.value && asked === query.value,
  );
});

/** Asks for a page that is in sight and not here. */
export async function needPage(page: number): Promise<void> {
  const of = found.peek().value;
  if (of === null || pages.peek().has(page) || fetching.has(page)) return;
  const mine = fetching;
  mine.add(page);
  try {
    const answer = await askModel("vocabulary", { ...query.peek(), first: page * PAGE, count: PAGE });
    if (mine === fetching) pages.value = new Map([...pages.peek(), [page, answer.tokens]]);
  } catch {
    // Stays empty; the next look at it asks again.
  } finally {
    mine.delete(page);
  }
}

export function watchQuery(): () => void {
  let done: readonly unknown[] = [];
  return effect(() => {
    const key = [generation.value, query.value];
    if (route.value.tab !== "tokenizer" || route.value.part !== "vocabulary" || report.value?.tokenizer == null || key.every((k, i) => k === done[i])) return;
    done = key;
    void look();
  });
}

export function watchModel(): () => void {
  return effect(() => {
    void generation.value;
    reset(found);
    pages.value = new Map();
    fetching = new Set();
    kind.value = "";
  });
}
