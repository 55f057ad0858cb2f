/** Stretches of a list that repeat: the layers of a network whose names say nothing. */

export interface Repeat {
  start: number;
  /** Items of one block. */
  length: number;
  times: number;
}

/** Longest block that is looked for. */
const LONGEST = 600;
/** A block of fewer items is no block. */
const SHORTEST = 4;
/** Comparisons in all, at most. */
const WORK = 20_000_000;

/** Stretches without overlap, each the one that covers most of what is left; in the order of the list. */
export function repeats(items: readonly string[]): Repeat[] {
  const names = new Map<string, number>();
  const codes = Int32Array.from(items, (item) => {
    const known = names.get(item) ?? names.size;
    names.set(item, known);
    return known;
  });
  const found: Repeat[] = [];
  let work = WORK;
  const search = (start: number, end: number) => {
    const longest = Math.min(LONGEST, Math.floor((end - start) / 2));
    work -= longest * (end - start);
    if (longest < SHORTEST || work < 0) return;
    const best = most(codes, start, end, longest);
    if (best === null) return;
    search(start, best.start);
    found.push(best);
    search(best.start + best.length * best.times, end);
  };
  search(0, items.length);
  return found;
}

function most(codes: Int32Array, start: number, end: number, longest: number): Repeat | null {
  let best: Repeat | null = null;
  let covered = 0;
  for (let length = SHORTEST; length <= longest; length++) {
    let run = 0;
    for (let i = start; i + length <= end; i++) {
      const same = i + length < end && codes[i] === codes[i + length];
      if (same) {
        run += 1;
        continue;
      }
      const times = Math.floor(run / length) + 1;
      // Twice the same by chance is nothing: short blocks must come three times.
      if (times >= (length < 12 ? 3 : 2) && times * length > covered && varied(codes, i - run, length)) {
        covered = times * length;
        best = { start: i - run, length, times };
      }
      run = 0;
    }
  }
  return best;
}

/** A row of one operator is no block. */
function varied(codes: Int32Array, start: number, length: number): boolean {
  for (let i = 1; i < length; i++) if (codes[start + i] !== codes[start]) return true;
  return false;
}
