/** The page's state as it stands in the address: tab, tensor, search. Everything after "#" stays on this machine. */

export const TABS = ["overview", "metadata", "tensors", "graph", "tokenizer", "run", "notes"] as const;
export type Tab = (typeof TABS)[number];

export interface Route {
  tab: Tab;
  /** Name of the tensor that is open. */
  tensor: string | null;
  /** Search text of the tab. */
  search: string;
  /** Which part of a tab that has several; empty for its first. */
  part: string;
}

export const START: Route = { tab: "overview", tensor: null, search: "", part: "" };

/** Reads "#tensors?tensor=blk.0.attn_q.weight&q=attn+q4". Unknown parts are ignored, never an error. */
export function parseHash(hash: string): Route {
  const [tab = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const fields = new URLSearchParams(query);
  return {
    tab: TABS.find((t) => t === tab) ?? "overview",
    tensor: fields.get("tensor"),
    search: fields.get("q") ?? "",
    part: fields.get("part") ?? "",
  };
}

/** The inverse of `parseHash`. */
export function formatHash(route: Route): string {
  const fields = new URLSearchParams();
  if (route.tensor !== null && route.tab === "tensors") fields.set("tensor", route.tensor);
  if (route.part !== "") fields.set("part", route.part);
  if (route.search !== "") fields.set("q", route.search);
  const query = fields.toString();
  return `#${route.tab}${query === "" ? "" : `?${query}`}`;
}
