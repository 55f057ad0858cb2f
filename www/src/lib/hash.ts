/** The page's state as it stands in the address: tab, tensor, search. Everything after "#" stays on this machine. */

export const TABS = ["overview", "metadata", "tensors", "bytes", "graph", "tokenizer", "run", "notes"] as const;
export type Tab = (typeof TABS)[number];

export interface Route {
  tab: Tab;
  /** Name of the tensor that is open. */
  tensor: string | null;
  /** Search text of the tab. */
  search: string;
  /** Which part of a tab that has several; empty for its first. */
  part: string;
  /** Number of the file whose bytes are shown. */
  file: number;
  /** The byte that is shown; null for none in particular. */
  at: number | null;
  /** Number of the graph's node that is chosen. */
  node: number | null;
}

export const START: Route = { tab: "overview", tensor: null, search: "", part: "", file: 0, at: null, node: null };

/** Reads "#tensors?tensor=blk.0.attn_q.weight&q=attn+q4" or "#bytes?file=1&at=4096". Unknown parts are ignored, never an error. */
export function parseHash(hash: string): Route {
  const [tab = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const fields = new URLSearchParams(query);
  return {
    tab: TABS.find((t) => t === tab) ?? "overview",
    tensor: fields.get("tensor"),
    search: fields.get("q") ?? "",
    part: fields.get("part") ?? "",
    file: whole(fields.get("file")) ?? 0,
    at: whole(fields.get("at")),
    node: whole(fields.get("node")),
  };
}

/** Digits alone; a number that would lose precision is none. */
function whole(text: string | null): number | null {
  const value = text !== null && /^\d+$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : null;
}

/** The inverse of `parseHash`. */
export function formatHash(route: Route): string {
  const fields = new URLSearchParams();
  if (route.tensor !== null && (route.tab === "tensors" || route.tab === "bytes")) fields.set("tensor", route.tensor);
  if (route.tab === "bytes" && route.file !== 0) fields.set("file", String(route.file));
  if (route.tab === "bytes" && route.at !== null) fields.set("at", String(route.at));
  if (route.tab === "graph" && route.node !== null) fields.set("node", String(route.node));
  if (route.part !== "") fields.set("part", route.part);
  if (route.search !== "") fields.set("q", route.search);
  const query = fields.toString();
  return `#${route.tab}${query === "" ? "" : `?${query}`}`;
}
