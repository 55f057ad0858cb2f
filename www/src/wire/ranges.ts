import type { FaultReport } from "./report.ts";

/** What the page tells its fetcher. One fetcher serves one address; the first message names it. */
export type ToFetcher =
  | { kind: "open"; url: string }
  /** The engine's worker will ask for ranges at the other end of this port; an earlier port's requests are dropped. */
  | { kind: "serve"; port: MessagePort }
  /** Nobody waits for the requests under way any more. */
  | { kind: "stop" };

/** What the fetcher tells the page. */
export type FromFetcher =
  | { kind: "opened"; size: number; hosts: string[]; fetched: number }
  | { kind: "fault"; fault: FaultReport }
  /** Bytes that arrived so far. */
  | { kind: "fetched"; fetched: number };

/** What the engine's worker may ask of a fetcher: bytes of the one file, nothing else. */
export interface RangeQuestion {
  id: number;
  start: number;
  end: number;
}

export type RangeAnswer = { id: number; bytes: ArrayBuffer } | { id: number; why: string };
