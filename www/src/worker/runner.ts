import type { RunnerWasm } from "./glassbox.ts";
import { loader, serve } from "./pump.ts";
import { Runner } from "./run.ts";
import { installSubgroupShim } from "./subgroups.ts";

serve(new Runner(loader<RunnerWasm>(async () => {
  // Before the wasm asks for a device.
  const subgroups = await installSubgroupShim();
  const wasm = (await import("../wasm/runner.js")) as unknown as RunnerWasm;
  return { ...wasm, default: async () => { await wasm.default(); wasm.start(subgroups); } };
})));
