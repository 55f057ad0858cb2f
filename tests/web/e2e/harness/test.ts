import { test as base } from "../page.ts";
import { type HarnessServer, serveHarness } from "./serve.ts";

/** A test whose page is the harness: the bindings alone, served from this machine, with nothing of the site around them. */
export const test = base.extend<object, { server: HarnessServer }>({
  server: [
    async ({}, use) => {
      const server = await serveHarness();
      await use(server);
      await server.close();
    },
    { scope: "worker" },
  ],
  page: async ({ page, server }, use) => {
    await page.goto(server.url);
    await page.waitForFunction(() => "harness" in globalThis);
    await use(page);
  },
});
