import type { Part } from "./calls.ts";
import type { FaultReport } from "./report.ts";

/** What the page tells its fetcher. One fetcher serves one address; the first message names it. */
export type ToFetcher =
  | { kind: "open"; url: string }
  /** One of the engine's workers will ask for ranges at the other end of this port; its earlier port's requests are dropped. */
  | { kind: "serve"; part: Part; port: MessagePort }
  /** Nobody waits for that worker's requests any more. */
  | { kind: "stop"; part: Part };

/** What the fetcher tells the page. */
export type FromFetcher =
  | { kind: "opened"; size: number; hosts: string[]; fetched: number }
  | { kind: "fault"; fault: FaultReport }
  /** Bytes that arrived so far. */
  | { kind: "fetched"; fetched: number };

/** What the engine's workers may ask of a fetcher: bytes of the one file, nothing else. */
export interface RangeQuestion {
  id: number;
  start: number;
  end: number;
}

export type RangeAnswer = { id: number; bytes: ArrayBuffer } | { id: number; why: string };
