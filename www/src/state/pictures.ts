import { computed, effect, signal } from "@preact/signals";

import type { ChannelsReport } from "../lib/values/channels.ts";
import { BUDGET, type Budget, type HeatReport } from "../lib/values/heat.ts";
import { type Choice, type Plane, planeOf, usual, wholePlane, type Window } from "../lib/values/plane.ts";
import type { SpectrumReport } from "../lib/values/svd.ts";
import type { BlockReport, TensorReport } from "../wire/report.ts";
import { latest } from "./latest.ts";
import { askModel, generation, origin } from "./model.ts";
import { fill, reset, resource } from "./resource.ts";
import { contents, selected, STATS_BY_ITSELF, tensors } from "./tensors.ts";

/** The open tensor, where its values are here. */
export const subject = computed<{ index: number; tensor: TensorReport } | null>(() => {
  const index = selected.value;
  const tensor = index === null ? undefined : tensors.value[index];
  return index === null || tensor?.place !== "here" ? null : { index, tensor };
});

const NONE: Plane = { rows: 0, cols: 0, rowStep: 1, colStep: 1, base: 0 };

/** Which plane of the tensor is looked at. */
export const choice = signal<Choice>(usual([]));
export const plane = computed(() => (subject.value === null ? NONE : planeOf(subject.value.tensor.shape, choice.value)));
/** The part of the plane in sight. */
export const sight = signal<Window>(wholePlane(NONE));
/** Cells that the picture has room for. */
export const room = signal({ height: 0, width: 0 });
export const heat = resource<HeatReport>();

/** A file at an address is asked for much less: each read is a request. */
const FAR_AWAY: Budget = { values: 1 << 19, reads: 48 };

let ticket = 0;

/** Reads what is in sight; while one answer is on its way, only the newest question waits. */
export const look = latest(async () => {
  const now = subject.value;
  if (now === null || room.value.width === 0 || room.value.height === 0) return;
  const mine = ticket;
  const ask = { tensor: now.index, plane: plane.value, window: sight.value, cells: room.value, budget: origin.value === null ? BUDGET : FAR_AWAY };
  await fill(heat, () => askModel("heat", ask), () => mine === ticket);
});

/** Shows another plane, from its beginning. */
export function choose(to: Choice): void {
  choice.value = to;
  sight.value = wholePlane(plane.value);
  corner.value = { row: 0, col: 0 };
  reset(heat);
  reset(spectrum);
  void look();
}

export const channels = resource<ChannelsReport>();
/** Share of the tensor that was read for them. */
export const channelsShare = signal(0);
let measuring: AbortController | null = null;

export function measureChannels(): Promise<void> {
  const now = subject.value;
  if (now === null || measuring !== null) return Promise.resolve();
  const mine = ticket;
  const stop = new AbortController();
  measuring = stop;
  channelsShare.value = 0;
  const rowLen = now.tensor.shape.at(-1) ?? 1;
  const rows = now.tensor.shape.slice(0, -1).reduce((n, d) => n * d, 1);
  const ask = () => askModel("channels", { tensor: now.index, rows, rowLen }, { signal: stop.signal, onPiece: (share) => { if (mine === ticket) channelsShare.value = share; } });
  return fill(channels, ask, () => mine === ticket).finally(() => { if (measuring === stop) measuring = null; });
}

export function stopChannels(): void {
  measuring?.abort();
}

export const block = resource<BlockReport>();
export const blockIndex = signal(0);

export const showBlock = (index: number): void => {
  blockIndex.value = Math.max(0, index);
  void readBlock();
};
const readBlock = latest(async () => {
  const now = subject.value;
  if (now === null) return;
  const mine = ticket;
  const index = blockIndex.value;
  await fill(block, () => askModel("block", { tensor: now.index, index }), () => mine === ticket);
});

export const SIZES = ["32", "64", "128", "256"] as const;
export type Size = (typeof SIZES)[number];
export const spectrum = resource<SpectrumReport>();
/** First row and column of the block whose singular values are shown, and its largest size. */
export const corner = signal({ row: 0, col: 0 });
export const size = signal<Size>("128");

/** The block in whole rows and columns: cut where the plane ends. */
export const sampled = computed<Window>(() => {
  const most = Number(size.value);
  const { rows, cols } = plane.value;
  const [top, left] = [Math.min(corner.value.row, Math.max(0, rows - Math.min(most, rows))), Math.min(corner.value.col, Math.max(0, cols - Math.min(most, cols)))];
  return { top, left, rows: Math.min(most, rows), cols: Math.min(most, cols) };
});

export const showSpectrum = latest(async () => {
  const now = subject.value;
  if (now === null || sampled.value.rows * sampled.value.cols === 0) return;
  const mine = ticket;
  const window = sampled.value;
  await fill(spectrum, () => askModel("spectrum", { tensor: now.index, plane: plane.value, window }), () => mine === ticket);
});

/** Starts anew with every tensor, and reads what the chosen view shows. */
export function watchSubject(): () => void {
  let last = "";
  let shown = "";
  return effect(() => {
    const now = subject.value;
    const key = `${generation.value}:${now?.index ?? ""}`;
    const wanted = contents.value;
    if (key !== last) {
      last = key;
      shown = "";
      ticket += 1;
      stopChannels();
      measuring = null;
      for (const r of [heat, channels, block, spectrum]) reset(r as typeof heat);
      blockIndex.value = 0;
      corner.value = { row: 0, col: 0 };
      choice.value = usual(now?.tensor.shape ?? []);
      sight.value = wholePlane(plane.peek());
    }
    if (now === null || shown === wanted) return;
    shown = wanted;
    if (wanted === "heat" && heat.peek().value === null) void look();
    if (wanted === "blocks" && block.peek().value === null) void readBlock();
    if (wanted === "spectrum" && spectrum.peek().value === null) void showSpectrum();
    if ((wanted === "channels" || wanted === "blocks") && channels.peek().value === null && (now.tensor.bytes ?? Infinity) <= STATS_BY_ITSELF) void measureChannels();
  });
}
