import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import { count, percent, plural, real } from "../../lib/format.ts";
import { type Cell, cellAt, cut, FAR, fullColour, type HeatReport } from "../../lib/values/heat.ts";
import { moved, wholePlane, type Window, zoomed } from "../../lib/values/plane.ts";
import { heat, look, plane, room, sight } from "../../state/pictures.ts";
import { useColours } from "../../widgets/colours.ts";
import { Icon } from "../../widgets/Icon.tsx";
import { Segmented } from "../../widgets/Segmented.tsx";
import { FaultCard } from "../Faults/index.tsx";
import { mapSize, paint } from "./paint.ts";
import { PlaneChoice } from "./plane.tsx";
import { usePointers } from "./pointers.ts";

const SHOWS = [{ value: "strongest", label: "Strongest" }, { value: "mean", label: "Mean" }] as const;
export type Shows = (typeof SHOWS)[number]["value"];
const HEIGHT = 320;
/** A single row needs no more. */
const FLAT = 130;
/** Cells written as a table, where the picture holds no more. */
const MOST_CELLS = 512;

/** Values of a plane as colours; drag, wheel and keys move over it, and only what is in sight is read. */
export function HeatView({ shape }: { shape: readonly number[] }) {
  const shows = useSignal<Shows>("strongest");
  const { value: report, fault, busy } = heat.value;
  if (fault !== null) return <FaultCard title="The values could not be read" fault={fault} />;
  return (
    <div class="pictures heatmap">
      <PlaneChoice shape={shape} />
      <div class="row small controls">
        <Segmented label="What a cell shows" options={SHOWS} value={shows.value} onChange={(to) => (shows.value = to)} />
        <span class="push row zoom" role="group" aria-label="Zoom">
          <button type="button" class="button slim" aria-label="Zoom in" onClick={() => show(zoomed(plane.value, sight.value, 1.6))}>+</button>
          <button type="button" class="button slim" aria-label="Zoom out" onClick={() => show(zoomed(plane.value, sight.value, 1 / 1.6))}>−</button>
          <button type="button" class="button slim" aria-label="Show all of it" onClick={() => show(wholePlane(plane.value))}><Icon name="cube" size={14} /></button>
        </span>
      </div>
      <Sheet report={report} shows={shows.value} busy={busy} />
      <About report={report} shows={shows.value} />
      {report === null ? null : <Numbers report={report} shows={shows.value} />}
    </div>
  );
}

function show(to: Window): void {
  sight.value = to;
  void look();
}

