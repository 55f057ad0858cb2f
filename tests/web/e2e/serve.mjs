// As plain as any static host: no special headers, and the page lies below a path.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const SITES = { "/some/sub/path/": "dist", "/views/sub/path/": "target/mock-site", "/package/": "target/package/web", "/corpus/": "tests/corpus/sample" };
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".wasm": "application/wasm", ".json": "application/json", ".webmanifest": "application/manifest+json" };

createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname));
  const base = Object.keys(SITES).find((b) => path.startsWith(b));
  const file = base === undefined ? null : join(SITES[base], path.slice(base.length) || "index.html");
  let bytes;
  try {
    if (file === null || !statSync(file).isFile()) throw new Error("no such file");
    bytes = statSync(file).size;
  } catch {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-length": bytes });
  createReadStream(file).pipe(response);
}).listen(Number(process.argv[2]));
