/** Equal lines kept around each change. */
const CONTEXT = 3;

/** A line, or how many equal ones were folded away from a place on. */
export type Folded<L> = L | { equal: number; from: number };

/** Changed lines with a few around them; runs of equal ones are folded. */
export function folded<L extends { change: string }>(lines: readonly L[]): Folded<L>[] {
  const changed = lines.flatMap((line, i) => (line.change === "same" ? [] : [i]));
  const out: Folded<L>[] = [];
  let next = 0;
  let fold: { equal: number; from: number } | null = null;
  lines.forEach((line, i) => {
    while (next < changed.length && (changed[next] ?? 0) + CONTEXT < i) next += 1;
    if ((changed[next] ?? Infinity) <= i + CONTEXT) {
      fold = null;
      out.push(line);
    } else if (fold === null) {
      fold = { equal: 1, from: i };
      out.push(fold);
    } else {
      fold.equal += 1;
    }
  });
  return out;
}
