import { Client, type Port } from "./client.ts";
import { type FetcherPort, RemoteFile } from "./remote.ts";
import { startEngine, startFetcher } from "./scripts.ts";

/** The page's one client. The worker starts with the first question. */
export const client = new Client(() => startEngine() as unknown as Port);

/** Opens the file at an address, by a worker of its own. */
export function openRemote(url: string, onFetched: (bytes: number) => void, signal: AbortSignal): Promise<RemoteFile> {
  return RemoteFile.open(() => startFetcher() as unknown as FetcherPort, url, onFetched, signal);
}
