/** Statistics by row, by column and by block of a whole tensor, in one pass over its values. */

import { CHANNELS, median, strange } from "./robust.ts";

/** More channels than this share slots: memory is bounded. */
const MOST_SLOTS = 1 << 18;
const BINS = 256;
const NAMED = 16;
/** Blocks of which the distinct values are counted. */
const COUNTED = 1 << 15;
const OCTAVES = 64;

export const METRICS = ["rms", "mean", "largest"] as const;
export type Metric = (typeof METRICS)[number];

export interface ChannelReport {
  index: number;
  rms: number;
  mean: number;
  largest: number;
  /** RMS over the median of all channels. */
  times: number;
}

/** Smallest, mean and largest of a metric over the channels of each bin. */
export interface Envelope {
  low: number[];
  middle: number[];
  high: number[];
}

export interface AxisReport {
  channels: number;
  /** Neighbours that share a slot: 1 but for axes of more than 262,144 channels. */
  shared: number;
  /** First channel of each bin of the plot. */
  from: number[];
  metrics: Record<Metric, Envelope>;
  /** Of the channels' RMS. */
  median: number;
  zero: number;
  /** How many stand out, and the strangest of them; where none does, the largest. */
  strange: number;
  named: ChannelReport[];
}

export interface BlocksReport {
  count: number;
  len: number;
  zero: number;
  /** Blocks by the octave of their largest magnitude: counts[i] of 2^(first + i) to twice that. */
  first: number;
  counts: number[];
  /** Blocks by how many different values they hold, of the `counted` ones. */
  counted: number;
  levels: { values: number; blocks: number }[];
  largest: { index: number; largest: number }[];
}

export interface ChannelsReport {
  rows: AxisReport;
  cols: AxisReport;
  blocks: BlocksReport | null;
  values: number;
  odd: number;
}

/** Sums by channel of one axis. */
class Axis {
  readonly channels: number;
  readonly slots: number;
  readonly sums: Float64Array;
  readonly squares: Float64Array;
  readonly largest: Float64Array;
  readonly counts: Float64Array;

  constructor(channels: number) {
    this.channels = channels;
    this.slots = Math.min(channels, MOST_SLOTS);
    this.sums = new Float64Array(this.slots);
    this.squares = new Float64Array(this.slots);
    this.largest = new Float64Array(this.slots);
    this.counts = new Float64Array(this.slots);
  }

  slot(channel: number): number {
    return this.slots === this.channels ? channel : Math.floor((channel * this.slots) / this.channels);
  }

  report(): AxisReport {
    const n = this.slots;
    const of = (sums: Float64Array, i: number) => ((this.counts[i] ?? 0) > 0 ? (sums[i] ?? 0) / (this.counts[i] ?? 1) : 0);
    const rms = Array.from({ length: n }, (_, i) => Math.sqrt(of(this.squares, i)));
    const mean = Array.from({ length: n }, (_, i) => of(this.sums, i));
    const channel = (slot: number) => Math.ceil((slot * this.channels) / n);
    const bins = Math.min(n, BINS);
    const from = Array.from({ length: bins }, (_, b) => Math.floor((b * n) / bins));
    const envelope = (values: ArrayLike<number>): Envelope => {
      const out: Envelope = { low: [], middle: [], high: [] };
      from.forEach((start, b) => {
        const end = from[b + 1] ?? n;
        let [low, high, sum] = [Infinity, -Infinity, 0];
        for (let i = start; i < end; i++) {
          const v = values[i] ?? 0;
          low = Math.min(low, v); high = Math.max(high, v); sum += v;
        }
        out.low.push(tidy(low)); out.middle.push(tidy(sum / (end - start))); out.high.push(tidy(high));
      });
      return out;
    };
    const odd = strange(rms, CHANNELS);
    const middle = median(rms);
    const order = odd.length > 0 ? odd.slice(0, NAMED).map((s) => s.index) : Array.from(rms.keys()).sort((a, b) => (rms[b] ?? 0) - (rms[a] ?? 0)).slice(0, 8);
    return {
      channels: this.channels, shared: Math.ceil(this.channels / n), from: from.map(channel),
      metrics: { rms: envelope(rms), mean: envelope(mean), largest: envelope(this.largest) },
      median: middle, zero: rms.reduce((k, r) => k + (r === 0 ? 1 : 0), 0), strange: odd.length,
      named: order.map((i) => ({ index: channel(i), rms: rms[i] ?? 0, mean: mean[i] ?? 0, largest: this.largest[i] ?? 0, times: middle > 0 ? (rms[i] ?? 0) / middle : 0 })),
    };
  }
}

/** Collects the statistics of a tensor whose values come in order. */
export class Channels {
  private readonly rows: Axis;
  private readonly cols: Axis;
  private readonly rowLen: number;
  private readonly blocks: Blocks | null;
  private values = 0;
  private odd = 0;

