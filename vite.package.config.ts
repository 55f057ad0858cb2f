import { defineConfig } from "vite";

/**
 * The npm package: modules for browsers, with workers and wasm beside them. With `--ssr` one module for Node.js, into the same folder.
 * `cargo xtask package` runs both and adds types, manifest and texts.
 */
export default defineConfig(({ isSsrBuild }) => ({
  root: "www",
  base: "./",
  publicDir: false,
  worker: { format: "es", rollupOptions: { output: { entryFileNames: "[name].js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" } } },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: "../target/package/web",
    emptyOutDir: !isSsrBuild,
    target: isSsrBuild ? "node20" : "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
    rollupOptions: {
      input: isSsrBuild ? { node: "www/src/package/node.ts" } : { browser: "www/src/package/browser.ts", viewer: "www/src/package/viewer.tsx" },
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "[name].js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" },
    },
  },
  ssr: { noExternal: true },
}));
