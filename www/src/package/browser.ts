import { hostOf, nameOf } from "./address.ts";
import type { NamedFile, SentFile } from "../wire/calls.ts";
import { Client, type Port } from "../wire/client.ts";
import { type FetcherPort, RemoteFile } from "../wire/remote.ts";
import { type Asker, Model, type Platform } from "./model.ts";
import { start } from "./workers.ts";

export type { GenerateOptions, MetaItem, NamedFile } from "../wire/calls.ts";
export type * from "../wire/report.ts";
export { Cancelled, FaultError } from "../wire/fault.ts";
export { type Generation, type LoadOptions, Model, Runner } from "./model.ts";

/** A file, or its address: one that answers range requests, on this host or on one that allows other pages (CORS). */
export type Source = File | NamedFile | string | URL;

export interface OpenOptions {
  /** Ends the opening. */
  signal?: AbortSignal;
  /** Hears how many bytes have arrived from addresses so far. */
  onFetched?: (bytes: number) => void;
}

/** A worker as the package's classes see it. */
class InWorker implements Asker {
  private readonly client: Client;
  readonly ask: Client["ask"];

  constructor(part: "reader" | "runner") {
    this.client = new Client(() => start(part) as unknown as Port);
    this.ask = this.client.ask.bind(this.client);
  }

  close(): void {
    this.client.restart(null);
  }
}

const PLATFORM: Platform = {
  reader: () => new InWorker("reader"),
  runner: () => new InWorker("runner"),
  send(part, files) {
    const transfer: Transferable[] = [];
    const sent = files.map(({ name, file }): SentFile => {
      if (!(file instanceof RemoteFile)) return { name, file };
      const port = file.connect(part);
      transfer.push(port);
      return { name, file: { size: file.size, port } };
    });
    return { files: sent, transfer };
  },
  release: (files) => {
    for (const { file } of files) if (file instanceof RemoteFile) file.close();
  },
};

/**
 * Opens a model: one file, or all that belong to it (shards, config.json, tokenizer.json, ...). Files are read by ranges, never whole.
 * @throws FaultError where the files cannot be read or are no model; its `report` tells the file, the byte and what was expected
 */
export async function open(source: Source | readonly Source[], options: OpenOptions = {}): Promise<Model> {
  const sources = Array.isArray(source) ? source as readonly Source[] : [source as Source];
  const signal = options.signal ?? new AbortController().signal;
  const fetched = sources.map(() => 0);
  const opened = await Promise.allSettled(sources.map((s, i) => named(s, signal, (n) => {
    fetched[i] = n;
    options.onFetched?.(fetched.reduce((a, b) => a + b, 0));
  })));
  const files = opened.flatMap((o) => (o.status === "fulfilled" ? [o.value] : []));
  const failed = opened.find((o) => o.status === "rejected");
  if (failed !== undefined || signal.aborted) {
    PLATFORM.release(files);
    signal.throwIfAborted();
    throw failed?.reason;
  }
  return Model.open(PLATFORM, files, signal);
}

async function named(source: Source, signal: AbortSignal, onFetched: (bytes: number) => void): Promise<NamedFile> {
  if (source instanceof File) return { name: source.webkitRelativePath || source.name, file: source };
  if (typeof source !== "string" && !(source instanceof URL)) return source;
  const url = new URL(source, globalThis.location?.href);
  if (hostOf(url) === null) throw new TypeError(`an address at http or https expected, ${url.href} found`);
  const file = await RemoteFile.open(() => start("fetcher") as unknown as FetcherPort, url.href, onFetched, signal);
  return { name: nameOf(url), file };
}
