import { expect, it } from "vitest";

import { seal } from "../../../www/src/worker/seal.ts";

it("a sealed worker has no way to the network, nor back to one", () => {
  const scope: Record<string, unknown> = Object.create({ WebSocket: class {} }, { fetch: { value: () => {}, writable: true, configurable: true } });
  seal(scope);
  expect(scope["fetch"]).toBeUndefined();
  expect(scope["WebSocket"]).toBeUndefined();
  expect(() => Object.defineProperty(scope, "fetch", { value: () => {} })).toThrow(TypeError);
  expect("EventSource" in scope).toBe(false);
});
