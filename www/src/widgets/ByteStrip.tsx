import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { type ByteMap, columns, partAt } from "../lib/bytemap.ts";
import { bytes, count } from "../lib/format.ts";
import { visible } from "../lib/visible.ts";
import { useColours } from "./colours.ts";

/** How a part is drawn and called. */
export interface Look {
  /** A CSS colour. */
  colour: string;
  /** What is not data is drawn lower. */
  low: boolean;
  /** What belongs to nothing, or is not there, is hatched. */
  hatched: boolean;
  name: string;
  about: string;
}

interface Props {
  label: string;
  map: ByteMap;
  from: number;
  to: number;
  look: (part: number) => Look;
  /** The part that is chosen; -1 for none. */
  chosen: number;
  /** Bytes that are seen elsewhere on the page. */
  seen: { from: number; to: number };
  onZoom: (factor: number, around: number) => void;
  onMove: (bytes: number) => void;
  onPick: (part: number, at: number) => void;
  onWhole: () => void;
}

const HEIGHT = 116;
const STRIP = { top: 12, height: 44 };
const LOW = { top: 22, height: 24 };
const NAMES = 72;
const AXIS = 88;
const OVERVIEW = { top: 104, height: 8 };
/** A wheel that has just scrolled the page goes on scrolling it. */
const SCROLLING = 300;

/** A file's bytes as one strip: wheel, pinch and + - zoom, dragging and arrows move, a click picks. */
export function ByteStrip(props: Props) {
  const { label, map, from, to, look, onZoom, onMove, onPick, onWhole } = props;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useSignal(800);
  const hover = useSignal<{ x: number; part: number; at: number } | null>(null);
  const colours = useColours(box);
  const latest = useRef(props);
  latest.current = props;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watcher = new ResizeObserver(() => { width.value = element.clientWidth; });
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);
  // Read here and not in the effect: what is read while drawing the component draws it again when it changes.
  const wide = width.value;
  const resolve = colours.value;
  useEffect(() => {
    if (canvas.current !== null) paint(canvas.current, wide, props, resolve);
  });

  const byteAt = (x: number) => from + (x / Math.max(1, width.value)) * (to - from);
  const place = (event: { clientX: number; clientY: number }) => {
    const bounds = canvas.current?.getBoundingClientRect();
    return { x: event.clientX - (bounds?.left ?? 0), y: event.clientY - (bounds?.top ?? 0) };
  };
  useWheel(box, latest, width);
  const touches = useRef(new Map<number, { x: number; y: number }>());
  const moved = useRef(false);
  const onDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    canvas.current?.setPointerCapture(event.pointerId);
    touches.current.set(event.pointerId, place(event));
    moved.current = touches.current.size > 1;
    if (place(event).y >= OVERVIEW.top - 4) {
      moved.current = true;
      onMove((place(event).x / width.value) * map.extent - (from + to) / 2);
    }
  };
  const onPointer = (event: PointerEvent) => {
    const now = place(event);
    const before = touches.current.get(event.pointerId);
    if (before === undefined) {
      hover.value = now.y < NAMES ? { x: now.x, part: partAt(map, byteAt(now.x)), at: byteAt(now.x) } : null;
      return;
    }
    hover.value = null;
    const others = [...touches.current].filter(([id]) => id !== event.pointerId);
    const other = others[0]?.[1];
    if (other !== undefined) {
      const wide = Math.max(8, Math.abs(now.x - other.x));
      onZoom(Math.max(8, Math.abs(before.x - other.x)) / wide, byteAt((now.x + other.x) / 2));
      moved.current = true;
    } else if (moved.current || Math.abs(now.x - before.x) > 3) {
      moved.current = true;
      const inOverview = before.y >= OVERVIEW.top - 4;
      onMove(((inOverview ? map.extent : from - to) * (now.x - before.x)) / width.value);
    } else {
      return;
    }
    touches.current.set(event.pointerId, now);
  };
  const onUp = (event: PointerEvent) => {
    const known = touches.current.delete(event.pointerId);
    const { x, y } = place(event);
    if (!known || moved.current || y >= NAMES + 14) return;
    const byte = Math.floor(byteAt(x));
    const part = partAt(map, byte);
    if (part >= 0) onPick(part, byte);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const middle = (from + to) / 2;
    switch (event.key) {
      case "+": case "=": onZoom(1 / 2, middle); break;
      case "-": case "_": onZoom(2, middle); break;
      case "0": onWhole(); break;
      case "ArrowLeft": onMove((from - to) / 8); break;
      case "ArrowRight": onMove((to - from) / 8); break;
      case "Home": onMove(-map.extent); break;
      case "End": onMove(map.extent); break;
      case "Enter": case " ": {
        const part = partAt(map, Math.floor(middle));
        if (part >= 0) onPick(part, Math.floor(middle));
        break;
      }
      default: return;
    }
    event.preventDefault();
  };
  const tip = hover.value;
  return (
    <div ref={box} class="bytestrip" role="group" tabIndex={0} aria-label={label} aria-keyshortcuts="+ - ArrowLeft ArrowRight Home End 0 Enter" onKeyDown={onKeyDown}>
      <canvas
        ref={canvas}
        aria-hidden="true"
        style={{ width: "100%", height: `${HEIGHT}px` }}
        onPointerDown={onDown}
        onPointerMove={onPointer}
        onPointerUp={onUp}
        onPointerCancel={(e) => touches.current.delete(e.pointerId)}
        onPointerLeave={() => { hover.value = null; }}
        onDblClick={(e) => onZoom(1 / 4, byteAt(place(e).x))}
      />
      {tip !== null && tip.part >= 0 ? <Tip x={tip.x} width={width.value} map={map} part={tip.part} look={look(tip.part)} /> : null}
    </div>
  );
}

