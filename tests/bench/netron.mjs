// Netron on a file, in Chromium, as a person would open it: from the open dialog to the shown graph or the refusal.
//   NETRON=folder node tests/bench/netron.mjs FILE...      (the folder of its PyPI package, with index.html)
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { chromium } from "playwright-core";

import { watchMemory } from "./memory.mjs";

const HOME = process.env.NETRON;
const RUNS = Number(process.env.RUNS ?? 3);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".json": "application/json" };
if (!HOME || process.argv.length < 3) throw new Error("say NETRON=folder, and files");

const server = http.createServer((request, response) => {
  const file = path.resolve(HOME, `.${decodeURIComponent(new URL(request.url, "http://x").pathname)}`);
  if (!file.startsWith(path.resolve(HOME)) || !fs.existsSync(file) || !fs.statSync(file).isFile()) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" });
  fs.createReadStream(file).pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

function chromiumPath() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const found = process.env.PATH.split(path.delimiter).flatMap((d) => names.map((n) => path.join(d, n))).find((f) => fs.existsSync(f));
  return process.env.GLASSBOX_CHROMIUM ?? found;
}

async function once(file) {
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: ["--no-sandbox", "--headless=new", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync",
      "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
    ignoreDefaultArgs: ["--headless"],
  });
  try {
    const context = await browser.newContext();
    // Without it a dialog about consent waits for a service that looks up the place.
    await context.addCookies([{ name: "consent", value: "1", url: origin }]);
    const page = await context.newPage();
    page.setDefaultTimeout(120_000);
    // Netron makes eval throw, and the driver needs it.
    await page.addInitScript(() => { const real = window.eval; Object.defineProperty(window, "eval", { get: () => real, set: () => {} }); });
    await page.goto(`${origin}/index.html`);
    await page.waitForFunction(() => document.body.className.split(" ").includes("welcome") && !document.body.className.includes("spinner"));
    await page.evaluate(() => {
      document.getElementById("open-file-dialog").addEventListener("change", () => { window.opened = performance.now(); }, { capture: true });
    });
    const memory = watchMemory(100);
    await page.setInputFiles("#open-file-dialog", file);
    await page.waitForFunction(() => ["default", "alert", "notification"].some((state) => document.body.className.includes(state)));
    const end = await page.evaluate(() => ({
      ms: performance.now() - window.opened, state: document.body.className,
      text: document.querySelector(".notification-message, #message-text, .message")?.innerText ?? "",
    }));
    return { ...end, memory: memory.end() };
  } finally {
    await browser.close();
  }
}

for (const file of process.argv.slice(2)) {
  const runs = [];
  for (let i = 0; i < RUNS; i++) {
    runs.push(await once(path.resolve(file)));
    if (!runs.at(-1).state.includes("default")) break;
  }
  const times = runs.map((run) => run.ms).sort((a, b) => a - b);
  const last = runs.at(-1);
  const shown = last.state.includes("default") ? "shown" : `not shown: ${last.text || last.state}`;
  const memory = last.memory === null ? "?" : `${(Math.max(...runs.map((run) => run.memory)) / 1e6).toFixed(0)} MB`;
  console.log([path.basename(file), "netron", `${times[Math.floor(times.length / 2)].toFixed(0)} ms (${times[0].toFixed(0)} to ${times.at(-1).toFixed(0)})`, `${memory} more held`, shown].join("\t"));
}
server.close();
