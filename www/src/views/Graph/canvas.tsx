import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { beginning, pan, type Size, type View, whole, zoom } from "../../lib/graph/view.ts";
import { boxFor, choose, chosen, type Chosen, nodesOf, toggleGroup, wanted } from "../../state/drawing.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { useColours } from "../../widgets/colours.ts";
import { Minimap } from "./minimap.tsx";
import { paint, type Painted } from "./paint.ts";
import { told, walk } from "./walk.ts";

/** Pixels that a pointer may move and still click. */
const STILL = 4;
const STEP = 60;

interface Props {
  painted: Painted;
  hits: ReadonlySet<number> | null;
  byCost: boolean;
}

/** The drawing: wheel, pinch, drag and keys move it; arrows walk along edges once a box is chosen. One tab stop. */
export function Canvas({ painted, hits, byCost }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const cursor = useRef<HTMLDivElement>(null);
  const colours = useColours(box);
  const sight = useSignal<Size>({ width: 0, height: 0 });
  const hover = useSignal(-1);
  const view = useRef<View | null>(null);
  const waits = useRef(0);
  /** What stays where it is on the screen while a group opens or closes. */
  const anchor = useRef<{ node: number; x: number; y: number } | null>(null);
  const at = chosen.value === null ? -1 : boxFor(chosen.value);
  const valid = at >= 0 && at < painted.boxes.length ? at : -1;

  const draw = () => {
    waits.current = 0;
    const now = view.current;
    const ctx = sheet.current?.getContext("2d", { alpha: false });
    if (now === null || ctx == null) return;
    paint(ctx, painted, { view: now, sight: sight.value, ratio: devicePixelRatio, colour: colours.value, chosen: valid, hover: hover.value, hits, byCost });
    follow(frame.current, painted, now, sight.value);
    const mark = cursor.current;
    if (mark === null || valid < 0) return;
    const [w, h] = [(painted.widths[valid] ?? 0) * now.scale, (painted.heights[valid] ?? 0) * now.scale];
    mark.style.transform = `translate(${sight.value.width / 2 + ((painted.layout.x[valid] ?? 0) - now.x) * now.scale - w / 2}px, ${sight.value.height / 2 + ((painted.layout.y[valid] ?? 0) - now.y) * now.scale - h / 2}px)`;
    mark.style.width = `${w}px`;
    mark.style.height = `${h}px`;
  };
  const latest = useRef(draw);
  latest.current = draw;
  const soon = () => { if (waits.current === 0) waits.current = requestAnimationFrame(() => latest.current()); };
  const look = (to: View) => {
    view.current = to;
    soon();
  };

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const measure = () => {
      const [width, height] = [element.clientWidth, element.clientHeight];
      if (sheet.current !== null) {
        sheet.current.width = Math.round(width * devicePixelRatio);
        sheet.current.height = Math.round(height * devicePixelRatio);
      }
      sight.value = { width, height };
    };
    const watcher = new ResizeObserver(measure);
    watcher.observe(element);
    measure();
    return () => {
      watcher.disconnect();
      cancelAnimationFrame(waits.current);
    };
  }, []);

  // A new layout: what is to be found comes to the middle, what was opened stays in place, else the beginning is shown.
  useLayoutEffect(() => {
    if (sight.value.width === 0) return;
    const target = wanted.value === null ? -1 : boxFor(wanted.value);
    const kept = anchor.current;
    if (target >= 0 && target < painted.boxes.length) centre(target);
    else if (kept !== null && view.current !== null) {
      const now = boxFor({ kind: "node", index: kept.node });
      const { scale } = view.current;
      if (now >= 0) look({ x: (painted.layout.x[now] ?? 0) - kept.x / scale, y: (painted.layout.y[now] ?? 0) - kept.y / scale, scale });
    } else if (view.current === null) look(beginning(painted.layout, sight.value, painted.layout.x[0] ?? 0));
    wanted.value = null;
    anchor.current = null;
    soon();
  }, [painted.layout, sight.value.width > 0, wanted.value]);
  useEffect(soon);

  const centre = (i: number) => look({ x: painted.layout.x[i] ?? 0, y: painted.layout.y[i] ?? 0, scale: Math.max(view.current?.scale ?? 1, 0.8) });
  const least = () => whole(painted.layout, sight.value).scale * 0.5;
  const zoomAt = (factor: number, px = 0, py = 0) => { if (view.current !== null) look(zoom(view.current, factor, px, py, least())); };
  const panBy = (dx: number, dy: number) => { if (view.current !== null) look(pan(view.current, dx, dy, painted.layout)); };
  const pointed = (event: { clientX: number; clientY: number }): [number, number] => {
    const edge = box.current?.getBoundingClientRect();
    return [event.clientX - (edge?.left ?? 0) - sight.value.width / 2, event.clientY - (edge?.top ?? 0) - sight.value.height / 2];
  };
  const under = (event: { clientX: number; clientY: number }): number => {
    const now = view.current;
    if (now === null) return -1;
    const [px, py] = pointed(event);
    const [x, y] = [now.x + px / now.scale, now.y + py / now.scale];
    return painted.boxes.findIndex((_, i) => Math.abs(x - (painted.layout.x[i] ?? 0)) <= (painted.widths[i] ?? 0) / 2 && Math.abs(y - (painted.layout.y[i] ?? 0)) <= (painted.heights[i] ?? 0) / 2);
  };
  const pick = (i: number) => choose(i < 0 ? null : identity(painted, i));
  const unfold = (i: number) => {
    const what = painted.boxes[i];
    const now = view.current;
    if (what?.kind !== "group" || now === null) return;
    const node = Math.min(...nodesOf(what));
    anchor.current = { node, x: ((painted.layout.x[i] ?? 0) - now.x) * now.scale, y: ((painted.layout.y[i] ?? 0) - now.y) * now.scale };
    toggleGroup(what.index, true);
    choose({ kind: "node", index: node });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const arrow = /^Arrow(Up|Down|Left|Right)$/.exec(event.key)?.[1];
    if (event.key === "+" || event.key === "=") zoomAt(1.25);
    else if (event.key === "-") zoomAt(0.8);
    else if (event.key === "0") look(whole(painted.layout, sight.value));
    else if (event.key === "Escape" && valid >= 0) pick(-1);
    else if ((event.key === "Enter" || event.key === " ") && valid >= 0) unfold(valid);
    else if (event.key === "Home") step(0);
    else if (event.key === "End") step(painted.boxes.length - 1);
    else if (arrow !== undefined && valid >= 0 && !event.shiftKey) step(walk(painted, valid, arrow as "Up"));
    else if (arrow !== undefined) panBy(arrow === "Left" ? STEP : arrow === "Right" ? -STEP : 0, arrow === "Up" ? STEP : arrow === "Down" ? -STEP : 0);
    else return;
    event.preventDefault();
  };
  const step = (to: number) => {
    if (to < 0) return;
    pick(to);
    centre(to);
  };

  usePointers(box, { panBy, zoomAt, pointed, click: (e) => pick(under(e)), twice: (e) => unfold(under(e)), hover: (e) => { const i = e === null ? -1 : under(e); if (i !== hover.value) hover.value = i; } });

  return (
    <div class="canvas">
      <div ref={box} class="sheet" role="application" aria-roledescription="graph" aria-label="Drawing of the graph" aria-describedby="graph-keys" tabIndex={0} onKeyDown={onKeyDown} {...(valid >= 0 ? { "aria-activedescendant": "graph-cursor" } : {})}>
        <canvas ref={sheet} aria-hidden="true" />
        {valid >= 0 ? <div ref={cursor} id="graph-cursor" class="cursor" role="img" aria-label={told(painted, valid)} /> : null}
      </div>
      <div class="zoom" role="group" aria-label="Zoom">
        <button type="button" class="button" aria-label="Zoom in" onClick={() => zoomAt(1.4)}>+</button>
        <button type="button" class="button" aria-label="Zoom out" onClick={() => zoomAt(1 / 1.4)}>−</button>
        <button type="button" class="button" aria-label="Show all of it" onClick={() => look(whole(painted.layout, sight.value))}><Icon name="cube" size={14} /></button>
      </div>
      <Minimap painted={painted} colour={colours.value} frame={frame} onMove={(x, y) => { if (view.current !== null) look({ ...view.current, x, y }); }} />
      <p class="quiet" id="graph-keys">Plus and minus zoom, 0 shows everything, Home goes to the first box. Arrow keys move the drawing; once a box is chosen they walk along edges, and with Shift they move the drawing. Enter opens a group, Escape clears the selection. The table holds the same.</p>
      <p class="quiet" role="status">{valid >= 0 ? told(painted, valid) : ""}</p>
    </div>
  );
}