function Tip({ x, width, map, part, look }: { x: number; width: number; map: ByteMap; part: number; look: Look }) {
  const p = map.parts[part];
  if (p === undefined) return null;
  return (
    <div class="striptip" aria-hidden="true" style={x < width / 2 ? { left: `${Math.max(0, x - 12)}px` } : { right: `${Math.max(0, width - x - 12)}px` }}>
      <b class="break"><i class="swatch" style={{ background: look.colour }} />{visible(look.name)}</b>
      <span class="muted">{look.about}</span>
      <span class="muted">bytes {count(p.start)} to {count(p.end)}, {bytes(p.end - p.start)}</span>
    </div>
  );
}

/** Wheels need a listener that may keep the page from scrolling, which an attribute cannot give. */
function useWheel(box: { current: HTMLDivElement | null }, latest: { current: Props }, width: { value: number }): void {
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    let scrolled = -Infinity;
    const onScroll = () => { scrolled = performance.now(); };
    const onWheel = (event: WheelEvent) => {
      const { from, to, map, onZoom, onMove } = latest.current;
      const whole = from <= 0 && to >= map.extent;
      // A page that is being scrolled past goes on; and of the whole file there is nothing to zoom out of.
      if (!event.ctrlKey && performance.now() - scrolled < SCROLLING) return;
      if (whole && event.deltaY > 0) return;
      event.preventDefault();
      const bounds = element.getBoundingClientRect();
      const around = from + ((event.clientX - bounds.left) / Math.max(1, width.value)) * (to - from);
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 24 : 1;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) onMove((event.deltaX * lines * (to - from)) / Math.max(1, width.value));
      else onZoom(Math.exp(event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), around);
    };
    addEventListener("scroll", onScroll, { passive: true });
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => {
      removeEventListener("scroll", onScroll);
      element.removeEventListener("wheel", onWheel);
    };
  }, []);
}

function paint(canvas: HTMLCanvasElement, width: number, { map, from, to, look, chosen, seen }: Props, colour: (css: string) => string): void {
  const ratio = Math.min(3, devicePixelRatio);
  const wide = Math.max(1, Math.round(width * ratio));
  if (canvas.width !== wide || canvas.height !== HEIGHT * ratio) {
    canvas.width = wide;
    canvas.height = HEIGHT * ratio;
  }
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  const ink = colour("var(--muted)");
  const scale = wide / (to - from);
  band(context, map, from, to, wide, ratio, look, colour, STRIP, LOW);
  const part = map.parts[chosen];
  if (part !== undefined) outline(context, (part.start - from) * scale, (part.end - from) * scale, wide, ratio, colour("var(--ink)"));
  names(context, map, from, to, wide, ratio, look, ink);
  axis(context, from, to, wide, ratio, ink, colour("var(--line)"));
  band(context, map, 0, Math.max(1, map.extent), wide, ratio, look, colour, OVERVIEW, OVERVIEW);
  const all = wide / Math.max(1, map.extent);
  context.fillStyle = colour("var(--bg)");
  context.globalAlpha = 0.72;
  context.fillRect(0, (OVERVIEW.top - 1) * ratio, from * all, (OVERVIEW.height + 2) * ratio);
  context.fillRect(to * all, (OVERVIEW.top - 1) * ratio, wide, (OVERVIEW.height + 2) * ratio);
  context.globalAlpha = 1;
  if (seen.to > seen.from) pointer(context, ((seen.from + seen.to) / 2 - from) * scale, ratio, colour("var(--accent)"));
}

