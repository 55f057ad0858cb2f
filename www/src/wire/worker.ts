// The one place that names the worker: as an address, not as code.
// eslint-disable-next-line @typescript-eslint/no-restricted-imports
import workerUrl from "../worker/worker.ts?worker&url";

import { Client, type Port } from "./client.ts";

interface ScriptUrlPolicy {
  createScriptURL(url: string): string;
}
interface TrustedTypes {
  createPolicy(name: string, rules: ScriptUrlPolicy): ScriptUrlPolicy;
}

// The page's policy forbids script addresses made of strings, except by this one rule: our own worker.
const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
const rules: ScriptUrlPolicy = {
  createScriptURL: (url) => {
    if (url !== workerUrl) throw new TypeError(`not a script of this page: ${url}`);
    return url;
  },
};
const policy = types?.createPolicy("glassbox", rules) ?? rules;

/** The page's one client. The worker starts with the first question. */
export const client = new Client(() => new Worker(policy.createScriptURL(workerUrl), { type: "module", name: "glassbox" }) as unknown as Port);
