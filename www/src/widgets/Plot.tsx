import { useSignal } from "@preact/signals";
import { ticks as steps } from "d3-array";
import { area, line } from "d3-shape";
import { useLayoutEffect, useRef } from "preact/hooks";

import { count, real } from "../lib/format.ts";

export interface AxisOf {
  label: string;
  from: number;
  to: number;
  log?: boolean;
  /** Ticks are whole numbers. */
  whole?: boolean;
  format?: (value: number) => string;
}

type Point = readonly [number, number];

export interface Line {
  key: string;
  colour: string;
  points: readonly Point[];
  dashed?: boolean;
  /** A dot on every point, for few of them. */
  dots?: boolean;
}

export interface Mark {
  x: number;
  y: number;
  label: string;
}

interface Props {
  /** What the picture says, for who does not see it. */
  label: string;
  height: number;
  x: AxisOf;
  y: AxisOf;
  lines: readonly Line[];
  /** Ranges: x, low, high. */
  bands?: readonly { key: string; colour: string; points: readonly (readonly [number, number, number])[] }[];
  marks?: readonly Mark[];
  /** Where the reading line stops, and what is read there. */
  stops: readonly number[];
  say: (stop: number) => string;
}

const LEFT = 58;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 38;

/** Lines over two axes with a reading line, which pointer and arrow keys move. */
export function Plot({ label, height, x, y, lines, bands = [], marks = [], stops, say }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = useSignal(0);
  const at = useSignal(-1);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watcher = new ResizeObserver(() => { width.value = element.clientWidth; });
    watcher.observe(element);
    width.value = element.clientWidth;
    return () => watcher.disconnect();
  }, []);
  const [right, bottom] = [Math.max(LEFT + 1, width.value - RIGHT), height - BOTTOM];
  const sx = scale(x, [LEFT, right]);
  const sy = scale(y, [bottom, TOP]);
  const path = line<Point>().x((p) => sx(p[0])).y((p) => sy(p[1]));
  const range = area<readonly [number, number, number]>().x((p) => sx(p[0])).y0((p) => sy(p[1])).y1((p) => sy(p[2]));
  const last = stops.length - 1;
  const now = Math.min(at.value, last);
  const stop = stops[now];
  const follow = (e: PointerEvent) => {
    const edge = (e.currentTarget as HTMLElement).getBoundingClientRect();
    const wanted = sx.invert(LEFT + (e.clientX - edge.left));
    at.value = nearest(stops, wanted);
  };
  const xTicks = ticks(x, Math.max(2, Math.floor(width.value / 90)));
  return (
    <figure class="plot">
      <div ref={box} class="plot-box" style={{ height: `${height}px` }}>
        {width.value === 0 ? null : (
          <svg width={width.value} height={height} role="img" aria-label={label}>
            {ticks(y, Math.max(2, Math.floor(height / 45))).map((t) => <g key={t} class="tick"><line x1={LEFT} x2={right} y1={sy(t)} y2={sy(t)} /><text x={LEFT - 6} y={sy(t) + 4} text-anchor="end">{write(y, t)}</text></g>)}
            {xTicks.map((t) => <text key={t} class="tick" x={Math.min(sx(t), right)} y={bottom + 16} text-anchor={sx(t) > right - 16 ? "end" : "middle"}>{write(x, t)}</text>)}
            <line class="axis" x1={LEFT} x2={right} y1={bottom} y2={bottom} />
            <text class="name" x={right} y={height - 4} text-anchor="end">{x.label}</text>
            {bands.map((b) => <path key={b.key} class="band" fill={b.colour} d={range(b.points) ?? ""} />)}
            {lines.map((l) => <path key={l.key} class="line" stroke={l.colour} stroke-dasharray={l.dashed === true ? "5 4" : undefined} d={path(l.points) ?? ""} />)}
            {lines.filter((l) => l.dots === true).map((l) => <g key={l.key} fill={l.colour}>{l.points.map(([px, py]) => <circle key={px} cx={sx(px)} cy={sy(py)} r={2} />)}</g>)}
            {marks.map((m, i) => <circle key={i} class="mark" cx={sx(m.x)} cy={sy(m.y)} r={6}><title>{m.label}</title></circle>)}
            {placed(marks, sx, sy, right).map((m, i) => <text key={i} class="named" x={m.x} y={m.y} text-anchor={m.end ? "end" : "start"}>{m.label}</text>)}
            {stop === undefined ? null : <line class="reading" x1={sx(stop)} x2={sx(stop)} y1={TOP} y2={bottom} />}
          </svg>
        )}
        {last >= 0 ? (
          <input
            type="range" class="reader" min={0} max={Math.max(0, last)} step={1} value={Math.max(0, now)} aria-label="Read the plot" aria-valuetext={say(Math.max(0, now))}
            style={{ left: `${LEFT}px`, width: `${right - LEFT}px`, top: `${TOP}px`, height: `${bottom - TOP}px` }}
            onInput={(e) => { at.value = e.currentTarget.valueAsNumber; }} onFocus={() => { if (at.value < 0) at.value = 0; }}
            onPointerMove={follow} onPointerDown={follow} onPointerLeave={() => { if (document.activeElement?.classList.contains("reader") !== true) at.value = -1; }}
          />
        ) : null}
      </div>
      <figcaption class="small readout" aria-hidden="true">{now >= 0 ? say(now) : <span class="muted">{y.label}. Point at the plot, or move through it with the arrow keys, to read it.</span>}</figcaption>
    </figure>
  );
}

