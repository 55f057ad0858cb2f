import { computed, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { bytes, count, percent, plural } from "../../lib/format.ts";
import { encodingColour } from "../../lib/palette.ts";
import { type Part, partAt, partsOf, trail } from "../../lib/parts.ts";
import { STRIP, type Tile, tiles } from "../../lib/tiles.ts";
import { report } from "../../state/model.ts";
import { go, route } from "../../state/route.ts";
import { useColours } from "../../widgets/colours.ts";
import { Swatch } from "../../widgets/StackBar.tsx";
import { Text } from "../../widgets/Text.tsx";

const HEIGHT = 340;

const whole = computed(() => partsOf(report.value?.tensors ?? []));

/** The model as a map of its parts: areas are bytes, colours are encodings. A part opens, a tensor leads to its values. */
export function Parts() {
  const root = whole.value;
  const path = route.value.part;
  const now = partAt(root, path);
  if (root.bytes === 0) return <p class="muted">No tensor has bytes here.</p>;
  return (
    <>
      <nav class="row trail" aria-label="Part that is shown">
        {trail(root, now.path).map((p, i, all) => (i === all.length - 1 ? <b key={p.path} class="break" aria-current="location">{name(root, p)}</b> : <span key={p.path}><button type="button" class="link break" onClick={() => enter(root, p)}>{name(root, p)}</button> <span aria-hidden="true">›</span></span>))}
        <span class="muted small push">{bytes(now.bytes)}, {plural(now.tensors, "tensor")}</span>
      </nav>
      <Map root={root} part={now} />
      <Numbers root={root} part={now} />
    </>
  );
}

function name(root: Part, part: Part) {
  return part === root ? "The model" : <Text value={part.label} />;
}

/** Opens a part, or leads to the tensor. Back leads out again. */
function enter(root: Part, part: Part): void {
  if (part.tensor >= 0) go({ tab: "tensors", tensor: report.value?.tensors[part.tensor]?.name ?? null });
  else go({ part: part === root ? "" : part.path });
}

function Map({ root, part }: { root: Part; part: Part }) {
  const box = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLCanvasElement>(null);
  const colours = useColours(box);
  const width = useSignal(0);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watcher = new ResizeObserver(() => { width.value = element.clientWidth; });
    watcher.observe(element);
    width.value = element.clientWidth;
    return () => watcher.disconnect();
  }, []);
  const drawn = tiles(part, width.value, HEIGHT);
  useEffect(() => {
    const canvas = sheet.current;
    const ctx = canvas?.getContext("2d");
    if (canvas === null || ctx == null) return;
    canvas.width = Math.round(width.value * devicePixelRatio);
    canvas.height = Math.round(HEIGHT * devicePixelRatio);
    ctx.scale(devicePixelRatio, devicePixelRatio);
    for (const tile of drawn) fill(ctx, tile, colours.value);
  }, [part, width.value, colours.value]);
  const first = drawn.filter((tile) => tile.depth === 1);
  return (
    <div ref={box} class="treemap" role="group" aria-label={`Parts by size: the largest ${first.length}; the table below lists all`} style={{ height: `${HEIGHT}px` }}>
      <canvas ref={sheet} aria-hidden="true" />
      {first.map((tile) => {
        const style = { left: `${tile.x}px`, top: `${tile.y}px`, width: `${tile.width}px`, height: `${tile.height}px` };
        const share = percent(tile.bytes / part.bytes);
        const inside = tile.part;
        if (inside === null) return <span key="others" class="tile rest" style={style} title={`${plural(tile.others, "smaller part")}, ${bytes(tile.bytes)}`} />;
        const said = `${inside.label}, ${bytes(inside.bytes)}, ${share}, ${inside.encodings > 1 ? `mostly ${inside.encoding}` : inside.encoding}`;
        return (
          <button key={inside.path + inside.tensor} type="button" class="tile" style={style} title={said} aria-label={`${said}${inside.tensor >= 0 ? "" : `, ${plural(inside.tensors, "tensor")}`}`} onClick={() => enter(root, inside)}>
            {tile.width > 34 && tile.height >= STRIP ? <span class="strip"><b><Text value={inside.label} /></b>{tile.width > 130 ? <span class="muted"> {bytes(inside.bytes)}</span> : null}</span> : null}
          </button>
        );
      })}
    </div>
  );
}

function fill(ctx: CanvasRenderingContext2D, tile: Tile, colour: (css: string) => string): void {
  const group = tile.part !== null && tile.part.parts.length > 0;
  ctx.fillStyle = colour(tile.others > 0 ? "var(--line)" : group && tile.depth === 1 ? "var(--sunk)" : encodingColour(tile.encoding));
  ctx.fillRect(tile.x, tile.y, tile.width, tile.height);
  if (group && tile.depth > 1) {
    // A frame tells parts of one part from their neighbours.
    ctx.strokeStyle = colour("var(--surface)");
    ctx.lineWidth = 1;
    ctx.strokeRect(tile.x + 0.5, tile.y + 0.5, tile.width - 1, tile.height - 1);
  }
}

/** The same in numbers. */
function Numbers({ root, part }: { root: Part; part: Part }) {
  const all = useSignal(false);
  const shown = all.value ? part.parts.slice(0, 1000) : part.parts.slice(0, 8);
  return (
    <>
      <div class="table-box" tabIndex={0} role="region" aria-label="Sizes by part">
        <table>
          <thead><tr><th scope="col">Part</th><th scope="col">Encoding</th><th scope="col" class="num wide">Tensors</th><th scope="col" class="num">Size</th><th scope="col" class="num">Share</th></tr></thead>
          <tbody>
            {shown.map((p) => (
              <tr key={p.path + p.tensor}>
                <th scope="row"><button type="button" class="link break" onClick={() => enter(root, p)}><Text value={p.label} /></button></th>
                <td><Swatch colour={encodingColour(p.encoding)} />{p.encoding}{p.encodings > 1 ? <span class="muted small"> and {count(p.encodings - 1)} more</span> : null}</td>
                <td class="num wide">{count(p.tensors)}</td>
                <td class="num">{bytes(p.bytes)}</td>
                <td class="num">{percent(p.bytes / root.bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {part.parts.length > 8 ? <button type="button" class="button slim" aria-expanded={all.value} onClick={() => (all.value = !all.value)}>{all.value ? "Show fewer" : `Show all ${count(Math.min(1000, part.parts.length))}`}</button> : null}
      {all.value && part.parts.length > 1000 ? <p class="small muted">and {count(part.parts.length - 1000)} smaller ones, which the Tensors tab lists.</p> : null}
    </>
  );
}
