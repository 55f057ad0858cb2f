import { describe, expect, it } from "vitest";

import { HEAD, parseContentRange, RemoteReader } from "../../../www/src/fetcher/ranges.ts";
import { FaultError } from "../../../www/src/wire/fault.ts";

const URL_ = "https://host.example/m.gguf";
const FILE = Uint8Array.from({ length: 9 << 20 }, (_, i) => (i * 31 + (i >> 9)) & 255);

interface Asked {
  range: string | null;
  init: RequestInit;
}
type Host = (first: number, last: number, nth: number) => Response | Promise<Response>;

/** A reader of a host that answers as told, and what was asked of it. */
function reading(host: Host) {
  const asked: Asked[] = [];
  const get = (async (_: string, init: RequestInit = {}) => {
    const range = new Headers(init.headers).get("range");
    asked.push({ range, init });
    const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
    return host(Number(first), last === "" ? Infinity : Number(last), asked.length);
  }) as typeof fetch;
  let notices = 0;
  return { reader: new RemoteReader(URL_, get, () => { notices += 1; }), asked, notices: () => notices };
}

/** As RFC 9110 wants it. */
function part(first: number, last: number, headers: Record<string, string> = {}, file = FILE): Response {
  const end = Math.min(last, file.length - 1);
  return new Response(file.slice(first, end + 1), { status: 206, headers: { "content-range": `bytes ${first}-${end}/${file.length}`, ...headers } });
}

const well: Host = (first, last) => part(first, last);

const signal = new AbortController().signal;
async function why(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.catch((e: unknown) => e);
  expect(error).toBeInstanceOf(FaultError);
  expect((error as FaultError).report.blame).toBe("network");
  return (error as FaultError).message;
}

describe("Content-Range", () => {
  it("is read as RFC 9110 writes it", () => {
    expect(parseContentRange("bytes 0-4095/123456")).toEqual({ first: 0, last: 4095, total: 123456 });
    expect(parseContentRange("bytes 5-5/*")).toEqual({ first: 5, last: 5, total: null });
  });
  it("that contradicts itself is none", () => {
    for (const text of ["bytes 5-4/10", "bytes 0-10/10", "bytes */10", "lines 0-1/2", "bytes 0-1/99999999999999999999", "bytes 0-4095", "", null]) expect(parseContentRange(text)).toBeNull();
  });
});

