import { computed, signal } from "@preact/signals";

import { Cancelled, faultOf } from "../wire/fault.ts";
import type { CheckReport, FaultReport, NoteReport } from "../wire/report.ts";
import { askModel, generation, report } from "./model.ts";

/** What a closer look at one model gave; `of` says which model. */
interface Look {
  of: number;
  state: "busy" | "done" | "failed";
  report: CheckReport | null;
  fault: FaultReport | null;
}

const last = signal<Look | null>(null);

/** The closer look at the open model; null where nobody asked for one. */
export const look = computed(() => (last.value?.of === generation.value ? last.value : null));

/** All findings known: of the closer look where there was one, else of the headers. */
export const findings = computed<NoteReport[]>(() => look.value?.report?.findings ?? report.value?.notes ?? []);

/** Reads files beside the weights, bytes that no tensor names, and samples of values, and holds them against each other. */
export async function lookCloser(): Promise<void> {
  const of = generation.value;
  last.value = { of, state: "busy", report: null, fault: null };
  try {
    last.value = { of, state: "done", report: await askModel("check", {}), fault: null };
  } catch (error) {
    last.value = error instanceof Cancelled ? null : { of, state: "failed", report: null, fault: faultOf(error) };
  }
}
