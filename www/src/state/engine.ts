import { type CallName, type Calls, type Part, PART } from "../wire/calls.ts";
import type { AskOptions, Client } from "../wire/client.ts";
import type { RemoteFile } from "../wire/remote.ts";

/** The part of a client that state needs; main.tsx gives the real ones, tests their own. */
export type Asker = Pick<Client, "ask" | "restart" | "onBytesRead" | "onRestart">;
export type Askers = Record<Part, Asker>;

/** Opens the file at an address (wire/worker.ts). */
export type Opener = (url: string, onFetched: (bytes: number) => void, signal: AbortSignal) => Promise<RemoteFile>;

let askers: Askers | null = null;
let opener: Opener | null = null;

export function connect(clients: Askers, openRemote: Opener): void {
  askers = clients;
  opener = openRemote;
}

export function openRemote(...of: Parameters<Opener>): Promise<RemoteFile> {
  if (opener === null) throw new Error("state was used before connect()");
  return opener(...of);
}

export function engine(part: Part): Asker {
  if (askers === null) throw new Error("state was used before connect()");
  return askers[part];
}

export function ask<C extends CallName>(call: C, question: Calls[C]["ask"], options?: AskOptions<C>): Promise<Calls[C]["tell"]> {
  return engine(PART[call]).ask(call, question, options);
}
