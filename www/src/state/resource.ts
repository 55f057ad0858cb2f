import { signal, type Signal } from "@preact/signals";

import { Cancelled, faultOf } from "../wire/fault.ts";
import type { FaultReport } from "../wire/report.ts";

/** An answer that is asked for, here, or failed. An old value stays visible while a new one is on its way. */
export interface Resource<T> {
  busy: boolean;
  value: T | null;
  fault: FaultReport | null;
}

export function resource<T>(): Signal<Resource<T>> {
  return signal<Resource<T>>({ busy: false, value: null, fault: null });
}

export function reset<T>(target: Signal<Resource<T>>): void {
  target.value = { busy: false, value: null, fault: null };
}

/** Fills a resource; an answer that is no longer wanted (`current` is false by then) is dropped. */
export async function fill<T>(target: Signal<Resource<T>>, question: () => Promise<T>, current: () => boolean): Promise<void> {
  target.value = { ...target.peek(), busy: true, fault: null };
  try {
    const value = await question();
    if (current()) target.value = { busy: false, value, fault: null };
  } catch (error) {
    if (!current()) return;
    target.value = error instanceof Cancelled ? { ...target.peek(), busy: false } : { busy: false, value: null, fault: faultOf(error) };
  }
}