function Sheet({ report, shows, busy }: { report: HeatReport | null; shows: Shows; busy: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const sheet = useRef<HTMLCanvasElement>(null);
  const colours = useColours(box);
  const cursor = useSignal<{ row: number; col: number } | null>(null);
  const width = useSignal(0);
  const height = plane.value.rows === 1 ? FLAT : HEIGHT;
  const map = mapSize(width.value, height);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const watcher = new ResizeObserver(() => { width.value = element.clientWidth; });
    watcher.observe(element);
    width.value = element.clientWidth;
    return () => watcher.disconnect();
  }, []);
  useEffect(() => {
    // Cells of two pixels are told apart, and need a quarter of the values.
    const next = { height: Math.max(1, Math.floor(map.height / 2)), width: Math.max(1, Math.floor(map.width / 2)) };
    if (width.value === 0 || (next.height === room.value.height && next.width === room.value.width)) return;
    room.value = next;
    void look();
  }, [width.value, height]);
  useEffect(() => {
    const canvas = sheet.current;
    const ctx = canvas?.getContext("2d");
    if (canvas === null || ctx == null || width.value === 0) return;
    canvas.width = Math.round(width.value * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    paint(ctx, { width: width.value, height, ratio: devicePixelRatio, report, shows, sight: sight.value, cursor: cursor.value, colour: colours.value });
  }, [report, shows, sight.value, cursor.value, width.value, height, colours.value]);

  const at = (x: number, y: number) => ({
    row: Math.min(plane.value.rows - 1, sight.value.top + Math.floor((Math.min(Math.max(y, 0), map.height - 1) / map.height) * sight.value.rows)),
    col: Math.min(plane.value.cols - 1, sight.value.left + Math.floor((Math.min(Math.max(x, 0), map.width - 1) / map.width) * sight.value.cols)),
  });
  usePointers(box, {
    point: (x, y) => { cursor.value = x > map.width || y > map.height ? null : at(x, y); },
    grab: () => sight.value,
    drag: (from, dx, dy) => show(moved(plane.value, from, (-dy / map.height) * from.rows, (-dx / map.width) * from.cols)),
    zoom: (factor, x, y) => show(zoomed(plane.value, sight.value, factor, Math.min(1, x / map.width), Math.min(1, y / map.height))),
  });
  const walk = (rows: number, cols: number) => {
    const now = cursor.value ?? { row: sight.value.top, col: sight.value.left };
    const step = { rows: Math.max(1, Math.ceil(sight.value.rows / (report?.height ?? 1))), cols: Math.max(1, Math.ceil(sight.value.cols / (report?.width ?? 1))) };
    const to = { row: Math.min(plane.value.rows - 1, Math.max(0, now.row + rows * step.rows)), col: Math.min(plane.value.cols - 1, Math.max(0, now.col + cols * step.cols)) };
    cursor.value = cursor.value === null ? now : to;
    const out = (i: number, from: number, size: number) => (i < from ? i - from : i >= from + size ? i - from - size + 1 : 0);
    const [down, right] = [out(to.row, sight.value.top, sight.value.rows), out(to.col, sight.value.left, sight.value.cols)];
    if (down !== 0 || right !== 0) show(moved(plane.value, sight.value, down, right));
  };
  const nearer = (factor: number) => {
    const now = cursor.value;
    if (now === null) return show(zoomed(plane.value, sight.value, factor));
    show(zoomed(plane.value, sight.value, factor, (now.col + 0.5 - sight.value.left) / sight.value.cols, (now.row + 0.5 - sight.value.top) / sight.value.rows));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const arrow = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const [rows = 0, cols = 0] = arrow ?? [];
    if (event.key === "+" || event.key === "=") nearer(1.6);
    else if (event.key === "-") nearer(1 / 1.6);
    else if (event.key === "0") show(wholePlane(plane.value));
    else if (event.key === "Escape" && cursor.value !== null) cursor.value = null;
    else if (arrow !== undefined && event.shiftKey) show(moved(plane.value, sight.value, (rows * sight.value.rows) / 4, (cols * sight.value.cols) / 4));
    else if (arrow !== undefined) walk(rows, cols);
    else return;
    event.preventDefault();
  };
  const cell = report === null || cursor.value === null ? null : cellAt(report, cursor.value.row, cursor.value.col);
  return (
    <>
      <div ref={box} class={busy ? "sheet busy" : "sheet"} style={{ height: `${height}px` }} role="application" aria-roledescription="heat map" aria-label="Heat map of the values" aria-describedby="heat-keys" tabIndex={0} onKeyDown={onKeyDown} {...(cell === null ? {} : { "aria-activedescendant": "heat-cursor" })}>
        <canvas ref={sheet} aria-hidden="true" />
        {cell === null ? null : <span id="heat-cursor" class="quiet" role="img" aria-label={told(cell)} />}
      </div>
      <p class="quiet" id="heat-keys">Arrow keys walk over the cells, with Shift they move the map. Plus and minus zoom, 0 shows all of it.</p>
      <p class={cell === null ? "small muted readout" : "small mono readout"} role="status">{cell === null ? "Point at a cell, or walk over them with the arrow keys." : told(cell)}</p>
    </>
  );
}

function span([from, to]: [number, number]): string {
  return from === to ? count(from) : `${count(from)}–${count(to)}`;
}

/** A cell in words: of one value that value, of several the strongest and the mean. */
function told(cell: Cell): string {
  const single = cell.rows[0] === cell.rows[1] && cell.cols[0] === cell.cols[1];
  const where = `row ${span(cell.rows)}, column ${span(cell.cols)}`;
  if (single) return `${where}: ${cell.strongest === null ? "no finite number" : real(cell.strongest)}`;
  return `${where}: ${cell.strongest === null ? "not all finite" : `strongest ${real(cell.strongest)}`}${cell.mean === null ? "" : `, mean ${real(cell.mean)}`}`;
}

