import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";

import { svg } from "../../lib/graph/svg.ts";
import { title } from "../../state/model.ts";
import { useColours } from "../../widgets/colours.ts";
import { paint, type Painted } from "./paint.ts";

/** Pixels of the longer side of a PNG, at most: browsers refuse larger canvases. */
const SIDE = 8000;
const MARGIN = 16;

/** The drawing as a file of its own, in the colours that are in sight. */
export function Save({ painted: p }: { painted: Painted }) {
  const place = useRef<HTMLSpanElement>(null);
  const colours = useColours(place);
  const failed = useSignal(false);
  const name = title.value.replace(/\.[^.]*$/, "") || "graph";
  const asSvg = () => {
    const c = colours.value;
    const text = svg({ ...p, colour: (i) => c(p.stripes[i] ?? "var(--c-grey)"), ink: c("var(--ink)"), muted: c("var(--muted)"), line: c("var(--line-strong)"), surface: c("var(--surface)"), sunk: c("var(--sunk)"), background: c("var(--surface)") });
    download(new Blob([text], { type: "image/svg+xml" }), `${name}.svg`);
  };
  const asPng = () => {
    const [width, height] = [p.layout.width + 2 * MARGIN, p.layout.height + 2 * MARGIN];
    const scale = Math.min(2, SIDE / Math.max(width, height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const ctx = canvas.getContext("2d");
    if (ctx === null) return;
    paint(ctx, p, { view: { x: p.layout.width / 2, y: p.layout.height / 2, scale }, sight: { width: canvas.width, height: canvas.height }, ratio: 1, colour: colours.value, chosen: -1, hover: -1, hits: null, byCost: false });
    canvas.toBlob((blob) => {
      failed.value = blob === null;
      if (blob !== null) download(blob, `${name}.png`);
    });
  };
  return (
    <span ref={place} class="row">
      {failed.value ? <span class="small muted" role="alert">The picture is too large for this browser; SVG has no limit.</span> : null}
      <button type="button" class="button slim" onClick={asSvg}>Save SVG</button>
      <button type="button" class="button slim" onClick={asPng}>Save PNG</button>
    </span>
  );
}

function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has its own hold on the data once the click is handled.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
