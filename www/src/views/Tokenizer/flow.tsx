import { type Signal, useSignal } from "@preact/signals";
import { Component } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import type { Cut } from "../../lib/graphemes.ts";
import { tokenSegments } from "../../lib/visible.ts";
import { PAGE, type Pages } from "../../state/tokens.ts";
import type { PieceReport } from "../../wire/report.ts";
import { Runs } from "../../widgets/Text.tsx";

interface FlowProps {
  label: string;
  /** All pieces, also those that are not here yet. */
  count: number;
  pages: Pages;
  /** Called with the first and last page in sight. */
  need: (first: number, last: number) => void;
  pointed: Signal<number | null>;
  picked: Signal<number | null>;
  /** First and one past the last piece to be marked; brought into sight when they change. */
  hit?: readonly [number, number] | null;
  cut?: (piece: PieceReport) => Cut | null;
}

/** Pieces side by side in lines, any number of them: only the pages near what is in sight exist. One tab stop; arrows move. */
export function Flow({ label, count, pages, need, pointed, picked, hit = null, cut }: FlowProps) {
  const box = useRef<HTMLDivElement>(null);
  const heights = useRef<(number | undefined)[]>([]);
  const focus = useRef<number | null>(null);
  const wanted = useRef<number | null>(null);
  const sight = useSignal({ top: 0, height: 320, width: 0 });
  const measured = useSignal(0);
  const active = useSignal(0);

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const look = () => {
      if (sight.peek().width !== element.clientWidth) heights.current = [];
      sight.value = { top: element.scrollTop, height: element.clientHeight, width: element.clientWidth };
    };
    const watcher = new ResizeObserver(look);
    watcher.observe(element);
    look();
    return () => watcher.disconnect();
  }, []);

  const total = Math.ceil(count / PAGE);
  void measured.value;
  // The first page that is drawn says how high the others may be; were it their average, each new one would move all.
  const usual = heights.current.find((h) => h !== undefined) ?? Math.ceil((PAGE * 48) / Math.max(240, sight.value.width)) * 44;
  const offsets = placed(heights.current, total, count, usual);
  const { top, height } = sight.value;
  const first = Math.max(0, pageAt(offsets, top - height));
  const last = Math.min(total - 1, pageAt(offsets, top + 2 * height));
  const at = Math.min(active.value, Math.max(0, count - 1));
  const shown: number[] = [];
  for (let page = first; page <= last; page++) shown.push(page);
  // The tab stop must exist, wherever the list is scrolled to.
  const home = Math.floor(at / PAGE);
  if (total > 0 && (home < first || home > last)) shown.push(home);

  useLayoutEffect(() => { if (total > 0) need(first, last); }, [first, last, total, pages]);

  // Heights are known once a page is drawn; what lies above the sight must not push it.
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    let shift = 0;
    let changed = false;
    for (const block of element.querySelectorAll<HTMLElement>("[data-page]")) {
      const page = Number(block.dataset["page"]);
      const before = (offsets[page + 1] ?? 0) - (offsets[page] ?? 0);
      if (block.childElementCount === 0 || heights.current[page] === block.offsetHeight) continue;
      heights.current[page] = block.offsetHeight;
      changed = true;
      if ((offsets[page + 1] ?? 0) <= element.scrollTop) shift += block.offsetHeight - before;
    }
    if (changed) {
      measured.value += 1;
      if (shift !== 0) element.scrollTop += shift;
    }
    // Where a piece lies is known only once it is drawn: until then its page is guessed at.
    if (wanted.current !== null) {
      const piece = wanted.current;
      if (!changed && element.querySelector(`[data-n="${piece}"]`) !== null) wanted.current = null;
      reveal(piece);
    }
    if (focus.current !== null) {
      const piece = element.querySelector<HTMLElement>(`[data-n="${focus.current}"]`);
      if (piece !== null) {
        focus.current = null;
        piece.focus();
      }
    }
  });

  const reveal = (piece: number) => {
    const element = box.current;
    const page = Math.floor(piece / PAGE);
    if (element === null) return;
    const drawn = element.querySelector<HTMLElement>(`[data-n="${piece}"]`);
    const share = (piece % PAGE) / PAGE;
    const from = drawn === null ? (offsets[page] ?? 0) + share * ((offsets[page + 1] ?? 0) - (offsets[page] ?? 0)) : drawn.getBoundingClientRect().top - element.getBoundingClientRect().top + element.scrollTop;
    if (from < element.scrollTop || from + 44 > element.scrollTop + element.clientHeight) element.scrollTop = Math.max(0, from - element.clientHeight / 3);
  };
  useLayoutEffect(() => {
    if (hit === null) return;
    wanted.current = hit[0];
    reveal(hit[0]);
  }, [hit?.[0], hit?.[1]]);

  const move = (to: number) => {
    const piece = Math.max(0, Math.min(count - 1, to));
    active.value = piece;
    pointed.value = piece;
    focus.current = piece;
    wanted.current = piece;
    reveal(piece);
  };
  const onKeyDown = (e: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + 10, ArrowUp: at - 10, PageDown: at + 200, PageUp: at - 200, Home: 0, End: count - 1 };
    const to = steps[e.key];
    if (e.key === "Enter" || e.key === " ") picked.value = at;
    else if (to === undefined) return;
    else move(to);
    e.preventDefault();
  };
  return (
    <div
      class="pieces"
      ref={box}
      role="listbox"
      aria-label={`${label}; arrow keys move, Enter chooses`}
      onScroll={(e) => { sight.value = { ...sight.value, top: e.currentTarget.scrollTop }; }}
      onKeyDown={onKeyDown}
      onMouseOver={(e) => (pointed.value = numberOf(e.target))}
      onMouseLeave={() => (pointed.value = null)}
      onFocusIn={(e) => {
        const piece = numberOf(e.target);
        if (piece === null) return;
        active.value = piece;
        pointed.value = piece;
      }}
      onFocusOut={() => (pointed.value = null)}
      onClick={(e) => {
        const piece = numberOf(e.target);
        if (piece === null) return;
        picked.value = piece;
        active.value = piece;
        focus.current = piece;
      }}
    >
      <div class="all" role="presentation" style={{ height: `${offsets[total] ?? 0}px` }}>
        {shown.map((page) => (
          <Block
            key={page}
            page={page}
            pieces={pages.get(page)}
            top={offsets[page] ?? 0}
            count={count}
            active={within(at, page)}
            picked={picked.value === null ? -1 : within(picked.value, page)}
            from={hit === null ? PAGE : Math.max(0, hit[0] - page * PAGE)}
            to={hit === null ? 0 : Math.min(PAGE, hit[1] - page * PAGE)}
            cut={cut}
          />
        ))}
      </div>
    </div>
  );
}

