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

/** A model of one weight: a tokenizer's file beside it is its tokenizer. */
function oneWeight() {
  const header = new TextEncoder().encode('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
  return new Blob([new BigUint64Array([BigInt(header.length)]), header, new Uint8Array(4)]);
}

globalThis.harness = {
  start,
  devices: () => told(async () => JSON.parse(await devices())),
  ops: (tier, only) => told(async () => JSON.parse(await test_ops("gpu", tier, only))),

  /** Ids of texts by the tokenizer of the file chosen above. */
  ids: (texts, addSpecial, parseSpecial) => told(async () => {
    const [file] = document.querySelector("input").files;
    const model = file.name.endsWith(".gguf")
      ? await Runner.open([file.name], [file])
      : await Runner.open([file.name, "model.safetensors"], [file, oneWeight()]);
    const ids = [];
    for (const text of texts) ids.push([...await model.encode(text, addSpecial, parseSpecial)]);
    model.free();
    return ids;
  }),

  /** Rows of logits, or of hidden states, at every position of a prompt of ids by the files chosen above. */
  results: (device, tier, ids) => told(async () => {
    const files = [...document.querySelector("input").files];
    const model = await Runner.open(files.map((f) => f.name), files);
    const rows = JSON.parse(await model.results(device, tier, new Uint32Array(ids)));
    model.free();
    return rows;
  }),

  /** Opens the files chosen above, loads them once onto a device and generates as often as there are options. */
  runs: (device, tier, options) => told(async () => {
    const files = [...document.querySelector("input").files];
    const empty = memory.buffer.byteLength;
    const model = await Runner.open(files.map((f) => f.name), files);
    const opened = memory.buffer.byteLength;
    let pieces = 0;
    const loaded = JSON.parse(await model.load(device, tier, true, () => { pieces += 1; }));
    const heap = { empty, opened, loaded: memory.buffer.byteLength };
    const reports = [];
    for (const o of options) reports.push(JSON.parse(await model.generate(JSON.stringify(o), () => false)));
    model.free();
    return { device: loaded, pieces, heap: { ...heap, after: memory.buffer.byteLength }, reports };
  }),
};
