// From navigation to first paint and to the sample's first inspected view; bytes of code downloaded.
//   node tests/bench/page.mjs        (after npm run build)
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import zlib from "node:zlib";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const DIST = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../dist");
const RUNS = Number(process.env.RUNS ?? 5);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".json": "application/json", ".svg": "image/svg+xml" };
const requested = new Set();

const server = http.createServer((request, response) => {
  const name = decodeURIComponent(new URL(request.url, "http://x").pathname).replace(/^\/sub\/path\//, "");
  const file = path.resolve(DIST, name || "index.html");
  if (!file.startsWith(DIST) || !fs.existsSync(file)) return response.writeHead(404).end();
  requested.add(file);
  response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" });
  fs.createReadStream(file).pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}/sub/path/`;
const names = ["chromium", "chromium-browser", "google-chrome"];
const executablePath = process.env.GLASSBOX_CHROMIUM ??
  process.env.PATH.split(path.delimiter).flatMap((d) => names.map((n) => path.join(d, n))).find((f) => fs.existsSync(f));

const paints = [], views = [];
for (let i = 0; i <= RUNS; i++) {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--headless=new"], ignoreDefaultArgs: ["--headless"] });
  const page = await (await browser.newContext()).newPage();
  // Pressed as soon as it can be, inside the page, so that the driver's round trips are not measured.
  await page.addInitScript(() => {
    new MutationObserver(() => {
      const button = [...document.querySelectorAll("button")].find((b) => /try the sample/i.test(b.textContent) && !b.disabled);
      if (button && !window.pressed) { window.pressed = performance.now(); button.click(); }
      if (!window.viewed && [...document.querySelectorAll("nav a")].some((a) => /overview/i.test(a.textContent))) window.viewed = performance.now();
    }).observe(document, { subtree: true, childList: true, attributes: true });
  });
  await page.goto(url);
  // A function, not text: the page's policy forbids evaluating strings.
  await page.waitForFunction(() => window.viewed);
  const times = await page.evaluate(() => ({
    paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN, view: window.viewed,
  }));
  if (i > 0) { paints.push(times.paint); views.push(times.view); }
  await browser.close();
}
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
console.log(`first paint ${median(paints).toFixed(0)} ms, sample's first view ${median(views).toFixed(0)} ms after navigation (medians of ${RUNS})`);
let total = 0;
for (const file of [...requested].filter((f) => /\.(js|wasm|css|html)$/.test(f))) {
  const size = zlib.gzipSync(fs.readFileSync(file), { level: 9 }).length;
  total += size;
  console.log(`${path.relative(DIST, file)}\t${(size / 1024).toFixed(1)} KiB gzipped`);
}
console.log(`in all ${(total / 1024).toFixed(1)} KiB gzipped`);
server.close();
