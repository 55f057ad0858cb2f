/// <reference lib="webworker" />
import { fault, FaultError, faultOf } from "../wire/fault.ts";
import type { Part } from "../wire/calls.ts";
import type { FromFetcher, RangeAnswer, RangeQuestion, ToFetcher } from "../wire/ranges.ts";
import { RemoteReader } from "./ranges.ts";

declare const self: DedicatedWorkerGlobalScope;

/**
 * Reads one file at the address that the person gave. The page's policy lets it reach its own host only; a worker has the
 * policy that it was served with, so this one, started for the purpose, can reach another. It holds no other file's bytes,
 * and the engine's workers can ask it for ranges of this one address only.
 */
let reader: RemoteReader | null = null;
const opening = new AbortController();
const running = new Map<Part, AbortController>();
let told = 0;

/** Shortest time between two notices of progress, in milliseconds. */
const NOTICE = 80;

self.onmessage = (event: MessageEvent<ToFetcher>) => {
  const message = event.data;
  if (message.kind === "open") void open(message.url);
  if (message.kind === "serve") serve(message.part, message.port);
  if (message.kind === "stop") stop(message.part);
};

/** Drops what a worker asked for, and begins anew. */
function stop(part: Part): AbortSignal {
  running.get(part)?.abort();
  const next = new AbortController();
  running.set(part, next);
  return next.signal;
}

async function open(url: string): Promise<void> {
  if (reader !== null) return;
  const opened = (reader = new RemoteReader(url, self.fetch.bind(self), () => tell(false)));
  try {
    await opened.open(opening.signal);
    post({ kind: "opened", size: opened.size, hosts: opened.hosts, fetched: opened.fetched });
  } catch (error) {
    post({ kind: "fault", fault: error instanceof FaultError ? error.report : fault("bug", "The address could not be read", [faultOf(error).what]) });
  }
}

function serve(part: Part, port: MessagePort): void {
  const signal = stop(part);
  const answer = async ({ id, start, end }: RangeQuestion): Promise<void> => {
    try {
      if (reader === null || !(0 <= start && start <= end && end <= reader.size)) throw new RangeError(`no such bytes: ${start} to ${end}`);
      const { buffer } = await reader.read(start, end, signal);
      tell(true);
      port.postMessage({ id, bytes: buffer } satisfies RangeAnswer, [buffer]);
    } catch (error) {
      port.postMessage({ id, why: faultOf(error).what } satisfies RangeAnswer);
    }
  };
  port.onmessage = (event: MessageEvent<RangeQuestion>) => void answer(event.data);
}

function tell(now: boolean): void {
  if (reader === null || (!now && performance.now() - told < NOTICE)) return;
  told = performance.now();
  post({ kind: "fetched", fetched: reader.fetched });
}

function post(message: FromFetcher): void {
  self.postMessage(message);
}
