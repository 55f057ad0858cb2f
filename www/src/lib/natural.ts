const COLLATOR = new Intl.Collator("en", { numeric: true, sensitivity: "variant" });

/** "blk.2" before "blk.10", as people count. */
export function natural(a: string, b: string): number {
  return COLLATOR.compare(a, b);
}
