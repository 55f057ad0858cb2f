// Compares llama.cpp with ../../sample/reference.json: token ids and greedy text of every GGUF file.
//
//     npm install --ignore-scripts node-llama-cpp@3.22.1 && node llama_cpp.mjs
//
// llama.cpp rounds activations (to 8 bits beside quantised weights), so a greedy
// text may part from the float64 one where the best two logits nearly tie; the
// lead of the best logit at that place is printed.
import { readFileSync } from "node:fs";
import { getLlama } from "node-llama-cpp";

const sample = new URL("../../sample/", import.meta.url).pathname;
const reference = JSON.parse(readFileSync(sample + "reference.json", "utf8"));
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });

/** The greedy continuation of `ids`, at most `limit` ids, the end id included. */
async function greedy(model, ids, limit) {
  const context = await model.createContext({ contextSize: 256, threads: 1 });
  const found = [];
  for await (const id of context.getSequence().evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    found.push(id);
    if (id === 0 || found.length >= limit) break;
  }
  await context.dispose();
  return found;
}

for (const { files, runs } of reference.weights) {
  for (const file of files.filter((name) => name.endsWith(".gguf"))) {
    const model = await llama.loadModel({ modelPath: sample + file });
    const results = [];
    for (const [index, run] of runs.entries()) {
      const ids = reference.prompts[index].ids;
      const sameIds = [...model.tokenize(run.prompt)].join() === ids.slice(1).join();
      const found = await greedy(model, ids, run.ids.length);
      const parted = run.ids.findIndex((id, at) => id !== found[at]);
      const verdict = parted < 0 ? "equal" : `parts at ${parted} (lead ${run.top2_gaps[parted]})`;
      results.push(sameIds ? verdict : "TOKEN IDS DIFFER");
    }
    console.log(file, results.join(" | "));
    await model.dispose();
  }
}
