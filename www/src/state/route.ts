import { signal } from "@preact/signals";

import { formatHash, parseHash, type Route, START } from "../lib/hash.ts";

/** Where the person is; kept in the address by whoever called `follow`. */
export const route = signal<Route>(START);

let write: (hash: string, replace: boolean) => void = () => {};

/** Starts from an address and tells of every change. */
export function follow(hash: string, onChange: (hash: string, replace: boolean) => void): void {
  route.value = parseHash(hash);
  write = onChange;
}

/** The address was changed by Back, Forward or a link. */
export function arrive(hash: string): void {
  route.value = parseHash(hash);
}

/** Goes somewhere. Steps that Back should undo are pushed; typing in a search field replaces. */
export function go(to: Partial<Route>, replace = false): void {
  const from = route.value;
  const moved: Route = { ...from, ...to };
  // A part belongs to its tab, and a search to its part.
  if (to.tab !== undefined && to.tab !== from.tab && to.part === undefined) moved.part = "";
  if ((moved.tab !== from.tab || moved.part !== from.part) && to.search === undefined) moved.search = "";
  if (formatHash(moved) === formatHash(from)) return;
  route.value = moved;
  write(formatHash(moved), replace);
}
