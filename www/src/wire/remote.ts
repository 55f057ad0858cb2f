import { Cancelled, fault, FaultError } from "./fault.ts";
import type { Part } from "./calls.ts";
import type { FromFetcher, ToFetcher } from "./ranges.ts";

/** The part of `Worker` that is used; tests pass their own. */
export interface FetcherPort {
  postMessage(message: ToFetcher, transfer?: Transferable[]): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<FromFetcher>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

/** A file at an address, and the worker that fetches its ranges while it is open. */
export class RemoteFile {
  readonly url: string;
  /** Length in bytes. */
  readonly size: number;
  /** Hosts that answered: the one asked, and the one that it sent us on to. */
  readonly hosts: string[];
  /** Bytes that arrived so far. */
  fetched: number;
  private readonly port: FetcherPort;

  private constructor(url: string, port: FetcherPort, opened: Extract<FromFetcher, { kind: "opened" }>) {
    this.url = url;
    this.port = port;
    this.size = opened.size;
    this.hosts = opened.hosts;
    this.fetched = opened.fetched;
  }

  /** Starts a fetcher, which asks for the file's first bytes; `onFetched` hears how many have arrived, for as long as it is open. */
  static open(spawn: () => FetcherPort, url: string, onFetched: (bytes: number) => void, signal: AbortSignal): Promise<RemoteFile> {
    const port = spawn();
    return new Promise((resolve, reject) => {
      let file: RemoteFile | null = null;
      const fail = (error: Error) => {
        port.terminate();
        reject(error);
      };
      signal.addEventListener("abort", () => { if (file === null) fail(new Cancelled()); }, { once: true });
      port.onerror = () => fail(new FaultError(fault("source", "The part of this page that fetches files could not be loaded from the page's host")));
      port.onmessage = ({ data }) => {
        if (data.kind === "fault") return fail(new FaultError(data.fault));
        if (data.kind === "opened") resolve((file = new RemoteFile(url, port, data)));
        if (file !== null) file.fetched = data.fetched;
        onFetched(data.fetched);
      };
      port.postMessage({ kind: "open", url });
    });
  }

  /** The end for one of the engine's workers. A new one puts an earlier one out of use. */
  connect(part: Part): MessagePort {
    const channel = new MessageChannel();
    this.port.postMessage({ kind: "serve", part, port: channel.port1 }, [channel.port1]);
    return channel.port2;
  }

  /** Drops a worker's requests that are under way. */
  stop(part: Part): void {
    this.port.postMessage({ kind: "stop", part });
  }

  /** Ends all fetching for good. */
  close(): void {
    this.port.terminate();
  }
}
