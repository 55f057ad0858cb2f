/** A host of files that behaves as its paths say: well, or in the ways in which hosts on the web do not. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  method: string;
  path: string;
  range: string | undefined;
  headers: IncomingMessage["headers"];
}

export interface FileHost {
  /** The host as the page names it, "localhost:1234": another origin than the page's. */
  name: string;
  url(path: string): string;
  asked: Asked[];
  /** Ends the answers that were left waiting. */
  close(): Promise<void>;
}

const OPEN = { "access-control-allow-origin": "*", "access-control-expose-headers": "content-range" };

export async function serveFile(path: string): Promise<FileHost> {
  const file = readFileSync(path);
  const asked: Asked[] = [];

  const part = (request: IncomingMessage): [number, number] => {
    const [, first = "0", last = ""] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    return [Number(first), Math.min(last === "" ? Infinity : Number(last), file.length - 1)];
  };
  const well = (request: IncomingMessage, response: ServerResponse, headers: Record<string, string> = OPEN) => {
    const [first, last] = part(request);
    response.writeHead(206, { "content-length": last - first + 1, "content-range": `bytes ${first}-${last}/${file.length}`, ...headers }).end(file.subarray(first, last + 1));
  };
  const behaviours: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
    good: well,
    hidden: (request, response) => well(request, response, { "access-control-allow-origin": "*" }),
    "no-cors": (request, response) => well(request, response, {}),
    whole: (_, response) => response.writeHead(200, { "content-length": file.length, ...OPEN }).end(file),
    page: (_, response) => response.writeHead(200, { "content-type": "text/html", ...OPEN }).end("<!doctype html><title>The model's page</title>"),
    missing: (_, response) => response.writeHead(404, OPEN).end("no such file"),
    shifted: (request, response) => {
      const [first, last] = part(request);
      response.writeHead(206, { "content-range": `bytes ${first + 1}-${last + 1}/${file.length}`, ...OPEN }).end(file.subarray(first + 1, last + 2));
    },
    long: (request, response) => {
      const [first, last] = part(request);
      response.writeHead(206, { "content-range": `bytes ${first}-${last}/${file.length}`, ...OPEN }).end(file.subarray(first));
    },
    // Promises a length and hangs up before it.
    torn: (request, response) => {
      const [first, last] = part(request);
      if (first === 0) return well(request, response);
      response.writeHead(206, { "content-length": last - first + 1, "content-range": `bytes ${first}-${last}/${file.length}`, ...OPEN });
      response.write(file.subarray(first, first + 100), () => response.destroy());
    },
    moved: (_, response) => response.writeHead(302, { location: `http://127.0.0.1:${port()}/good/model.gguf`, ...OPEN }).end(),
    never: () => {},
    // The header comes, and then nothing more.
    stalls: (request, response) => {
      if (part(request)[0] < 300_000) well(request, response);
    },
    // The header comes, and then the host is gone.
    dies: (request, response) => {
      if (part(request)[0] < 300_000) well(request, response);
      else response.destroy();
    },
  };
  const server = createServer((request, response) => {
    const url = request.url ?? "/";
    asked.push({ method: request.method ?? "", path: url, range: request.headers.range, headers: request.headers });
    const behave = behaviours[url.split("/")[1] ?? ""];
    if (request.method === "OPTIONS") response.writeHead(204, { ...OPEN, "access-control-allow-headers": "range" }).end();
    else if (request.method === "HEAD") response.writeHead(200).end();
    else if (behave === undefined) response.writeHead(404).end();
    else behave(request, response);
  });
  const port = () => (server.address() as AddressInfo).port;
  await new Promise<void>((listening) => server.listen(0, listening));
  return {
    name: `localhost:${port()}`,
    url: (of) => `http://localhost:${port()}/${of}/model.gguf`,
    asked,
    close: () => new Promise((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    }),
  };
}
