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

export default defineConfig(({ mode }) => ({
  root: "www",
  // Relative addresses: the folder works under any path of any static host.
  base: "./",
  plugins: [contentSecurityPolicy(), ...(mode === "mock" ? [mockedWasm()] : [])],
  worker: { format: "es", plugins: () => (mode === "mock" ? [mockedWasm()] : []) },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  test: {
    root: ".",
    include: ["tests/web/unit/**/*.test.ts"],
  },
}));
