import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import { count } from "../lib/format.ts";
import { hexOffset, textCells } from "../lib/hexdump.ts";

/** A run of bytes of one colour. */
export interface Run {
  end: number;
  colour: string;
  /** Drawn apart from its neighbours. */
  chosen: boolean;
}

interface Props {
  label: string;
  /** Bytes of the file. */
  length: number;
  /** The byte to bring into sight whenever it changes; null for none. */
  at: number | null;
  /** Bytes [from, to), null where they are still on their way. */
  bytes: (from: number, to: number) => (number | null)[];
  /** The run that a byte belongs to. */
  run: (at: number) => Run;
  onSee: (from: number, to: number) => void;
}

const ROW = 20;
/** Rows that exist to be scrolled through at once: browsers cut elements higher than 16 million pixels. */
const SPAN = 400_000;
const OVERSCAN = 4;
/** Width in pixels below which a row holds eight bytes. */
const NARROW = 640;

/** The bytes of a file of any length; only rows in sight exist. */
export function HexView({ label, length, at, bytes, run, onSee }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const per = useSignal(16);
  const top = useSignal(0);
  const height = useSignal(480);
  /** The row that lies at the top of what can be scrolled. */
  const base = useSignal(0);
  const rows = Math.ceil(length / per.value);
  const span = Math.min(rows, SPAN);
  const highest = Math.max(0, rows - SPAN);

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const measure = () => {
      height.value = element.clientHeight;
      per.value = element.clientWidth < NARROW ? 8 : 16;
    };
    const watcher = new ResizeObserver(measure);
    watcher.observe(element);
    measure();
    return () => watcher.disconnect();
  }, []);

  /** Scrolls to a row, which may lie anywhere in the file. */
  const show = (row: number) => {
    const element = box.current;
    if (element === null) return;
    base.value = Math.max(0, Math.min(highest, row - SPAN / 2));
    const within = (row - base.value) * ROW;
    // The height of what is scrolled changes with the base only where the file is short.
    element.scrollTop = within;
    top.value = element.scrollTop;
  };
  useLayoutEffect(() => {
    if (at === null) return;
    const row = Math.floor(at / per.value);
    const first = base.value + Math.ceil(top.value / ROW);
    const room = Math.floor(height.value / ROW) - 1;
    if (row < first || row >= first + room) show(Math.max(0, row - 2));
  }, [at, per.value]);

  const first = Math.max(0, base.value + Math.floor(top.value / ROW) - OVERSCAN);
  const last = Math.min(rows, base.value + Math.ceil((top.value + height.value) / ROW) + OVERSCAN);
  const seen = { from: Math.min(length, (base.value + Math.floor(top.value / ROW)) * per.value), to: Math.min(length, (base.value + Math.ceil((top.value + height.value) / ROW)) * per.value) };
  useLayoutEffect(() => onSee(seen.from, seen.to), [seen.from, seen.to]);

  const onScroll = (element: HTMLElement) => {
    top.value = element.scrollTop;
    const row = base.value + Math.floor(element.scrollTop / ROW);
    const far = element.scrollTop > SPAN * ROW * 0.85 && base.value < highest;
    const near = element.scrollTop < SPAN * ROW * 0.15 && base.value > 0;
    if (far || near) show(row);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    show(event.key === "Home" ? 0 : rows - 1);
  };

  const inSight: number[] = [];
  for (let i = first; i < last; i++) inSight.push(i);
  return (
    <div ref={box} class="hexview mono" role="table" aria-label={label} aria-rowcount={rows} tabIndex={0} onScroll={(e) => onScroll(e.currentTarget)} onKeyDown={onKeyDown}>
      <div role="rowgroup" class="hexbody" style={{ height: `${span * ROW}px` }}>
        {inSight.map((row) => (
          <Row key={row} row={row} top={(row - base.value) * ROW} length={length} at={at} per={per.value} bytes={bytes} run={run} />
        ))}
      </div>
    </div>
  );
}

function Row({ row, top, length, at, per, bytes, run }: { row: number; top: number; length: number; at: number | null; per: number; bytes: Props["bytes"]; run: Props["run"] }) {
  const from = row * per;
  const to = Math.min(length, from + per);
  const here = bytes(from, to);
  return (
    <div role="row" aria-rowindex={row + 1} class="hexrow" style={{ top: `${top}px` }}>
      <span role="rowheader" class="offset" title={count(from)}>{hexOffset(from, length)}</span>
      <span role="cell" class="pairs">{pairs(here, from, per, at, run)}</span>
      <span role="cell" class="chars">{characters(bytes, here, from, to, length)}</span>
    </div>
  );
}

/** The pairs of a row, cut where its runs and the marked byte begin. */
function pairs(here: (number | null)[], from: number, per: number, at: number | null, run: Props["run"]) {
  const out = [];
  for (let i = 0; i < here.length;) {
    const { end, colour, chosen } = run(from + i);
    const stop = Math.min(here.length, Math.max(i + 1, end - from));
    const cells = [];
    for (let k = i; k < stop; k++) {
      const text = here[k] == null ? "\u00b7\u00b7" : (here[k] ?? 0).toString(16).padStart(2, "0");
      cells.push(from + k === at ? <mark key={k}>{text}</mark> : text);
      // The space behind a run's last byte belongs to nobody.
      if (k + 1 < stop) cells.push(k + 1 === per / 2 ? "  " : " ");
    }
    out.push(<span key={i} class={chosen ? "bytes-run chosen" : "bytes-run"} style={{ borderColor: colour }}>{cells}</span>);
    if (stop < here.length) out.push(stop === per / 2 ? "  " : " ");
    i = stop;
  }
  return out;
}

/** The text of a row; characters may begin in the row before and end in the next. */
function characters(bytes: Props["bytes"], here: (number | null)[], from: number, to: number, length: number) {
  const before = Math.max(0, from - 3);
  const around = bytes(before, Math.min(length, to + 3));
  if (here.some((b) => b === null)) return null;
  const cells = textCells(Uint8Array.from(around, (b) => b ?? 0)).slice(from - before, to - before);
  const out = [];
  let plain = "";
  cells.forEach((cell, i) => {
    if (cell.hidden === undefined) {
      plain += cell.text;
      return;
    }
    if (plain !== "") out.push(plain);
    plain = "";
    out.push(<span key={i} class="hidden-char" title={cell.hidden}>{cell.text}</span>);
  });
  if (plain !== "") out.push(plain);
  return <bdi>{out}</bdi>;
}
