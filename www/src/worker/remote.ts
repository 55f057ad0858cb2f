import type { SentFile } from "../wire/calls.ts";
import type { RangeAnswer, RangeQuestion } from "../wire/ranges.ts";

/** The part of `Blob` that the wasm uses (crate/src/source/web.rs). */
export interface BlobLike {
  readonly size: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** Names and bytes of what the page sent, as the wasm wants them. */
export function blobs(files: SentFile[]): [string[], BlobLike[]] {
  return [files.map((f) => f.name), files.map(({ file }) => (file instanceof Blob ? file : new RemoteBlob(file.size, file.port)))];
}

/** A file at an address, in the shape of a `Blob`: its bytes are asked of the fetcher when they are read, and not before. */
export class RemoteBlob implements BlobLike {
  readonly size: number;
  private readonly port: MessagePort;
  private readonly waiting = new Map<number, { resolve: (bytes: ArrayBuffer) => void; reject: (error: Error) => void }>();
  private next = 1;

  constructor(size: number, port: MessagePort) {
    this.size = size;
    this.port = port;
    port.onmessage = (event: MessageEvent<RangeAnswer>) => {
      const answer = event.data;
      const asked = this.waiting.get(answer.id);
      this.waiting.delete(answer.id);
      if ("bytes" in answer) asked?.resolve(answer.bytes);
      else asked?.reject(new Error(answer.why));
    };
  }

  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> } {
    return { arrayBuffer: () => this.fetch(start, end) };
  }

  private fetch(start: number, end: number): Promise<ArrayBuffer> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.port.postMessage({ id, start, end } satisfies RangeQuestion);
    });
  }
}
