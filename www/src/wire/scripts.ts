// The one place that names the workers: as addresses, not as code.
/* eslint-disable @typescript-eslint/no-restricted-imports */
import fetcherUrl from "../fetcher/fetcher.ts?worker&url";
import layoutUrl from "../layout/layout.ts?worker&url";
import readerUrl from "../worker/reader.ts?worker&url";
import runnerUrl from "../worker/runner.ts?worker&url";
/* eslint-enable @typescript-eslint/no-restricted-imports */
import type { Part } from "./calls.ts";

interface ScriptUrlPolicy {
  createScriptURL(url: string): string;
}
interface TrustedTypes {
  createPolicy(name: string, rules: ScriptUrlPolicy): ScriptUrlPolicy;
}

/** Keeps the built files for when there is no network; made by the build (`offline` in vite.config.ts). */
const OFFLINE = "./sw.js";
const ENGINES: Record<Part, string> = { reader: readerUrl, runner: runnerUrl };
const OURS = [readerUrl, runnerUrl, fetcherUrl, layoutUrl, OFFLINE];

// The page's policy forbids script addresses made of strings, except by this one rule: our own scripts.
const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
const rules: ScriptUrlPolicy = {
  createScriptURL: (url) => {
    if (!OURS.includes(url)) throw new TypeError(`not a script of this page: ${url}`);
    return url;
  },
};
const policy = types?.createPolicy("glassbox", rules) ?? rules;

/** Starts the worker that owns a part of the engine. */
export function startEngine(part: Part): Worker {
  return new Worker(policy.createScriptURL(ENGINES[part]), { type: "module", name: `glassbox-${part}` });
}

/** Starts a worker that reads one address. */
export function startFetcher(): Worker {
  return new Worker(policy.createScriptURL(fetcherUrl), { type: "module", name: "glassbox-fetcher" });
}

/** Starts a worker that lays graphs out. */
export function startLayout(): Worker {
  return new Worker(policy.createScriptURL(layoutUrl), { type: "module", name: "glassbox-layout" });
}

/** Lets the page be opened without a network. Where that cannot be, nothing else is lost. */
export function keepForOffline(): void {
  navigator.serviceWorker?.register(policy.createScriptURL(OFFLINE)).catch(() => {});
}
