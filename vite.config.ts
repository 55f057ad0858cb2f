import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";

import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

import { mockedWasm } from "./tests/web/mock/plugin.ts";

/**
 * What the built page may do. `connect-src 'self'` is needed to fetch the wasm and the sample from the page's own
 * host; nothing else can be reached, whatever a model file contains. Trusted Types forbid building markup from strings.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types glassbox",
].join("; ");

/** Adds the policy to the built page only: the development server injects its own scripts and styles. */
function contentSecurityPolicy(): Plugin {
  return {
    name: "content-security-policy",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: () => [
        {
          tag: "meta",
          attrs: { "http-equiv": "Content-Security-Policy", content: POLICY },
          injectTo: "head-prepend",
        },
      ],
    },
  };
}

/** Files of www/public/ that belong to the page itself; its folder sample/ is fetched only when someone asks for it. */
const PUBLIC = readdirSync("www/public", { withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => entry.name);

/** Builds `sw.js`, which keeps the built files for when there is no network, and tells it which files those are. */
function offline(): Plugin {
  return {
    name: "offline",
    apply: "build",
    enforce: "post",
    buildStart() {
      this.emitFile({ type: "chunk", id: "/src/offline/sw.ts", fileName: "sw.js" });
    },
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const worker = bundle["sw.js"];
        if (worker?.type !== "chunk") throw new Error("sw.js was not built");
        const built = Object.values(bundle).filter((file) => file !== worker).sort((a, b) => (a.fileName < b.fileName ? -1 : 1));
        const hash = createHash("sha256");
        for (const file of built) hash.update(file.fileName).update(file.type === "chunk" ? file.code : file.source);
        for (const name of PUBLIC) hash.update(name).update(readFileSync(`www/public/${name}`));
        const list = { version: hash.digest("hex").slice(0, 16), files: [...built.map((file) => file.fileName), ...PUBLIC] };
        if (!worker.code.includes("__BUILT__")) throw new Error("sw.js has no place for the list of files");
        worker.code = worker.code.replace("__BUILT__", () => JSON.stringify(list));
      },
    },
  };
}

export default defineConfig(({ mode }) => ({
  root: "www",
  // Relative addresses: the folder works under any path of any static host.
  base: "./",
  plugins: [contentSecurityPolicy(), mode === "mock" ? mockedWasm() : offline()],
  worker: { format: "es", plugins: () => (mode === "mock" ? [mockedWasm()] : []) },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    // One style sheet, and views that come later by a plain import: no helper of Vite's is needed.
    modulePreload: false,
    cssCodeSplit: false,
    reportCompressedSize: false,
  },
  test: {
    root: ".",
    include: ["tests/web/unit/**/*.test.ts"],
  },
}));