/** Number inside its page; -1 where it is in another one. */
function within(piece: number, page: number): number {
  const number = piece - page * PAGE;
  return number >= 0 && number < PAGE ? number : -1;
}

function numberOf(target: EventTarget | null): number | null {
  const piece = target instanceof Element ? target.closest<HTMLElement>("[data-n]") : null;
  return piece === null ? null : Number(piece.dataset["n"]);
}

/** Where each page begins; pages that were never drawn are taken to be as high as usual. */
function placed(heights: readonly (number | undefined)[], total: number, count: number, usual: number): number[] {
  const out = [0];
  for (let page = 0; page < total; page++) {
    const share = Math.min(1, (count - page * PAGE) / PAGE);
    out.push((out[page] ?? 0) + (heights[page] ?? usual * share));
  }
  return out;
}

function pageAt(offsets: readonly number[], y: number): number {
  let low = 0;
  for (let high = offsets.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((offsets[middle] ?? 0) <= y) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

interface BlockProps {
  page: number;
  pieces: readonly PieceReport[] | undefined;
  top: number;
  count: number;
  /** The tab stop, -1 for none here. */
  active: number;
  picked: number;
  /** Marked pieces: from, and one past the last. */
  from: number;
  to: number;
  cut: ((piece: PieceReport) => Cut | null) | undefined;
}

/** A page of pieces; drawn again only where something in it changes, since pointing must be quick. */
class Block extends Component<BlockProps> {
  override shouldComponentUpdate(next: BlockProps): boolean {
    const now = this.props;
    const nothing = (p: BlockProps) => p.from >= p.to;
    const marks = nothing(now) && nothing(next) ? false : now.from !== next.from || now.to !== next.to;
    return marks || now.pieces !== next.pieces || now.top !== next.top || now.active !== next.active || now.picked !== next.picked || now.count !== next.count;
  }

  render({ page, pieces, top, count, active, picked, from, to, cut }: BlockProps) {
    return (
      <div class="piece-page" role="presentation" data-page={page} style={{ top: `${top}px` }}>
        {pieces?.map((piece, i) => {
          const broken = cut?.(piece) ?? null;
          const name = [
            "piece",
            piece.kind === "normal" ? `t${(page * PAGE + i) % 4}` : piece.kind === "byte" ? "raw" : piece.kind === "unknown" ? "lost" : "special",
            i >= from && i < to ? "hit" : "",
            broken?.before ? "cut-before" : "",
            broken?.after ? "cut-after" : "",
          ];
          return (
            <span
              key={i}
              role="option"
              class={name.filter((n) => n !== "").join(" ")}
              data-n={page * PAGE + i}
              aria-selected={i === picked}
              aria-posinset={page * PAGE + i + 1}
              aria-setsize={count}
              tabIndex={i === active ? 0 : -1}
            >
              <span class="word">{piece.text === "" ? <span class="hidden-char">empty</span> : <bdi><Runs of={tokenSegments(piece.text)} /></bdi>}</span>
              <span class="id">{piece.id}</span>
            </span>
          );
        })}
      </div>
    );
  }
}
