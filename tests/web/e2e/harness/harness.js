// The bindings without the page around them: what they answer goes to the test as it is. Served to tests alone.
import init, { Runner, devices, start, test_ops } from "./wasm/runner.js";

const { memory } = await init();

/** A failure of the engine is a fault report in JSON; Playwright shows errors only. */
async function told(work) {
  try {
    return await work();
  } catch (error) {
    throw typeof error === "string" ? new Error(error) : error;
  }
}

globalThis.harness = {
  start,
  devices: () => told(async () => JSON.parse(await devices())),
  ops: (tier, only) => told(async () => JSON.parse(await test_ops("gpu", tier, only))),

  /** Opens the files chosen above, loads them once onto a device and generates as often as there are options. */
  runs: (device, tier, options) => told(async () => {
    const files = [...document.querySelector("input").files];
    const empty = memory.buffer.byteLength;
    const model = await Runner.open(files.map((f) => f.name), files);
    const opened = memory.buffer.byteLength;
    let pieces = 0;
    const loaded = JSON.parse(await model.load(device, tier, () => { pieces += 1; }));
    const heap = { empty, opened, loaded: memory.buffer.byteLength };
    const reports = [];
    for (const o of options) reports.push(JSON.parse(await model.generate(JSON.stringify(o), () => false)));
    model.free();
    return { device: loaded, pieces, heap: { ...heap, after: memory.buffer.byteLength }, reports };
  }),
};
