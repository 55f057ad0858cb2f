import { fault, FaultError } from "../wire/fault.ts";

/** The first request's size in bytes: what the engine reads first of any file, to recognise it. */
export const HEAD = 4096;
/** A larger read is fetched as several parts of at least this size at once, in bytes. */
const PART = 1 << 20;
/** Parts under way at once: browsers hold about six connections to one host. */
const AT_ONCE = 4;
/** What is read first is read again, by the other of the engine's workers: so much of it is kept, in bytes. */
const KEPT = 16 << 20;
/** Requests in a row that bring next to nothing before a range is given up. */
const TRIES = 2;
/** An answer that broke after so many bytes was worth its request: the count of tries begins anew. */
const WORTH = 64 << 10;

/** This machine itself, which pages that came by https may read by http. */
const LOCAL = /^(?:localhost|127\.[\d.]+|\[::1\])(?::\d+)?$/;

export interface ContentRange {
  first: number;
  last: number;
  /** Length of the whole file; null where the host does not say. */
  total: number | null;
}

/** Reads "bytes 0-4095/123456" (RFC 9110, 14.4); null for anything else. */
export function parseContentRange(text: string | null): ContentRange | null {
  const found = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(text?.trim() ?? "");
  if (found === null) return null;
  const [first, last] = [Number(found[1]), Number(found[2])];
  const total = found[3] === "*" ? null : Number(found[3]);
  const sound = [first, last, total ?? 0].every(Number.isSafeInteger) && first <= last && (total === null || last < total);
  return sound ? { first, last, total } : null;
}

/** The connection failed or broke, as opposed to an answer that is wrong: worth a second try. */
class Broken extends Error {
  /** Bytes that arrived before. */
  readonly came: number;
  constructor(what: string, came = 0) {
    super(what);
    this.came = came;
  }
}

function refuse(what: string): FaultError {
  return new FaultError(fault("network", what));
}

/** One file at one address, read by ranges. It asks for nothing but the bytes that are wanted. */
export class RemoteReader {
  /** Length of the file in bytes, known after `open`. */
  size = 0;
  /** Bytes that arrived, those of failed attempts included. */
  fetched = 0;
  /** Hosts that gave the first answer, the one asked first. */
  hosts: string[] = [];

  private readonly url: string;
  private readonly fetch: typeof fetch;
  private readonly onFetched: () => void;
  private head = new Uint8Array(0);
  private modified: string | null = null;
  private readonly kept: { start: number; bytes: Uint8Array<ArrayBuffer> }[] = [];
  private keptBytes = 0;

  constructor(url: string, get: typeof fetch, onFetched: () => void) {
    this.url = url;
    this.fetch = get;
    this.onFetched = onFetched;
  }

  private get host(): string {
    return this.hosts.at(-1) ?? new URL(this.url).host;
  }

  /** Fetches the first bytes and learns how long the file is. */
  async open(signal: AbortSignal): Promise<void> {
    try {
      await this.learn(signal);
    } catch (error) {
      throw error instanceof Broken ? refuse(error.message) : error;
    }
  }

  private async learn(signal: AbortSignal): Promise<void> {
    const response = await this.first(signal);
    const asked = new URL(this.url).host;
    const answered = response.url === "" ? asked : new URL(response.url).host;
    this.hosts = asked === answered ? [asked] : [asked, answered];
    if (response.status === 416) throw await this.dropped(response, `The file at ${this.host} is empty`);
    await this.expectPart(response);
    const range = parseContentRange(response.headers.get("content-range"));
    if (response.headers.has("content-range")) {
      if (range?.total === null) throw await this.dropped(response, `${this.host} does not say how long the file is (its Content-Range ends in a star)`);
      if (range === null || range.first !== 0 || range.last !== Math.min(HEAD, range.total) - 1) throw await this.wrong(response, 0, HEAD);
      this.size = range.total;
      this.head = await this.whole(response, range.last + 1);
    } else {
      // A host that does not expose Content-Range to other sites: the length of "all from byte 0" tells the same.
      const length = Number(response.headers.get("content-length") ?? NaN);
      if (!Number.isSafeInteger(length) || length < 1 || length > HEAD) throw await this.wrong(response, 0, HEAD);
      this.head = await this.whole(response, length);
      this.size = length < HEAD ? length : await this.wholeLength(signal);
    }
    this.modified = response.headers.get("last-modified");
  }

  /** Exactly the bytes [start, end) of the file. */
  async read(start: number, end: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    if (end <= this.head.length) return this.head.slice(start, end);
    const known = this.kept.find((k) => k.start <= start && end <= k.start + k.bytes.length);
    if (known !== undefined) return known.bytes.slice(start - known.start, end - known.start);
    const bytes = await this.fresh(start, end, signal);
    if (this.keptBytes + bytes.length <= KEPT) {
      // A copy: the caller hands its own on.
      this.kept.push({ start, bytes: bytes.slice() });
      this.keptBytes += bytes.length;
    }
    return bytes;
  }

  private async fresh(start: number, end: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const length = end - start;
    const whole = new Uint8Array(length);
    const parts = Math.max(1, Math.min(AT_ONCE, Math.floor(length / PART)));
    const step = Math.ceil(length / parts);
    await Promise.all(Array.from({ length: parts }, (_, i) => this.fill(start + i * step, whole.subarray(i * step, Math.min(length, (i + 1) * step)), signal)));
    return whole;
  }

