// What tests/bench/browser.mjs calls in the page.
import initReader, { Model } from "/wasm/reader.js";

await initReader();
/** The runner's module, where a measurement needs it: a page that only reads does without. */
async function runner() {
  const { default: init, Runner, start } = await import("/wasm/runner.js");
  const wasm = await init();
  start(false);
  return { wasm, Runner };
}
const files = () => [...document.getElementById("file").files];
const openAll = (module) => module.open(files().map((f) => f.name), files());

window.glassbox = {
  async open(runs) {
    const samples = [];
    let bytes = 0, tensors = 0;
    for (let i = 0; i <= runs; i++) {
      const begin = performance.now();
      const model = await openAll(Model);
      const report = JSON.parse(model.report());
      if (i > 0) samples.push(performance.now() - begin);
      bytes = report.bytes_read;
      tensors = report.tensors.length;
      model.free();
    }
    return { samples, bytes, tensors };
  },
  async run({ prefill, decode, repetitions, device }) {
    const { Runner } = await runner();
    const model = await openAll(Runner);
    await model.load(device, "", () => {});
    return JSON.parse(await model.bench(prefill, decode, repetitions));
  },
  async memory(device) {
    const { wasm, Runner } = await runner();
    const model = await openAll(Runner);
    const info = JSON.parse(await model.load(device, "", () => {}));
    const report = JSON.parse(await model.generate(JSON.stringify({ prompt: "hello", max_tokens: 1 }), () => false));
    return { heap: wasm.memory.buffer.byteLength, device: report.timing.memory, name: info.name };
  },
};
window.benchLoaded = true;
