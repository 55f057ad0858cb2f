/// <reference lib="webworker" />
/**
 * Lets the built page be opened without a network. It keeps the page's own files and nothing else: files that are dropped
 * never pass here, and requests to other hosts are left alone. One version of the build is one cache; see docs/hosting.md.
 */
declare const self: ServiceWorkerGlobalScope;

/** Filled in by the build: a hash over all files, and their paths below the page's folder. */
declare const __BUILT__: { version: string; files: string[] };

const { version, files } = __BUILT__;
const scope = self.registration.scope;
/** Copies of the page under other paths of the host share its storage: the scope keeps them apart. */
const FAMILY = `glassbox ${scope} `;
const CACHE = FAMILY + version;
const START = new URL("index.html", scope).href;
const KEPT = new Set(files.map((file) => new URL(file, scope).href));
const SAMPLE = new URL("sample/", scope).href;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = request.url.replace(/[?#].*$/, "");
  // A part of a file is never answered from here, and nothing outside the page's own folder is looked at.
  if (request.method !== "GET" || !url.startsWith(scope) || request.headers.has("range")) return;
  if (request.mode === "navigate" && (url === scope || url === START)) event.respondWith(start(request));
  else if (KEPT.has(url)) event.respondWith(kept(url, request));
  else if (url.startsWith(SAMPLE)) event.respondWith(sample(url, request));
});

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  const assets = [...KEPT].filter((url) => url !== START);
  // Names below assets/ carry their hash, so what the browser has of them is right; the others are asked for anew.
  await cache.addAll(assets.map((url) => new Request(url, { cache: url.includes("/assets/") ? "default" : "no-cache" })));
  const document = await fetch(new Request(scope, { cache: "no-cache" }));
  if (!document.ok) throw new Error(`the page's own folder answered ${document.status}`);
  // Rebuilt: a document may not be answered with what came by a redirection.
  await cache.put(START, new Response(await document.blob(), { headers: document.headers }));
}

async function activate(): Promise<void> {
  const old = (await caches.keys()).filter((name) => name.startsWith(FAMILY) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

/** The document comes from the host where there is one, so that a new build is seen at once. */
async function start(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const stored = await (await caches.open(CACHE)).match(START);
    if (stored === undefined) throw error;
    return stored;
  }
}

async function kept(url: string, request: Request): Promise<Response> {
  return (await (await caches.open(CACHE)).match(url)) ?? fetch(request);
}

/** The sample is kept from the first time that someone asks for it. */
async function sample(url: string, request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const stored = await cache.match(url);
  if (stored !== undefined) return stored;
  const response = await fetch(request);
  if (response.ok && response.status === 200) await cache.put(url, response.clone());
  return response;
}

export {};
