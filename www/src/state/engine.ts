import type { CallName, Calls } from "../wire/calls.ts";
import type { AskOptions, Client } from "../wire/client.ts";

/** The part of the client that state needs; main.tsx gives the real one, tests their own. */
export type Asker = Pick<Client, "ask" | "restart" | "onBytesRead" | "onRestart">;

let asker: Asker | null = null;

export function connect(client: Asker): void {
  asker = client;
}

export function engine(): Asker {
  if (asker === null) throw new Error("state was used before connect()");
  return asker;
}

export function ask<C extends CallName>(call: C, question: Calls[C]["ask"], options?: AskOptions<C>): Promise<Calls[C]["tell"]> {
  return engine().ask(call, question, options);
}