describe("a file at an address", () => {
  it("tells its length by its first bytes, which are fetched once", async () => {
    const { reader, asked } = reading(well);
    await reader.open(signal);
    expect(reader.size).toBe(FILE.length);
    expect(await reader.read(0, HEAD, signal)).toEqual(FILE.slice(0, HEAD));
    expect(asked.map((a) => a.range)).toEqual([`bytes=0-${HEAD - 1}`]);
    expect(reader.fetched).toBe(HEAD);
  });
  it("is asked without cookies, referrer or anything kept", async () => {
    const { reader, asked } = reading(well);
    await reader.open(signal);
    expect(asked[0]?.init).toMatchObject({ credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store", mode: "cors" });
  });
  it("gives large reads in parts at once and each byte in its place", async () => {
    const { reader, asked } = reading(well);
    await reader.open(signal);
    const read = await reader.read(12_345, 12_345 + (4 << 20) + 3, signal);
    expect(Buffer.compare(read, FILE.slice(12_345, 12_345 + (4 << 20) + 3))).toBe(0);
    expect(asked).toHaveLength(5);
    expect(reader.fetched).toBe(HEAD + (4 << 20) + 3);
  });
  it("keeps what was read first, for the other worker, and no more than 16 MiB of it", async () => {
    const { reader, asked } = reading(well);
    await reader.open(signal);
    const [from, to] = [HEAD, HEAD + 300_000];
    const once = await reader.read(from, to, signal);
    once.fill(0);
    expect(Buffer.compare(await reader.read(from + 5, to - 7, signal), FILE.slice(from + 5, to - 7))).toBe(0);
    expect(asked).toHaveLength(2);
    for (let i = 0; i < 2; i++) await reader.read(1 << 20, 9 << 20, signal);
    const after = asked.length;
    await reader.read(1 << 20, 9 << 20, signal);
    expect(asked, "8 MiB are kept").toHaveLength(after);
    await reader.read((1 << 20) - 1, 9 << 20, signal);
    await reader.read((1 << 20) - 1, 9 << 20, signal);
    expect(asked.length, "another 8 MiB are not").toBe(after + 8);
  });
  it("that is shorter than the first request is whole after it", async () => {
    const small = FILE.slice(0, 100);
    const { reader } = reading((first, last) => part(first, last, {}, small));
    await reader.open(signal);
    expect([reader.size, await reader.read(10, 100, signal)]).toEqual([100, small.slice(10)]);
  });
  it("on a host that hides Content-Range tells its length by that of the rest from byte 0", async () => {
    const hidden: Host = (first, last) => {
      const end = Math.min(last, FILE.length - 1);
      return new Response(FILE.slice(first, end + 1), { status: 206, headers: { "content-length": String(end - first + 1) } });
    };
    const { reader, asked } = reading(hidden);
    await reader.open(signal);
    expect(reader.size).toBe(FILE.length);
    expect(asked.map((a) => a.range)).toEqual([`bytes=0-${HEAD - 1}`, "bytes=0-"]);
    expect(await reader.read(5000, 6000, signal)).toEqual(FILE.slice(5000, 6000));
  });
  describe("whose connection breaks", () => {
    /** The bytes of a range until it breaks after so many. */
    const torn = (first: number, last: number, after: number) => {
      let pulls = 0;
      const bytes = new ReadableStream({ pull: (c) => (pulls++ === 0 ? c.enqueue(FILE.slice(first, first + after)) : c.error(new Error("reset"))) }, { highWaterMark: 0 });
      return new Response(bytes, { status: 206, headers: { "content-range": `bytes ${first}-${last}/${FILE.length}` } });
    };

    it("is asked again for the bytes that did not arrive, and for no others", async () => {
      const { reader, asked } = reading((first, last, nth) => (nth === 2 ? torn(first, last, 7) : part(first, last)));
      await reader.open(signal);
      expect(await reader.read(5000, 6000, signal)).toEqual(FILE.slice(5000, 6000));
      expect(asked.slice(1).map((a) => a.range)).toEqual(["bytes=5000-5999", "bytes=5007-5999"]);
      expect(reader.fetched, "no byte came twice").toBe(HEAD + 1000);
    });
    it("goes on from where one of several parts broke", async () => {
      const from = 1 << 20;
      const { reader, asked } = reading((first, last) => (first === 3 << 20 ? torn(first, last, 300_000) : part(first, last)));
      await reader.open(signal);
      expect(Buffer.compare(await reader.read(from, from + (4 << 20), signal), FILE.slice(from, from + (4 << 20)))).toBe(0);
      expect(asked.slice(1).map((a) => a.range)).toContain(`bytes=${(3 << 20) + 300_000}-${(4 << 20) - 1}`);
      expect(asked).toHaveLength(6);
      expect(reader.fetched).toBe(HEAD + (4 << 20));
    });
    it("goes on as long as answers bring something, and gives up when they do not", async () => {
      const slow = reading((first, last, nth) => (nth > 1 && last - first > 100_000 ? torn(first, last, 100_000) : part(first, last)));
      await slow.reader.open(signal);
      expect(Buffer.compare(await slow.reader.read(5000, 905_000, signal), FILE.slice(5000, 905_000))).toBe(0);
      const always = reading((first, last, nth) => (nth > 1 ? torn(first, last, 7) : part(first, last)));
      await always.reader.open(signal);
      expect(await why(always.reader.read(5000, 6000, signal))).toContain("broke after 7 of 993 bytes; 14 of 1000 bytes had arrived");
      expect(always.asked).toHaveLength(3);
      const silent = reading((first, last, nth) => { if (nth > 1) throw new TypeError("Failed to fetch"); return part(first, last); });
      await silent.reader.open(signal);
      expect(await why(silent.reader.read(5000, 6000, signal))).toContain("does not answer any more");
      expect(silent.asked).toHaveLength(3);
    });
    it("and that changed meanwhile is not put together of two files", async () => {
      const marked = (response: Response, when: string) => { response.headers.set("last-modified", when); return response; };
      const { reader } = reading((first, last, nth) => marked(nth === 2 ? torn(first, last, 7) : part(first, last), nth < 3 ? "Mon, 01 Jan 2024 00:00:00 GMT" : "Tue, 02 Jan 2024 00:00:00 GMT"));
      await reader.open(signal);
      expect(await why(reader.read(5000, 6000, signal))).toContain("was changed");
    });
  });
});

describe("a host that misbehaves is explained:", () => {
  const cases: [string, Host, string][] = [
    ["whole files only", () => new Response(FILE, { status: 200 }), "only whole files"],
    ["a web page", () => new Response("<html>", { status: 200, headers: { "content-type": "text/html; charset=utf-8" } }), "a web page"],
    ["no such file", () => new Response("", { status: 404 }), "no file at this address"],
    ["no permission", () => new Response("", { status: 403 }), "only to some users"],
    ["too many requests", () => new Response("", { status: 429 }), "limits the rate of requests"],
    ["trouble", () => new Response("", { status: 503 }), "an error of its own"],
    ["an empty file", () => new Response("", { status: 416, headers: { "content-range": "bytes */0" } }), "is empty"],
    ["another range", (_, last) => part(1, last + 1), "other bytes: bytes 1-4096/"],
    ["no total", () => new Response(FILE.slice(0, HEAD), { status: 206, headers: { "content-range": "bytes 0-4095/*" } }), "how long the file is"],
    ["no lengths at all", () => new Response(new ReadableStream({ pull: (c) => c.enqueue(FILE.slice(0, HEAD)) }), { status: 206 }), "no Content-Range"],
    ["too few bytes", () => new Response(FILE.slice(0, 10), { status: 206, headers: { "content-range": "bytes 0-4095/9999" } }), "sent 10 bytes where 4096"],
    ["endless bytes", () => new Response(new ReadableStream({ pull: (c) => c.enqueue(FILE.slice(0, 65536)) }), { status: 206, headers: { "content-range": "bytes 0-4095/9999" } }), "more than the 4096 bytes"],
  ];
  for (const [name, host, words] of cases) {
    it(name, async () => {
      expect(await why(reading(host).reader.open(signal))).toContain(words);
    });
  }

  it("a file that changes while it is read", async () => {
    for (const later of [(f: number, l: number) => part(f, l, {}, FILE.slice(0, 1 << 20)), (f: number, l: number) => part(f, l, { "last-modified": "Tue, 02 Jan 2024 00:00:00 GMT" })]) {
      const { reader } = reading((f, l, nth) => (nth === 1 ? part(f, l, { "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT" }) : later(f, l)));
      await reader.open(signal);
      expect(await why(reader.read(5000, 6000, signal))).toContain("was changed");
    }
  });
  it("an answer that may not be read, unlike a host that is not there", async () => {
    const closed = reading(() => { throw new TypeError("Failed to fetch"); });
    expect(await why(closed.reader.open(signal))).toContain("cannot be reached");
    const forbidden = reading((_f, _l, nth) => { if (nth === 1) throw new TypeError("Failed to fetch"); return new Response(""); });
    expect(await why(forbidden.reader.open(signal))).toContain("no CORS permission");
    expect(forbidden.asked[1]?.init).toMatchObject({ method: "HEAD", mode: "no-cors" });
  });
});
