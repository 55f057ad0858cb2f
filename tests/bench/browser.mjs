// Glassbox's wasm in Chromium, beside a peer on the same file in the same run.
//   node tests/bench/browser.mjs open|run|memory FILE...                  (PEER_BENCH=folder adds the peer)
//   node tests/bench/browser.mjs tokenize VOCABULARY... -- TEXT...        (the same)
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

import { watchMemory } from "./memory.mjs";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const PEERS = process.env.PEER_BENCH;
const [mode, ...files] = process.argv.slice(2);
const RUNS = Number(process.env.RUNS ?? 5);
const PREFILL = Number(process.env.PREFILL ?? 128);
const DECODE = Number(process.env.DECODE ?? 32);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

/** Folders by URL prefix; the longest prefix that fits wins. */
const ROOTS = [
  ["/wasm/", path.join(ROOT, "www/src/wasm")],
  ["/bench/", path.join(ROOT, "tests/bench")],
  ["/files/", "/"],
  ...(PEERS ? [["/node_modules/", path.join(PEERS, "node_modules")], ["/", path.join(PEERS, "web")]] : []),
];

function answer(request, response) {
  const name = decodeURIComponent(new URL(request.url, "http://x").pathname);
  const [prefix, folder] = ROOTS.find(([p]) => name.startsWith(p)) ?? [];
  const file = folder && path.resolve(folder, name.slice(prefix.length));
  if (prefix === "/files/" && !files.some((f) => path.resolve(f) === file)) return response.writeHead(404).end();
  if (!file?.startsWith(folder) || !fs.existsSync(file) || !fs.statSync(file).isFile()) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" });
  fs.createReadStream(file).pipe(response);
}

function chromiumPath() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const found = process.env.PATH.split(path.delimiter).flatMap((d) => names.map((n) => path.join(d, n))).find((f) => fs.existsSync(f));
  return process.env.GLASSBOX_CHROMIUM ?? found;
}

const server = http.createServer(answer);
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

async function withPage(where, file, work) {
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: ["--no-sandbox", "--headless=new", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"],
    ignoreDefaultArgs: ["--headless"],
  });
  try {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(900_000);
    // A script that does not run would be waited for in vain.
    page.on("pageerror", (error) => { throw error; });
    await page.goto(origin + where);
    await page.waitForFunction("window.benchLoaded");
    if (file) await page.setInputFiles("#file", file);
    return await work(page);
  } finally {
    await browser.close();
  }
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const line = (...cells) => console.log(cells.join("\t"));

/** What `work` gives in the page, and the memory that it took there beyond the page's own. */
async function watched(page, work) {
  const memory = watchMemory();
  const out = await work(page);
  const held = memory.end();
  return { ...out, held: held === null ? "?" : `${(held / 1e6).toFixed(0)} MB more held` };
}

async function open(file) {
  const name = path.basename(file);
  const ours = await withPage("/bench/index.html", file, (page) => watched(page, () => page.evaluate((runs) => glassbox.open(runs), RUNS)));
  line(name, "glassbox", `${median(ours.samples).toFixed(1)} ms`, `${(ours.bytes / 1e6).toFixed(2)} MB read`, ours.held, `${ours.tensors} tensors`);
  if (!PEERS) return;
  const call = file.endsWith(".gguf") ? "ggufHeader" : "safetensorsFloor";
  const work = (page) => page.evaluate(([c, o]) => bench[c](o), [call, { runs: RUNS, warmup: 1 }]);
  const peer = await withPage("/index.html", file, (page) => watched(page, work));
  line(name, call, `${median(peer.samples).toFixed(1)} ms`, `${(peer.bytes / 1e6).toFixed(2)} MB read`, peer.held, `${peer.tensors} tensors`);
  line(name, "ratio", `${(median(peer.samples) / median(ours.samples)).toFixed(1)} times faster than the peer`);
}

/** Pseudo-words, as the peers' own driver makes them. */
function prompt(seed, characters) {
  let state = seed * 2654435761 + 12345;
  const next = (n) => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return Math.floor((state / 2 ** 32) * n); };
  const pick = (s) => s[next(s.length)];
  let text = "";
  while (text.length < characters) text += ` ${pick("tnshrdlc")}${pick("eaoi")}${pick("tnsrl")}${next(2) ? pick("eaoi") : ""}`;
  return text.slice(1, characters);
}

