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

/** The least safetensors file: a tokenizer file alone is no model. */
function noWeights() {
  const header = new TextEncoder().encode('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
  const size = new BigUint64Array([BigInt(header.length)]);
  return new Blob([size, header, new Uint8Array(4)]);
}

const sum = (ids) => ids.reduce((value, id) => (Math.imul(value, 31) + Number(id)) >>> 0, 0);

/** Milliseconds of each run but the first. */
async function timed(runs, work) {
  const samples = [];
  let value;
  for (let i = 0; i <= runs; i++) {
    const begin = performance.now();
    value = await work();
    if (i > 0) samples.push(performance.now() - begin);
  }
  return { samples, value };
}

let vocabulary = null;
let peer = null;

window.glassbox = {
  async openVocabulary(file) {
    vocabulary?.free();
    const { Runner } = await runner();
    const blob = await (await fetch(`/files/${file}`)).blob();
    const begin = performance.now();
    vocabulary = file.endsWith(".gguf")
      ? await Runner.open(["model.gguf"], [blob])
      : await Runner.open(["tokenizer.json", "model.safetensors"], [blob, noWeights()]);
    await vocabulary.encode("a", false, false);
    return performance.now() - begin;
  },
  async ids(file, runs) {
    const text = await (await fetch(`/files/${file}`)).text();
    const { samples, value } = await timed(runs, () => vocabulary.encode(text, false, true));
    return { samples, bytes: new TextEncoder().encode(text).length, tokens: value.length, sum: sum(value) };
  },
  async preview(file, runs) {
    const text = await (await fetch(`/files/${file}`)).text();
    const { samples, value } = await timed(runs, () => vocabulary.tokenize(text, false, false));
    return { samples, characters: value.length };
  },
  async openPeer(file) {
    const { PreTrainedTokenizer, env } = await import("/node_modules/@huggingface/transformers/dist/transformers.min.js");
    const json = await (await fetch(`/files/${file}`)).json();
    peer = new PreTrainedTokenizer(json, {});
    return env.version;
  },
  async peerIds(file, runs, byLine) {
    const text = await (await fetch(`/files/${file}`)).text();
    const parts = byLine ? text.split("\n").filter((line) => line.trim()) : [text];
    const { samples, value } = await timed(runs, () => parts.map((part) => peer.encode(part, { add_special_tokens: false })));
    const ids = byLine ? [] : value[0];
    return { samples, tokens: value.reduce((count, ids) => count + ids.length, 0), sum: sum(ids) };
  },
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
    await model.load(device, "", false, () => {});
    return JSON.parse(await model.bench(prefill, decode, repetitions));
  },
  async memory(device) {
    const { wasm, Runner } = await runner();
    const model = await openAll(Runner);
    const info = JSON.parse(await model.load(device, "", false, () => {}));
    const report = JSON.parse(await model.generate(JSON.stringify({ prompt: "hello", max_tokens: 1 }), () => false));
    return { heap: wasm.memory.buffer.byteLength, device: report.timing.memory, name: info.name };
  },
};
window.benchLoaded = true;
