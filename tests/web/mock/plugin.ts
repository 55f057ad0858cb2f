import { fileURLToPath } from "node:url";

import type { Plugin } from "vite";

/** For `vite build --mode mock`: both wasm modules are replaced by a stand-in with their contracts. Never part of the site. */
export function mockedWasm(): Plugin {
  const standIn = fileURLToPath(new URL("./glassbox.ts", import.meta.url));
  return {
    name: "mocked-wasm",
    enforce: "pre",
    resolveId: (id) => (/\/wasm\/(?:reader|runner)\.js$/.test(id) ? standIn : null),
    generateBundle() {
      const bytes = new Uint8Array(4096).fill(7);
      this.emitFile({ type: "asset", fileName: "sample/sample-q8_0.gguf", source: bytes });
      this.emitFile({ type: "asset", fileName: "sample/index.json", source: JSON.stringify([{ name: "sample-q8_0.gguf", bytes: bytes.length }]) });
    },
  };
}
