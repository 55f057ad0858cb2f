import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";

const WASM = "www/src/wasm";
const TYPES: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".wasm": "application/wasm" };
/** All that is served: the harness, and the bindings that the build made. */
const FILES: Record<string, string> = {
  "/": "tests/web/e2e/harness/index.html",
  "/harness.js": "tests/web/e2e/harness/harness.js",
  "/wasm/runner.js": `${WASM}/runner.js`,
  "/wasm/runner_bg.wasm": `${WASM}/runner_bg.wasm`,
};

export interface HarnessServer {
  url: string;
  close(): Promise<void>;
}

/** Serves the harness on a free port of this machine: a secure context, so that WebGPU is offered. */
export async function serveHarness(): Promise<HarnessServer> {
  const missing = Object.values(FILES).filter((file) => !existsSync(file));
  if (missing.length > 0) throw new Error(`${missing.join(", ")} missing: run \`npm run build\` first`);
  const server = createServer((request, response) => {
    const file = FILES[request.url ?? ""];
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": TYPES[extname(file)] });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((listening) => server.listen(0, "localhost", listening));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    }),
  };
}
