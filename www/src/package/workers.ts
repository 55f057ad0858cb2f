// The one place of the package that names its workers: as addresses, not as code.
/* eslint-disable @typescript-eslint/no-restricted-imports */
import fetcherUrl from "../fetcher/fetcher.ts?worker&url";
import readerUrl from "../worker/reader.ts?worker&url";
import runnerUrl from "../worker/runner.ts?worker&url";
/* eslint-enable @typescript-eslint/no-restricted-imports */

interface ScriptUrlPolicy {
  createScriptURL(url: string): string;
}

const URLS = { reader: readerUrl, runner: runnerUrl, fetcher: fetcherUrl };
/** Scripts that hold one line: they import a worker of ours from another host. */
const bridges = new Map<string, string>();
let policy: ScriptUrlPolicy | null = null;

/** Starts one of the package's workers. */
export function start(name: keyof typeof URLS): Worker {
  const url = new URL(URLS[name], import.meta.url).href;
  // A browser starts no worker from another host. One that imports it is ours, and starts where the policy allows blob: workers.
  const own = new URL(url).origin === globalThis.location?.origin ? url : bridge(url);
  return new Worker(trusted(own), { type: "module", name: `glassbox-${name}` });
}

function bridge(url: string): string {
  const known = bridges.get(url);
  if (known !== undefined) return known;
  const made = URL.createObjectURL(new Blob([`import ${JSON.stringify(url)};`], { type: "text/javascript" }));
  bridges.set(url, made);
  return made;
}

/** A page that requires trusted types must allow the policy "glassbox"; it makes addresses of these scripts only. */
function trusted(url: string): string {
  const types = (globalThis as { trustedTypes?: { createPolicy(name: string, rules: ScriptUrlPolicy): ScriptUrlPolicy } }).trustedTypes;
  if (types === undefined) return url;
  policy ??= types.createPolicy("glassbox", {
    createScriptURL: (asked) => {
      if (![...Object.values(URLS).map((u) => new URL(u, import.meta.url).href), ...bridges.values()].includes(asked)) throw new TypeError(`not a script of this package: ${asked}`);
      return asked;
    },
  });
  return policy.createScriptURL(url);
}