export function identity(painted: Painted, i: number): Chosen | null {
  const what = painted.boxes[i];
  return what === undefined ? null : { kind: what.kind, index: what.index };
}

/** The minimap's frame follows what is in sight. */
function follow(frame: HTMLDivElement | null, painted: Painted, view: View, sight: Size): void {
  const map = frame?.parentElement;
  if (frame === null || map == null) return;
  const k = Math.min(map.clientWidth / Math.max(1, painted.layout.width), map.clientHeight / Math.max(1, painted.layout.height));
  const [w, h] = [(sight.width / view.scale) * k, (sight.height / view.scale) * k];
  const left = (map.clientWidth - painted.layout.width * k) / 2 + view.x * k - w / 2;
  const top = (map.clientHeight - painted.layout.height * k) / 2 + view.y * k - h / 2;
  map.style.visibility = w >= painted.layout.width * k && h >= painted.layout.height * k ? "hidden" : "visible";
  frame.style.transform = `translate(${left}px, ${top}px)`;
  frame.style.width = `${w}px`;
  frame.style.height = `${Math.max(2, h)}px`;
}

interface Gestures {
  panBy: (dx: number, dy: number) => void;
  zoomAt: (factor: number, px: number, py: number) => void;
  pointed: (event: { clientX: number; clientY: number }) => [number, number];
  click: (event: PointerEvent) => void;
  twice: (event: MouseEvent) => void;
  hover: (event: PointerEvent | null) => void;
}