/** From values to pixels and back. */
interface Scale {
  (value: number): number;
  invert(pixel: number): number;
}

function scale(axis: AxisOf, [start, end]: [number, number]): Scale {
  const bend = axis.log === true ? Math.log : (v: number) => v;
  const straight = axis.log === true ? Math.exp : (v: number) => v;
  const [from, to] = [bend(axis.from), bend(axis.to)];
  const size = to > from ? to - from : 1;
  const place = (value: number) => start + (Math.min(1, Math.max(0, (bend(value) - from) / size))) * (end - start);
  return Object.assign(place, { invert: (pixel: number) => straight(from + ((pixel - start) / (end - start)) * size) });
}

/** Of a logarithmic axis 1, 2 and 5 of each decade, powers of ten alone where there are many, and even steps where there is not one. */
function ticks(axis: AxisOf, most: number): number[] {
  const decades = axis.log === true ? Math.log10(axis.to / axis.from) : 0;
  if (decades < 1) return steps(axis.from, axis.to, most).filter((t) => axis.whole !== true || Number.isInteger(t));
  const every = Math.max(1, Math.ceil(decades / most));
  const powers = Array.from({ length: Math.floor(Math.log10(axis.to)) - Math.floor(Math.log10(axis.from)) + 1 }, (_, i) => Math.floor(Math.log10(axis.from)) + i);
  const digits = decades < 2.5 ? [1, 2, 5] : [1];
  return powers.filter((k) => every === 1 || k % every === 0).flatMap((k) => digits.map((d) => Number(`${d}e${k}`))).filter((t) => t >= axis.from && t <= axis.to);
}

function write(axis: AxisOf, value: number): string {
  return axis.format?.(value) ?? (axis.whole === true ? count(value) : real(value, 3));
}

/** Names beside their marks, where they do not run into one another. */
function placed(marks: readonly Mark[], sx: Scale, sy: Scale, right: number): { x: number; y: number; end: boolean; label: string }[] {
  const taken: { l: number; r: number; y: number }[] = [];
  return marks.flatMap((m) => {
    const [px, py] = [sx(m.x), sy(m.y)];
    const wide = m.label.length * 6.4 + 10;
    const end = px + wide > right;
    const [l, r] = end ? [px - wide, px] : [px, px + wide];
    if (l < LEFT || taken.some((t) => Math.abs(t.y - py) < 14 && l < t.r && t.l < r)) return [];
    taken.push({ l, r, y: py });
    return [{ x: end ? px - 9 : px + 9, y: py + 4, end, label: m.label }];
  });
}

function nearest(stops: readonly number[], wanted: number): number {
  let best = 0;
  stops.forEach((s, i) => { if (Math.abs(s - wanted) < Math.abs((stops[best] ?? 0) - wanted)) best = i; });
  return best;
}
