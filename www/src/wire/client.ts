import type { CallName, Calls, Question, Reply } from "./calls.ts";
import { Cancelled, fault, FaultError } from "./fault.ts";

/** The part of `Worker` that the client uses; tests pass their own. */
export interface Port {
  postMessage(message: Question, transfer?: Transferable[]): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<Reply>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

interface Pending {
  resolve(json: unknown): void;
  reject(error: Error): void;
  piece: ((piece: unknown) => void) | undefined;
}

export interface AskOptions<C extends CallName> {
  onPiece?: (piece: Calls[C]["piece"]) => void;
  signal?: AbortSignal;
  /** What the question hands over for good: ports. */
  transfer?: Transferable[];
}

/** Asks the worker, matches replies by number, and replaces a worker whose wasm trapped. */
export class Client {
  private readonly spawn: () => Port;
  private port: Port | null = null;
  private next = 1;
  private readonly pending = new Map<number, Pending>();

  /** Called with the open model's byte counter after every reply. */
  onBytesRead: (bytes: number) => void = () => {};
  /** Called after a worker was lost and everything it held with it. */
  onRestart: (why: string) => void = () => {};

  constructor(spawn: () => Port) {
    this.spawn = spawn;
  }

  ask<C extends CallName>(call: C, ask: Calls[C]["ask"], options: AskOptions<C> = {}): Promise<Calls[C]["tell"]> {
    const { signal, onPiece, transfer = [] } = options;
    if (signal?.aborted) return Promise.reject(new Cancelled());
    const id = this.next++;
    const port = this.connect();
    return new Promise<Calls[C]["tell"]>((resolve, reject) => {
      this.pending.set(id, {
        resolve: resolve as (json: unknown) => void,
        reject,
        piece: onPiece as ((piece: unknown) => void) | undefined,
      });
      signal?.addEventListener("abort", () => { if (this.pending.has(id)) port.postMessage({ id, call: "cancel" }); }, { once: true });
      port.postMessage({ id, call, ask } as Question, transfer);
    });
  }

  /** Ends the worker and all it does, at once; the next question starts a fresh one. */
  restart(why: string | null): void {
    this.port?.terminate();
    this.port = null;
    const waiting = [...this.pending.values()];
    this.pending.clear();
    const error = why === null ? new Cancelled() : new FaultError(fault("bug", why));
    for (const p of waiting) p.reject(error);
    if (why !== null) this.onRestart(why);
  }

  private connect(): Port {
    if (this.port !== null) return this.port;
    const port = this.spawn();
    port.onmessage = (event) => this.receive(event.data);
    port.onerror = (event) => this.restart(`Glassbox's worker stopped: ${event.message || "it could not be loaded"}`);
    this.port = port;
    return port;
  }

  private receive(reply: Reply): void {
    if (reply.kind === "trap") return this.restart(reply.fault.what);
    if (reply.read !== null) this.onBytesRead(reply.read);
    const waiting = this.pending.get(reply.id);
    if (waiting === undefined) return;
    if (reply.kind === "piece") return waiting.piece?.(JSON.parse(reply.json));
    this.pending.delete(reply.id);
    if (reply.kind === "fault") waiting.reject(reply.fault.blame === "cancelled" ? new Cancelled() : new FaultError(reply.fault));
    else waiting.resolve(JSON.parse(reply.json));
  }
}
