import type { CallName, Calls } from "../wire/calls.ts";
import type { AskOptions, Client } from "../wire/client.ts";
import type { RemoteFile } from "../wire/remote.ts";

/** The part of the client that state needs; main.tsx gives the real one, tests their own. */
export type Asker = Pick<Client, "ask" | "restart" | "onBytesRead" | "onRestart">;

/** Opens the file at an address (wire/worker.ts). */
export type Opener = (url: string, onFetched: (bytes: number) => void, signal: AbortSignal) => Promise<RemoteFile>;

let asker: Asker | null = null;
let opener: Opener | null = null;

export function connect(client: Asker, openRemote: Opener): void {
  asker = client;
  opener = openRemote;
}

export function openRemote(...of: Parameters<Opener>): Promise<RemoteFile> {
  if (opener === null) throw new Error("state was used before connect()");
  return opener(...of);
}

export function engine(): Asker {
  if (asker === null) throw new Error("state was used before connect()");
  return asker;
}

export function ask<C extends CallName>(call: C, question: Calls[C]["ask"], options?: AskOptions<C>): Promise<Calls[C]["tell"]> {
  return engine().ask(call, question, options);
}
