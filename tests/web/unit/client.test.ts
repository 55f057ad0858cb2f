import { describe, expect, it } from "vitest";

import type { Question, Reply } from "../../../www/src/wire/calls.ts";
import { Client, type Port } from "../../../www/src/wire/client.ts";
import { Cancelled, FaultError, faultOf } from "../../../www/src/wire/fault.ts";

class FakePort implements Port {
  sent: Question[] = [];
  ended = false;
  onmessage: ((event: MessageEvent<Reply>) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  postMessage(message: Question): void { this.sent.push(message); }
  terminate(): void { this.ended = true; }
  reply(reply: Reply): void { this.onmessage?.({ data: reply } as MessageEvent<Reply>); }
}

function setup() {
  const ports: FakePort[] = [];
  const client = new Client(() => {
    const port = new FakePort();
    ports.push(port);
    return port;
  });
  return { client, ports, port: () => ports.at(-1) as FakePort };
}

describe("the client", () => {
  it("starts no worker before the first question", () => {
    expect(setup().ports).toHaveLength(0);
  });
  it("matches answers by number, in whatever order they come", async () => {
    const { client, port } = setup();
    const first = client.ask("array", { key: "a", start: 0, count: 1 });
    const second = client.ask("array", { key: "b", start: 0, count: 1 });
    port().reply({ id: 2, kind: "tell", json: "[2]", read: null });
    port().reply({ id: 1, kind: "tell", json: "[1]", read: null });
    expect(await first).toEqual([1]);
    expect(await second).toEqual([2]);
  });
  it("hands on pieces and the byte counter as they come", async () => {
    const { client, port } = setup();
    const read: number[] = [];
    const pieces: unknown[] = [];
    client.onBytesRead = (n) => read.push(n);
    const done = client.ask("load", { device: "auto", tier: "", exact: false }, { onPiece: (p) => pieces.push(p.done) });
    port().reply({ id: 1, kind: "piece", json: '{"what":"w","done":1,"total":2}', read: 10 });
    port().reply({ id: 1, kind: "piece", json: '{"what":"w","done":2,"total":2}', read: 20 });
    port().reply({ id: 1, kind: "tell", json: '{"name":"CPU"}', read: 20 });
    expect((await done).name).toBe("CPU");
    expect(pieces).toEqual([1, 2]);
    expect(read).toEqual([10, 20, 20]);
  });
  it("rejects with the worker's own report", async () => {
    const { client, port } = setup();
    const asked = client.ask("warm", {});
    port().reply({ id: 1, kind: "fault", fault: { blame: "file", what: "no", file: "f", at: 7, because: [] }, read: null });
    const error: unknown = await asked.catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FaultError);
    expect((error as FaultError).report.at).toBe(7);
  });
  it("sends a cancel when its signal is aborted, and none after the answer", async () => {
    const { client, port } = setup();
    const stop = new AbortController();
    const asked = client.ask("warm", {}, { signal: stop.signal });
    stop.abort();
    expect(port().sent.at(-1)).toEqual({ id: 1, call: "cancel" });
    port().reply({ id: 1, kind: "tell", json: '{"subgroups":false}', read: null });
    expect(await asked).toEqual({ subgroups: false });
    const again = new AbortController();
    const second = client.ask("warm", {}, { signal: again.signal });
    port().reply({ id: 2, kind: "tell", json: '{"subgroups":false}', read: null });
    await second;
    again.abort();
    expect(port().sent.filter((q) => q.call === "cancel")).toHaveLength(1);
  });
  it("replaces a worker whose wasm trapped, fails what waited, and says so", async () => {
    const { client, ports, port } = setup();
    const told: string[] = [];
    client.onRestart = (why) => told.push(why);
    const waiting = client.ask("warm", {}).catch((e: unknown) => e);
    port().reply({ id: 1, kind: "trap", fault: { blame: "bug", what: "unreachable", file: null, at: null, because: [] } });
    expect(await waiting).toBeInstanceOf(FaultError);
    expect(told).toEqual(["unreachable"]);
    expect(ports[0]?.ended).toBe(true);
    const next = client.ask("warm", {});
    expect(ports).toHaveLength(2);
    port().reply({ id: 2, kind: "tell", json: '{"subgroups":true}', read: null });
    expect(await next).toEqual({ subgroups: true });
  });
  it("gives up quietly when it is told to", async () => {
    const { client } = setup();
    const told: string[] = [];
    client.onRestart = (why) => told.push(why);
    const waiting = client.ask("warm", {}).catch((e: unknown) => e);
    client.restart(null);
    expect(await waiting).toBeInstanceOf(Cancelled);
    expect(told).toEqual([]);
  });
});

describe("a thrown thing becomes a report", () => {
  it("when it is the wasm's JSON", () => {
    expect(faultOf('{"blame":"file","what":"bad","file":null,"at":3,"because":["x"]}')).toEqual({ blame: "file", what: "bad", file: null, at: 3, because: ["x"] });
  });
  it("when it is anything else", () => {
    expect(faultOf(new Error("boom")).what).toBe("boom");
    expect(faultOf("{not json").blame).toBe("bug");
    expect(faultOf(undefined).what).toBe("undefined");
  });
});
