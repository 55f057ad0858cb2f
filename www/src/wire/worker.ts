import { Client, type Port } from "./client.ts";
import { type FetcherPort, RemoteFile } from "./remote.ts";
import { startEngine, startFetcher } from "./scripts.ts";

/** The page's two clients. A worker starts with the first question to it. */
export const reader = new Client(() => startEngine("reader") as unknown as Port);
export const runner = new Client(() => startEngine("runner") as unknown as Port);

/** Opens the file at an address, by a worker of its own. */
export function openRemote(url: string, onFetched: (bytes: number) => void, signal: AbortSignal): Promise<RemoteFile> {
  return RemoteFile.open(() => startFetcher() as unknown as FetcherPort, url, onFetched, signal);
}
