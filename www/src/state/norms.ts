import { computed, effect, signal } from "@preact/signals";

import { type NormReport, type Role, roles, type SizeBy } from "../lib/values/norms.ts";
import { Cancelled, faultOf } from "../wire/fault.ts";
import type { FaultReport } from "../wire/report.ts";
import { askModel, generation, origin } from "./model.ts";
import { STATS_BY_ITSELF, tensors } from "./tensors.ts";

/** "idle" before, "busy" during, "stopped" by the person, "failed" or "done" after the measuring of all tensors. */
export type State = "idle" | "busy" | "stopped" | "failed" | "done";
export const state = signal<State>("idle");
export const fault = signal<FaultReport | null>(null);
/** By the tensors' numbers, in the order in which they were measured. */
export const measured = signal<readonly NormReport[]>([]);
/** Bytes of the tensors that were measured, and of all that will be. */
export const done = signal(0);

/** Which size the plot shows. */
export const sizeBy = signal<SizeBy>("rms");
/** Roles that the person switched off. */
export const hidden = signal<ReadonlySet<string>>(new Set());

/** Tensors that can be measured: numbers whose bytes are here. */
export const measurable = computed(() => tensors.value.flatMap((t, i) => (t.place === "here" ? [i] : [])));
export const total = computed(() => measurable.value.reduce((n, i) => n + (tensors.value[i]?.bytes ?? 0), 0));

export const parts = computed<Role[]>(() => roles(tensors.value.map((t) => t.name), measured.value));

/** Layers that stand out among those of their role, the strangest first. */
export const outliers = computed(() =>
  parts.value.flatMap((role) => role.points.flatMap((point) => (point.strange === null ? [] : [{ role, point, times: point.strange }])))
    .sort((a, b) => Math.abs(Math.log(b.times)) - Math.abs(Math.log(a.times))));

let running: AbortController | null = null;
/** Pieces come faster than a plot needs to be drawn anew. */
const EVERY = 200;

/** Measures what was not measured yet. */
export async function measure(): Promise<void> {
  if (running !== null) return;
  const stop = new AbortController();
  running = stop;
  const mine = generation.value;
  const current = () => running === stop && generation.value === mine;
  const known = new Set(measured.value.map((m) => m.tensor));
  const ask = measurable.value.filter((i) => !known.has(i)).map((tensor) => ({ tensor, elements: tensors.value[tensor]?.shape.reduce((n, d) => n * d, 1) ?? 0 }));
  state.value = "busy";
  fault.value = null;
  let waiting: NormReport[] = [];
  let shown = 0;
  const show = () => {
    if (!current() || waiting.length === 0) return;
    measured.value = [...measured.value, ...waiting];
    done.value += waiting.reduce((n, m) => n + (tensors.value[m.tensor]?.bytes ?? 0), 0);
    waiting = [];
    shown = performance.now();
  };
  try {
    await askModel("norms", { tensors: ask }, {
      signal: stop.signal,
      onPiece: (piece) => {
        waiting.push(piece);
        if (performance.now() - shown >= EVERY) show();
      },
    });
    show();
    if (current()) state.value = stop.signal.aborted ? "stopped" : "done";
  } catch (error) {
    show();
    if (!current()) return;
    state.value = error instanceof Cancelled ? "stopped" : "failed";
    if (!(error instanceof Cancelled)) fault.value = faultOf(error);
  } finally {
    if (running === stop) running = null;
  }
}

export function stop(): void {
  running?.abort();
}

/** Every model starts unmeasured; what is small and on this machine is measured as soon as somebody looks. */
export function watchNorms(): () => void {
  return effect(() => {
    if (generation.value !== of) {
      of = generation.value;
      running?.abort();
      running = null;
      state.value = "idle";
      fault.value = null;
      measured.value = [];
      done.value = 0;
      hidden.value = new Set();
    }
    if (state.peek() === "idle" && origin.peek() === null && total.value <= STATS_BY_ITSELF && measurable.value.length > 0) void measure();
  });
}
let of = -1;

export function toggle(role: string): void {
  const next = new Set(hidden.value);
  if (!next.delete(role)) next.add(role);
  hidden.value = next;
}