function About({ report, shows }: { report: HeatReport | null; shows: Shows }) {
  if (report === null) return <p class="small muted about">Reading what is in sight…</p>;
  const full = fullColour(shows === "mean" ? report.mean : report.strongest);
  const inSight = report.rows * report.cols;
  const part = report.seen < inSight;
  return (
    <div class="about small">
      <div class="row legend"><span>−{real(full, 3)}</span><i class="scale" /><span>{real(full, 3)}</span><span class="muted">and beyond; colours fit what is in sight</span></div>
      <p class="muted">
        Rows {span([report.top, report.top + report.rows - 1])} of {count(plane.value.rows)}, columns {span([report.left, report.left + report.cols - 1])} of {count(plane.value.cols)}.{" "}
        {part ? `${count(report.seen)} values are read for this, ${percent(report.seen / inSight)} of those in sight${report.rowsRead < report.rows ? `: ${plural(report.rowsRead, "row")} evenly spread` : ""}; nearer, all of them.` : `All ${count(report.seen)} values in sight are read.`}{" "}
        Sums by row stand on the right, by column below.
      </p>
      <p class="muted">{report.far === 0 ? `No value lies further than ${FAR} standard deviations from the mean.` : `${plural(report.far, "value")} ${report.far === 1 ? "lies" : "lie"} further than ${FAR} standard deviations (${real(report.std, 3)}) from the mean; the furthest are ringed.`}{report.odd > 0 ? ` ${plural(report.odd, "value")} ${report.odd === 1 ? "is" : "are"} no finite number.` : ""}</p>
    </div>
  );
}

/** The picture's numbers. */
function Numbers({ report, shows }: { report: HeatReport; shows: Shows }) {
  const cells = report.height * report.width <= MOST_CELLS ? (shows === "mean" ? report.mean : report.strongest) : null;
  return (
    <>
      {report.outliers.length > 0 ? (
        <Details title="The furthest values">
          <table>
            <thead><tr><th scope="col" class="num">Row</th><th scope="col" class="num">Column</th><th scope="col" class="num">Value</th><th scope="col" class="num">Deviations</th></tr></thead>
            <tbody>{report.outliers.map((o) => <tr key={`${o.row}-${o.col}`}><td class="num">{count(o.row)}</td><td class="num">{count(o.col)}</td><td class="num">{real(o.value)}</td><td class="num">{real((o.value - report.average) / report.std, 3)}</td></tr>)}</tbody>
          </table>
        </Details>
      ) : null}
      {cells === null ? null : (
        <Details title="Numbers of the cells">
          <table>
            <thead><tr><th scope="col"><span class="quiet">Row</span></th>{Array.from({ length: report.width }, (_, x) => <th key={x} scope="col" class="num">{span(cut(report.left, report.cols, report.width, x))}</th>)}</tr></thead>
            <tbody>{Array.from({ length: report.height }, (_, y) => <tr key={y}><th scope="row" class="num">{span(cut(report.top, report.rows, report.height, y))}</th>{Array.from({ length: report.width }, (_, x) => { const v = cells[y * report.width + x] ?? null; return <td key={x} class="num">{v === null ? "–" : real(v)}</td>; })}</tr>)}</tbody>
          </table>
        </Details>
      )}
      <Sums title="Sums by row" of="Rows" sums={report.rowSums} from={report.top} size={report.rows} />
      <Sums title="Sums by column" of="Columns" sums={report.colSums} from={report.left} size={report.cols} />
    </>
  );
}

function Sums({ title, of, sums, from, size }: { title: string; of: string; sums: number[]; from: number; size: number }) {
  return (
    <Details title={title}>
      <table>
        <thead><tr><th scope="col">{of}</th><th scope="col" class="num">Sum of the values read</th></tr></thead>
        <tbody>{sums.map((s, i) => <tr key={i}><td>{span(cut(from, size, sums.length, i))}</td><td class="num">{real(s)}</td></tr>)}</tbody>
      </table>
    </Details>
  );
}

export function Details({ title, children }: { title: string; children: preact.ComponentChildren }) {
  const open = useSignal(false);
  return (
    <details class="numbers" onToggle={(e) => (open.value = e.currentTarget.open)}>
      <summary>{title}</summary>
      {open.value ? <div class="scroll" tabIndex={0} role="region" aria-label={title}>{children}</div> : null}
    </details>
  );
}