async function wllama(file) {
  return withPage("/index.html", file, async (page) => {
    await page.evaluate(() => bench.wllamaReady({ threads: 1, gpuLayers: 0, context: 1024 }));
    const probe = await page.evaluate((p) => bench.wllamaRun({ prompts: [p], predict: 1, warmup: 0 }), prompt(99, 300));
    const characters = Math.round((300 * PREFILL) / probe.rows[0].promptTokens);
    const prompts = Array.from({ length: RUNS + 1 }, (_, i) => prompt(i + 1, characters));
    const { rows } = await page.evaluate((o) => bench.wllamaRun(o), { prompts, predict: DECODE, warmup: 1 });
    return {
      prefill: median(rows.map((r) => (r.promptTokens / r.promptMs) * 1e3)),
      decode: median(rows.map((r) => (r.predicted / r.predictedMs) * 1e3)),
    };
  });
}

async function run(file) {
  const name = path.basename(file);
  const ours = await withPage("/bench/index.html", file, (page) =>
    page.evaluate((o) => glassbox.run(o), { prefill: PREFILL, decode: DECODE, repetitions: RUNS, device: process.env.DEVICE ?? "cpu" }));
  line(name, "glassbox", `prefill ${ours.prefill_tokens_per_s.toFixed(1)}/s`, `decode ${ours.decode_tokens_per_s.toFixed(1)}/s`, ours.device.detail);
  if (!PEERS) return;
  const peer = await wllama(file);
  line(name, "wllama", `prefill ${peer.prefill.toFixed(1)}/s`, `decode ${peer.decode.toFixed(1)}/s`, "one thread");
  line(name, "ratio", `prefill ${(ours.prefill_tokens_per_s / peer.prefill).toFixed(2)}`, `decode ${(ours.decode_tokens_per_s / peer.decode).toFixed(2)}`);
}

async function memory(file) {
  const out = await withPage("/bench/index.html", file, (page) => page.evaluate((d) => glassbox.memory(d), process.env.DEVICE ?? "cpu"));
  line(path.basename(file), `wasm heap ${(out.heap / 1e6).toFixed(0)} MB`, `device ${(out.device / 1e6).toFixed(0)} MB`, out.name);
}

/** Every vocabulary on every text: ours, then the peer, in one page, so that they take turns on the same machine. */
async function tokenize(vocabularies, texts) {
  for (const vocabulary of vocabularies) {
    await withPage("/bench/index.html", null, async (page) => {
      const call = (name, ...given) => page.evaluate(([n, g]) => glassbox[n](...g), [name, given]);
      const opened = await call("openVocabulary", vocabulary);
      line(path.basename(vocabulary), "glassbox", `opened in ${opened.toFixed(0)} ms`);
      const hasPeer = PEERS && vocabulary.endsWith(".json");
      if (hasPeer) await call("openPeer", vocabulary);
      for (const text of texts) {
        const cells = [path.basename(vocabulary), path.basename(text)];
        const ours = await call("ids", text, RUNS);
        const rate = (samples) => ours.bytes / 1e3 / median(samples);
        const show = (who, { samples, tokens, sum }) =>
          line(...cells, who, `${rate(samples).toFixed(1)} MB/s`, `${median(samples).toFixed(1)} ms (${Math.min(...samples).toFixed(1)} to ${Math.max(...samples).toFixed(1)})`, `${tokens} ${sum}`);
        show("glassbox", ours);
        const preview = await call("preview", text, Math.min(RUNS, 3));
        line(...cells, "glassbox preview", `${median(preview.samples).toFixed(0)} ms`, `${(preview.characters / 1e6).toFixed(1)} MB of JSON`);
        if (!hasPeer) continue;
        const rates = [];
        for (const byLine of [true, false]) {
          const peer = await call("peerIds", text, Math.min(RUNS, 3), byLine);
          show(`transformers.js, ${byLine ? "line by line" : "one string"}`, peer);
          rates.push(rate(peer.samples));
        }
        line(...cells, "ratio to the better", (rate(ours.samples) / Math.max(...rates)).toFixed(2));
      }
    });
  }
}

const modes = { open, run, memory };
const cut = files.indexOf("--");
if (mode === "tokenize" && cut > 0) {
  await tokenize(files.slice(0, cut).map((f) => path.resolve(f)), files.slice(cut + 1).map((f) => path.resolve(f)));
} else {
  if (!modes[mode] || !files.length) throw new Error("say open, run or memory, and files; or tokenize, vocabularies, -- and texts");
  for (const file of files) await modes[mode](path.resolve(file));
}
server.close();