/** Drag, pinch, wheel, click and double click. */
function usePointers(box: { current: HTMLDivElement | null }, gestures: Gestures): void {
  const latest = useRef(gestures);
  latest.current = gestures;
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const down = new Map<number, PointerEvent>();
    let moved = 0;
    const press = (e: PointerEvent) => {
      if (e.button !== 0) return;
      if (down.size === 0) moved = 0;
      down.set(e.pointerId, e);
      element.setPointerCapture(e.pointerId);
    };
    const move = (e: PointerEvent) => {
      const before = down.get(e.pointerId);
      if (before === undefined) { latest.current.hover(e); return; }
      const others = [...down.values()].filter((other) => other.pointerId !== e.pointerId);
      down.set(e.pointerId, e);
      const [dx, dy] = [e.clientX - before.clientX, e.clientY - before.clientY];
      moved += Math.abs(dx) + Math.abs(dy);
      const [other] = others;
      if (other === undefined) {
        if (moved > STILL) latest.current.panBy(dx, dy);
        return;
      }
      const apart = (p: PointerEvent) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
      const [px, py] = latest.current.pointed({ clientX: (e.clientX + other.clientX) / 2, clientY: (e.clientY + other.clientY) / 2 });
      latest.current.panBy(dx / 2, dy / 2);
      latest.current.zoomAt(apart(e) / Math.max(1, apart(before)), px, py);
    };
    const release = (e: PointerEvent) => {
      const known = down.delete(e.pointerId);
      if (known && e.type === "pointerup" && moved <= STILL && down.size === 0) latest.current.click(e);
    };
    const turn = (e: WheelEvent) => {
      e.preventDefault();
      const lines = e.deltaMode === 0 ? 1 : 16;
      if (e.shiftKey) latest.current.panBy(-(e.deltaX + e.deltaY) * lines, 0);
      else latest.current.zoomAt(Math.exp(-Math.max(-240, Math.min(240, e.deltaY * lines)) * (e.ctrlKey ? 0.01 : 0.0018)), ...latest.current.pointed(e));
    };
    const leave = () => latest.current.hover(null);
    const twice = (e: MouseEvent) => latest.current.twice(e);
    element.addEventListener("pointerdown", press);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", release);
    element.addEventListener("pointercancel", release);
    element.addEventListener("pointerleave", leave);
    element.addEventListener("dblclick", twice);
    element.addEventListener("wheel", turn, { passive: false });
    return () => {
      element.removeEventListener("pointerdown", press);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", release);
      element.removeEventListener("pointercancel", release);
      element.removeEventListener("pointerleave", leave);
      element.removeEventListener("dblclick", twice);
      element.removeEventListener("wheel", turn);
    };
  }, []);
}
