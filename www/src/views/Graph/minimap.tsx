import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

import type { Painted } from "./paint.ts";

/** All of the drawing in a corner; the frame is what is in sight. For pointers alone: keys have 0, plus and minus. */
export function Minimap({ painted, colour, frame, onMove }: { painted: Painted; colour: (css: string) => string; frame: RefObject<HTMLDivElement | null>; onMove: (x: number, y: number) => void }) {
  const sheet = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const canvas = sheet.current;
    const ctx = canvas?.getContext("2d");
    if (canvas === null || ctx == null) return;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * devicePixelRatio;
    canvas.height = height * devicePixelRatio;
    const k = Math.min(width / Math.max(1, painted.layout.width), height / Math.max(1, painted.layout.height));
    ctx.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    ctx.translate((width - painted.layout.width * k) / 2, (height - painted.layout.height * k) / 2);
    painted.boxes.forEach((_, i) => {
      const [w, h] = [Math.max(1, (painted.widths[i] ?? 0) * k), Math.max(1, (painted.heights[i] ?? 0) * k)];
      ctx.fillStyle = colour(painted.stripes[i] ?? "var(--c-grey)");
      ctx.fillRect((painted.layout.x[i] ?? 0) * k - w / 2, (painted.layout.y[i] ?? 0) * k - h / 2, w, h);
    });
  }, [painted.layout, colour]);
  const move = (event: PointerEvent & { currentTarget: HTMLElement }) => {
    if (event.buttons === 0) return;
    const edge = event.currentTarget.getBoundingClientRect();
    const k = Math.min(edge.width / Math.max(1, painted.layout.width), edge.height / Math.max(1, painted.layout.height));
    onMove((event.clientX - edge.left - (edge.width - painted.layout.width * k) / 2) / k, (event.clientY - edge.top - (edge.height - painted.layout.height * k) / 2) / k);
  };
  return (
    <div class="minimap" aria-hidden="true" onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId); move(e); }} onPointerMove={move}>
      <canvas ref={sheet} />
      <div ref={frame} class="frame" />
    </div>
  );
}