/** The parts of some bytes, pixel by pixel; what must be seen and is too small gets a mark above. */
function band(context: CanvasRenderingContext2D, map: ByteMap, from: number, to: number, wide: number, ratio: number, look: (part: number) => Look, colour: (css: string) => string, full: { top: number; height: number }, low: { top: number; height: number }): void {
  const { part, marked } = columns(map, from, to, wide);
  const bad = colour("var(--bad)");
  for (let x = 0; x < wide;) {
    const i = part[x] ?? -1;
    let end = x + 1;
    while (end < wide && part[end] === i) end += 1;
    if (i >= 0) {
      const { colour: css, low: isLow, hatched } = look(i);
      const { top, height } = isLow ? low : full;
      // Neighbours are told apart where there is room for a line between them.
      const gap = end - x > 4 * ratio && full !== low ? ratio : 0;
      context.fillStyle = colour(css);
      context.globalAlpha = hatched ? 0.28 : 1;
      context.fillRect(x, top * ratio, end - x - gap, height * ratio);
      context.globalAlpha = 1;
      if (hatched) hatch(context, x, end - gap, top * ratio, height * ratio, ratio, colour(css));
    }
    x = end;
  }
  context.fillStyle = bad;
  for (let x = 0; x < wide;) {
    if (marked[x] !== 1) { x += 1; continue; }
    let end = x + 1;
    while (end < wide && marked[end] === 1) end += 1;
    if (full === low) context.fillRect(x, full.top * ratio, Math.max(end - x, ratio), full.height * ratio);
    else context.fillRect(x, (full.top - 7) * ratio, Math.max(end - x, 2 * ratio), 4 * ratio);
    x = end;
  }
}

function hatch(context: CanvasRenderingContext2D, x0: number, x1: number, y: number, height: number, ratio: number, colour: string): void {
  context.save();
  context.beginPath();
  context.rect(x0, y, x1 - x0, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1.5 * ratio;
  context.beginPath();
  for (let x = x0 - height; x < x1; x += 6 * ratio) {
    context.moveTo(x, y + height);
    context.lineTo(x + height, y);
  }
  context.stroke();
  context.restore();
}

function outline(context: CanvasRenderingContext2D, x0: number, x1: number, wide: number, ratio: number, colour: string): void {
  if (x1 < 0 || x0 > wide) return;
  const left = Math.max(-4 * ratio, x0);
  const right = Math.min(wide + 4 * ratio, Math.max(x1, x0 + 3 * ratio));
  context.strokeStyle = colour;
  context.lineWidth = 2 * ratio;
  context.strokeRect(left + ratio, (STRIP.top - 1) * ratio, Math.max(ratio, right - left - 2 * ratio), (STRIP.height + 2) * ratio);
}

/** Names of the parts that are wide enough for one. */
function names(context: CanvasRenderingContext2D, map: ByteMap, from: number, to: number, wide: number, ratio: number, look: (part: number) => Look, ink: string): void {
  const { part } = columns(map, from, to, wide);
  context.font = `${11 * ratio}px ${getComputedStyle(context.canvas).fontFamily}`;
  context.fillStyle = ink;
  context.textBaseline = "alphabetic";
  for (let x = 0; x < wide;) {
    const i = part[x] ?? -1;
    let end = x + 1;
    while (end < wide && part[end] === i) end += 1;
    if (i >= 0 && end - x > 44 * ratio) {
      const text = fitted(context, visible(look(i).name), end - x - 6 * ratio);
      if (text !== "") context.fillText(text, x + ratio, NAMES * ratio);
    }
    x = end;
  }
}

/** The end of a long name says more than its beginning: "blk.0.attn_q.weight" against "blk.0.attn_k.weight". */
function fitted(context: CanvasRenderingContext2D, name: string, room: number): string {
  const text = name.length > 120 ? `\u2026${name.slice(-120)}` : name;
  if (context.measureText(text).width <= room) return text;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (context.measureText(`\u2026${text.slice(middle)}`).width <= room) high = middle;
    else low = middle + 1;
  }
  return text.length - low < 4 ? "" : `\u2026${text.slice(low)}`;
}

function axis(context: CanvasRenderingContext2D, from: number, to: number, wide: number, ratio: number, ink: string, line: string): void {
  const step = stepFor(((to - from) / wide) * 130 * ratio);
  context.font = `${11 * ratio}px ${getComputedStyle(context.canvas).fontFamily}`;
  for (let at = Math.ceil(from / step) * step; at < to; at += step) {
    const x = Math.round(((at - from) / (to - from)) * wide);
    context.fillStyle = line;
    context.fillRect(x, (NAMES + 5) * ratio, ratio, (AXIS - NAMES + 3) * ratio);
    context.fillStyle = ink;
    if (x + 4 * ratio + context.measureText(count(at)).width < wide) context.fillText(count(at), x + 4 * ratio, (AXIS + 6) * ratio);
  }
}

/** The next of 1, 2, 5, 10, 20, ... */
export function stepFor(least: number): number {
  const ten = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((n) => n * ten).find((n) => n >= least) ?? 10 * ten;
}

function pointer(context: CanvasRenderingContext2D, x: number, ratio: number, colour: string): void {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x - 5 * ratio, (STRIP.top + STRIP.height + 9) * ratio);
  context.lineTo(x + 5 * ratio, (STRIP.top + STRIP.height + 9) * ratio);
  context.lineTo(x, (STRIP.top + STRIP.height + 1) * ratio);
  context.fill();
}
