import { fileURLToPath } from "node:url";

import type { Plugin } from "vite";

/** For `vite build --mode mock`: the wasm is replaced by a stand-in with the same contract. Never part of the site. */
export function mockedWasm(): Plugin {
  const standIn = fileURLToPath(new URL("./glassbox.ts", import.meta.url));
  return {
    name: "mocked-wasm",
    enforce: "pre",
    resolveId: (id) => (id.endsWith("/wasm/glassbox.js") ? standIn : null),
    generateBundle() {
      const bytes = new Uint8Array(4096).fill(7);
      this.emitFile({ type: "asset", fileName: "sample/sample-q8_0.gguf", source: bytes });
      this.emitFile({ type: "asset", fileName: "sample/index.json", source: JSON.stringify([{ name: "sample-q8_0.gguf", bytes: bytes.length }]) });
    },
  };
}
