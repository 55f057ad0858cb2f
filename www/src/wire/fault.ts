import type { FaultReport } from "./report.ts";

/** A failure that reached the page; its report says whose doing it was. */
export class FaultError extends Error {
  readonly report: FaultReport;
  constructor(report: FaultReport) {
    super(report.what);
    this.name = "FaultError";
    this.report = report;
  }
}

/** The person asked for the work to end: no failure. */
export class Cancelled extends Error {
  constructor() {
    super("Cancelled");
    this.name = "Cancelled";
  }
}

export function fault(blame: string, what: string, because: string[] = []): FaultReport {
  return { blame, what, file: null, at: null, because };
}

/** Anything thrown, as a report. The wasm rejects with a fault report in JSON. */
export function faultOf(thrown: unknown): FaultReport {
  if (thrown instanceof FaultError) return thrown.report;
  const text = typeof thrown === "string" ? thrown : thrown instanceof Error ? thrown.message : String(thrown);
  if (text.startsWith("{")) {
    try {
      const value = JSON.parse(text) as Partial<FaultReport>;
      if (typeof value.what === "string") {
        return { blame: value.blame ?? "bug", what: value.what, file: value.file ?? null, at: value.at ?? null, because: value.because ?? [] };
      }
    } catch {
      // Not a report after all: shown as it is.
    }
  }
  return fault("bug", text);
}
