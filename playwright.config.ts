import { existsSync } from "node:fs";

import { defineConfig } from "@playwright/test";

/** The browser is the system's: none is ever downloaded. */
const USUAL = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"];
const executablePath = process.env["GLASSBOX_CHROMIUM"] ?? USUAL.find((path) => existsSync(path));
if (executablePath === undefined) throw new Error("no Chromium was found: set GLASSBOX_CHROMIUM to its program");

/** WebGPU on SwiftShader, so that shaders run where there is no graphics device; nothing that phones home. */
const FLAGS = [
  "--no-sandbox", "--headless=new", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan",
];
const PORT = Number(process.env["GLASSBOX_PORT"] ?? 4178);

export default defineConfig({
  testDir: "tests/web/e2e",
  outputDir: "test-results",
  // SwiftShader and one wasm module take a core each, so two tests of the engine fill the two cores of a usual machine.
  workers: 2,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  reporter: "list",
  use: {
    baseURL: `http://localhost:${PORT}`,
    viewport: { width: 1440, height: 900 },
    launchOptions: { executablePath, args: FLAGS },
    screenshot: "only-on-failure",
  },
  webServer: {
    // Builds the page with the stand-in for the wasm, then serves it and the built site from below a path.
    command: `node node_modules/vite/bin/vite.js build --mode mock --outDir ../target/mock-site --logLevel warn && node tests/web/e2e/serve.mjs ${PORT}`,
    port: PORT,
    timeout: 300_000,
    reuseExistingServer: false,
  },
  projects: [
    // Their tests wait for what is painted, which a neighbour of the same kind would slow down.
    { name: "views", testMatch: "views/*.spec.ts", workers: 1 },
    { name: "site", testMatch: "site/*.spec.ts", workers: 1 },
    { name: "engine", testMatch: ["engine.spec.ts", "tokenizers.spec.ts"], fullyParallel: true },
  ],
});