  /** Fills `into` with the bytes from `start` on; where an answer breaks, only what is left is asked for again. */
  private async fill(start: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    let have = 0;
    let tries = 0;
    while (have < into.length) {
      try {
        await this.once(start + have, into.subarray(have), signal);
        return;
      } catch (error) {
        if (!(error instanceof Broken) || signal.aborted) throw error;
        have += error.came;
        tries = error.came >= WORTH ? 1 : tries + 1;
        if (tries >= TRIES) throw refuse(`${error.message}; ${have} of ${into.length} bytes had arrived`);
      }
    }
  }

  /** One request for the bytes from `start` on that fill `into`. */
  private async once(start: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    const end = start + into.length;
    let response: Response;
    try {
      response = await this.ask(`bytes=${start}-${end - 1}`, signal);
    } catch {
      throw new Broken(`${this.host} does not answer any more`);
    }
    await this.expectPart(response);
    const range = parseContentRange(response.headers.get("content-range"));
    if (response.headers.has("content-range") && (range?.first !== start || range.last !== end - 1)) throw await this.wrong(response, start, end);
    const modified = response.headers.get("last-modified");
    if ((range !== null && range.total !== null && range.total !== this.size) || (this.modified !== null && modified !== null && modified !== this.modified)) {
      throw await this.dropped(response, `The file was changed at ${this.host} while it was being read: open it again`);
    }
    await this.body(response, into);
  }

  private ask(range: string, signal: AbortSignal): Promise<Response> {
    // Neither cookies nor the page's own address are sent, and nothing of the file is kept by the browser.
    return this.fetch(this.url, { headers: { range }, signal, mode: "cors", credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store" });
  }

  /** The first request. A browser does not tell a page why one failed, so a failure is looked into. */
  private async first(signal: AbortSignal): Promise<Response> {
    try {
      return await this.ask(`bytes=0-${HEAD - 1}`, signal);
    } catch (error) {
      if (signal.aborted) throw error;
    }
    const host = new URL(this.url).host;
    if (globalThis.navigator?.onLine === false) throw refuse("This machine is not connected to a network");
    if (globalThis.location?.protocol === "https:" && this.url.startsWith("http:") && !LOCAL.test(host)) {
      throw refuse(`Browsers do not let a page that came by https read from an http address (${host}): try https`);
    }
    // An answer that nobody may read still says that there is a host.
    const there = await this.fetch(this.url, { method: "HEAD", mode: "no-cors", signal, credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store" }).then(() => true, () => false);
    if (signal.aborted) throw new Broken("cancelled");
    throw refuse(there
      ? `${host} answers, but does not let other sites' pages read the answer (it, or a host it sends on to, gives no CORS permission for this address)`
      : `${host} cannot be reached: the name may be misspelt, the host down, or the connection blocked`);
  }

  private async wholeLength(signal: AbortSignal): Promise<number> {
    let response: Response;
    try {
      response = await this.ask("bytes=0-", signal);
    } catch {
      throw refuse(`${this.host} does not answer any more`);
    }
    await response.body?.cancel();
    const length = Number(response.headers.get("content-length") ?? NaN);
    if (response.status !== 206 || !Number.isSafeInteger(length) || length < HEAD) throw refuse(`${this.host} does not say how long the file is (it exposes neither Content-Range nor a Content-Length)`);
    return length;
  }

  private async expectPart(response: Response): Promise<void> {
    const { status } = response;
    if (status === 206) return;
    const host = this.host;
    if (status === 200) {
      const page = /^text\/html\b/.test(response.headers.get("content-type") ?? "");
      throw await this.dropped(response, page
        ? `${host} answered with a web page, not with a file: copy the address of the download itself`
        : `${host} sends only whole files, not ranges of bytes (it answered 200 to a range request)`);
    }
    const why = status === 404 || status === 410 ? `There is no file at this address: ${host} answered ${status}`
      : status === 401 || status === 403 ? `${host} allows this file only to some users, or not to web pages: it answered ${status}`
      : status === 429 ? `${host} limits the rate of requests: it answered 429. Wait a little and try again`
      : status >= 500 ? `${host} reports an error of its own: it answered ${status}. Try again later`
      : `${host} answered ${status}, where 206 (a range of the file) was expected`;
    throw await this.dropped(response, why);
  }

  private wrong(response: Response, start: number, end: number): Promise<FaultError> {
    const got = response.headers.get("content-range") ?? `no Content-Range and a length of ${response.headers.get("content-length") ?? "nothing"}`;
    return this.dropped(response, `${this.host} was asked for bytes ${start} to ${end - 1} and answered with other bytes: ${got.slice(0, 80)}`);
  }

  /** A failure whose answer's body nobody will read. */
  private async dropped(response: Response, what: string): Promise<FaultError> {
    await response.body?.cancel().catch(() => {});
    return refuse(what);
  }

  private async whole(response: Response, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    await this.body(response, bytes);
    return bytes;
  }

  /** A body that fills `into` exactly: more is never kept. */
  private async body(response: Response, into: Uint8Array): Promise<void> {
    const { length } = into;
    const reader = response.body?.getReader();
    let at = 0;
    let over = false;
    try {
      for (let step = await reader?.read(); step !== undefined && !step.done; step = await reader?.read()) {
        this.fetched += step.value.length;
        over = at + step.value.length > length;
        if (!over) {
          into.set(step.value, at);
          at += step.value.length;
        }
        this.onFetched();
        if (over) break;
      }
    } catch {
      throw new Broken(`The connection to ${this.host} broke after ${at} of ${length} bytes`, at);
    }
    if (over) {
      await reader?.cancel().catch(() => {});
      throw refuse(`${this.host} sent more than the ${length} bytes that were requested`);
    }
    if (at !== length) throw new Broken(`${this.host} sent ${at} bytes where ${length} were requested`, at);
  }
}