  /** `blockLen` 1 says that there are no blocks to tell of. */
  constructor(rows: number, rowLen: number, blockLen: number) {
    this.rows = new Axis(rows);
    this.cols = new Axis(rowLen);
    this.rowLen = rowLen;
    this.blocks = blockLen > 4 ? new Blocks(blockLen, Math.ceil((rows * rowLen) / blockLen)) : null;
  }

  /** The next values, from number `first` on; stretches begin and end with blocks. */
  add(values: ArrayLike<number>, first: number): void {
    this.blocks?.add(values, first);
    this.values += values.length;
    for (let at = 0; at < values.length;) {
      const row = Math.floor((first + at) / this.rowLen);
      const col = first + at - row * this.rowLen;
      const end = Math.min(values.length, at + this.rowLen - col);
      this.line(values, at, end, row, col);
      at = end;
    }
  }

  private line(values: ArrayLike<number>, at: number, end: number, row: number, col: number): void {
    const { sums, squares, largest, counts } = this.cols;
    let [sum, square, most, finite] = [0, 0, 0, 0];
    for (let i = at; i < end; i++, col++) {
      const v = values[i] as number;
      if (v - v !== 0) {
        this.odd += 1;
        continue;
      }
      const size = Math.abs(v);
      const c = this.cols.slot(col);
      sum += v;
      square += v * v;
      finite += 1;
      if (size > most) most = size;
      sums[c] = (sums[c] as number) + v;
      squares[c] = (squares[c] as number) + v * v;
      counts[c] = (counts[c] as number) + 1;
      if (size > (largest[c] as number)) largest[c] = size;
    }
    const r = this.rows.slot(row);
    this.rows.sums[r] = (this.rows.sums[r] ?? 0) + sum;
    this.rows.squares[r] = (this.rows.squares[r] ?? 0) + square;
    this.rows.counts[r] = (this.rows.counts[r] ?? 0) + finite;
    this.rows.largest[r] = Math.max(this.rows.largest[r] ?? 0, most);
  }

  report(): ChannelsReport {
    return { rows: this.rows.report(), cols: this.cols.report(), blocks: this.blocks?.report() ?? null, values: this.values, odd: this.odd };
  }
}

class Blocks {
  private readonly len: number;
  private readonly count: number;
  private readonly every: number;
  private zero = 0;
  private counted = 0;
  /** By octave from 2^-OCTAVES to 2^OCTAVES; what is beyond goes to the ends. */
  private readonly octaves = new Float64Array(2 * OCTAVES);
  private readonly levels = new Map<number, number>();
  private readonly largest: { index: number; largest: number }[] = [];

  constructor(len: number, count: number) {
    this.len = len;
    this.count = count;
    this.every = Math.max(1, Math.ceil(count / COUNTED));
  }

  add(values: ArrayLike<number>, first: number): void {
    let index = Math.floor(first / this.len);
    for (let at = 0; at < values.length; at += this.len, index++) {
      const end = Math.min(values.length, at + this.len);
      let most = 0;
      for (let i = at; i < end; i++) {
        const size = Math.abs(values[i] as number);
        if (size > most) most = size;
      }
      if (most === 0) this.zero += 1;
      else {
        const octave = Math.min(2 * OCTAVES - 1, Math.max(0, Math.floor(Math.log2(most)) + OCTAVES));
        this.octaves[octave] = (this.octaves[octave] ?? 0) + 1;
      }
      this.keep(index, most);
      if (index % this.every === 0) this.distinct(values, at, end);
    }
  }

  private keep(index: number, largest: number): void {
    if (this.largest.length === 8 && largest <= (this.largest[7]?.largest ?? 0)) return;
    this.largest.push({ index, largest });
    this.largest.sort((a, b) => b.largest - a.largest || a.index - b.index);
    this.largest.length = Math.min(8, this.largest.length);
  }

  private distinct(values: ArrayLike<number>, at: number, end: number): void {
    const found = new Set<number>();
    for (let i = at; i < end; i++) found.add(values[i] as number);
    this.levels.set(found.size, (this.levels.get(found.size) ?? 0) + 1);
    this.counted += 1;
  }

  report(): BlocksReport {
    const used = Array.from(this.octaves.keys()).filter((i) => (this.octaves[i] ?? 0) > 0);
    const [low, high] = [used[0] ?? 0, used.at(-1) ?? -1];
    return {
      count: this.count, len: this.len, zero: this.zero, first: low - OCTAVES, counts: Array.from(this.octaves.slice(low, high + 1)), counted: this.counted,
      levels: [...this.levels].map(([values, blocks]) => ({ values, blocks })).sort((a, b) => a.values - b.values), largest: this.largest,
    };
  }
}

function tidy(value: number): number {
  return Number(value.toPrecision(6));
}
