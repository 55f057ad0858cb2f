import type { Calls } from "../wire/calls.ts";
import type { BlockReport } from "../wire/report.ts";
import { fault, FaultError, faultOf } from "../wire/fault.ts";
import { Channels } from "../lib/values/channels.ts";
import { heat } from "../lib/values/heat.ts";
import { Moments, type NormReport } from "../lib/values/norms.ts";
import { singularValues, type SpectrumReport } from "../lib/values/svd.ts";
import type { ReaderModel } from "./glassbox.ts";
import { macrotask } from "./macrotask.ts";

/** Values read at a time: whole blocks of every encoding. */
const CHUNK = 1 << 20;
/** Longest stretch of work without letting messages (Stop, other questions) in, in milliseconds. */
const TURN = 30;

type Emit = (json: string) => void;

/** Reads a tensor's values in order, a chunk at a time; false where it was stopped. */
async function stream(model: ReaderModel, tensor: number, elements: number, stop: AbortSignal, take: (values: Float32Array, first: number) => void): Promise<boolean> {
  let turn = performance.now();
  for (let first = 0; first < elements; first += CHUNK) {
    if (stop.aborted) return false;
    take(await model.values(tensor, first, Math.min(CHUNK, elements - first)), first);
    if (performance.now() - turn >= TURN) {
      await macrotask();
      turn = performance.now();
    }
  }
  return !stop.aborted;
}

export async function heatOf(model: ReaderModel, { tensor, plane, window, cells, budget }: Calls["heat"]["ask"]): Promise<string> {
  return JSON.stringify(await heat((first, count) => model.values(tensor, first, count), plane, window, cells, budget));
}

export async function channelsOf(model: ReaderModel, { tensor, rows, rowLen }: Calls["channels"]["ask"], emit: Emit, stop: AbortSignal): Promise<string> {
  const elements = rows * rowLen;
  const { block_len } = JSON.parse(await model.block(tensor, 0)) as BlockReport;
  const made = new Channels(rows, rowLen, block_len);
  const whole = await stream(model, tensor, elements, stop, (values, first) => {
    made.add(values, first);
    emit(JSON.stringify(Math.min(1, (first + values.length) / elements)));
  });
  if (!whole) throw new FaultError(fault("cancelled", "stopped"));
  return JSON.stringify(made.report());
}

export async function spectrumOf(model: ReaderModel, { tensor, plane, window }: Calls["spectrum"]["ask"]): Promise<string> {
  const { rows, cols } = window;
  const values = new Float64Array(rows * cols);
  // Every value is wanted: as many rows at a time as one read may span.
  const across = (cols - 1) * plane.colStep + 1;
  for (let r = 0; r < rows; r++) {
    const base = plane.base + (window.top + r) * plane.rowStep + window.left * plane.colStep;
    if (across <= CHUNK) {
      const line = await model.values(tensor, base, across);
      for (let c = 0; c < cols; c++) values[r * cols + c] = line[c * plane.colStep] ?? NaN;
    } else {
      for (let c = 0; c < cols; c++) values[r * cols + c] = (await model.values(tensor, base + c * plane.colStep, 1))[0] ?? NaN;
    }
  }
  const finite = values.every(Number.isFinite);
  const squares = values.reduce((n, v) => n + v * v, 0);
  const report: SpectrumReport = { rows, cols, values: finite ? singularValues(values, rows, cols) : null, rms: finite ? Math.sqrt(squares / Math.max(1, values.length)) : 0 };
  return JSON.stringify(report);
}

/** A piece for every tensor; one that cannot be read is told with why, and the others go on. */
export async function normsOf(model: ReaderModel, { tensors }: Calls["norms"]["ask"], emit: Emit, stop: AbortSignal): Promise<string> {
  for (const { tensor, elements } of tensors) {
    const m = new Moments();
    let why: string | null = null;
    try {
      if (!(await stream(model, tensor, elements, stop, (values) => m.add(values)))) break;
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) throw error;
      why = faultOf(error).what;
    }
    const { count, odd, zeros, sum, squares, largest } = m;
    const report: NormReport = why === null ? { tensor, count, odd, zeros, sum, squares, largest, fault: null } : { tensor, count: 0, odd: 0, zeros: 0, sum: 0, squares: 0, largest: 0, fault: why };
    emit(JSON.stringify(report));
  }
  return "null";
}
