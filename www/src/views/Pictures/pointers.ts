import { useEffect, useRef } from "preact/hooks";

import type { Window } from "../../lib/values/plane.ts";

const STILL = 4;

/** What pointers do over a heat map; places are pixels from its upper left corner. */
export interface Gestures {
  point: (x: number, y: number) => void;
  /** A drag begins: what is in sight then. */
  grab: () => Window;
  drag: (from: Window, dx: number, dy: number) => void;
  zoom: (factor: number, x: number, y: number) => void;
}

/** Point, drag, pinch; the wheel zooms once the map has the focus, so that a page can be scrolled past it. */
export function usePointers(box: { current: HTMLDivElement | null }, gestures: Gestures): void {
  const latest = useRef(gestures);
  latest.current = gestures;
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const down = new Map<number, PointerEvent>();
    let start: { x: number; y: number; window: Window } | null = null;
    const place = (e: { clientX: number; clientY: number }): [number, number] => {
      const edge = element.getBoundingClientRect();
      return [e.clientX - edge.left, e.clientY - edge.top];
    };
    const press = (e: PointerEvent) => {
      if (e.button !== 0) return;
      down.set(e.pointerId, e);
      element.setPointerCapture(e.pointerId);
      start = { x: e.clientX, y: e.clientY, window: latest.current.grab() };
    };
    const move = (e: PointerEvent) => {
      const before = down.get(e.pointerId);
      if (before === undefined) return latest.current.point(...place(e));
      const other = [...down.values()].find((p) => p.pointerId !== e.pointerId);
      down.set(e.pointerId, e);
      if (other !== undefined) {
        const apart = (p: PointerEvent) => Math.max(1, Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY));
        latest.current.zoom(apart(e) / apart(before), ...place({ clientX: (e.clientX + other.clientX) / 2, clientY: (e.clientY + other.clientY) / 2 }));
        start = null;
      } else if (start !== null && Math.hypot(e.clientX - start.x, e.clientY - start.y) > STILL) {
        latest.current.drag(start.window, e.clientX - start.x, e.clientY - start.y);
      }
    };
    const release = (e: PointerEvent) => {
      down.delete(e.pointerId);
      if (e.type === "pointerup" && start !== null && Math.hypot(e.clientX - start.x, e.clientY - start.y) <= STILL) latest.current.point(...place(e));
    };
    const turn = (e: WheelEvent) => {
      if (document.activeElement !== element && !e.ctrlKey) return;
      e.preventDefault();
      const lines = e.deltaMode === 0 ? 1 : 16;
      latest.current.zoom(Math.exp(-Math.max(-240, Math.min(240, e.deltaY * lines)) * (e.ctrlKey ? 0.01 : 0.0025)), ...place(e));
    };
    element.addEventListener("pointerdown", press);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", release);
    element.addEventListener("pointercancel", release);
    element.addEventListener("wheel", turn, { passive: false });
    return () => {
      element.removeEventListener("pointerdown", press);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", release);
      element.removeEventListener("pointercancel", release);
      element.removeEventListener("wheel", turn);
    };
  }, []);
}
