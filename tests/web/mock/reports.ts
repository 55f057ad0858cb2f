/** Reports in the shape of crate/src/report, written for the page's own tests: what the page shows is compared with these. */
import type { GraphReport, MetadataReport, ModelReport, NoteReport, TensorReport } from "../../../www/src/wire/report.ts";

const LAYER: [string, string, number[], number][] = [
  ["attn_norm.weight", "F32", [576], 2304],
  ["attn_q.weight", "Q5_0", [576, 576], 228096],
  ["attn_k.weight", "Q5_0", [192, 576], 76032],
  ["attn_v.weight", "Q8_0", [192, 576], 117504],
  ["attn_output.weight", "Q5_0", [576, 576], 228096],
  ["ffn_norm.weight", "F32", [576], 2304],
  ["ffn_gate.weight", "Q4_K", [1536, 576], 497664],
  ["ffn_up.weight", "Q4_K", [1536, 576], 497664],
  ["ffn_down.weight", "Q6_K", [576, 1536], 725760],
];

function tensorsOf(layers: number, file: string, start: number): TensorReport[] {
  const out: TensorReport[] = [];
  let offset = start;
  const add = (name: string, encoding: string, shape: number[], bytes: number) => {
    out.push({ name, shape, encoding, offset, bytes, file, place: "here" });
    offset += Math.ceil(bytes / 32) * 32;
  };
  add("token_embd.weight", "Q8_0", [49152, 576], 30081024);
  for (let i = 0; i < layers; i++) for (const [name, encoding, shape, bytes] of LAYER) add(`blk.${i}.${name}`, encoding, shape, bytes);
  add("output_norm.weight", "F32", [576], 2304);
  return out;
}

const ABOUT: Record<string, [number, string]> = {
  F32: [32, "IEEE 754 single precision, 4 bytes each."],
  Q8_0: [8.5, "Blocks of 32 weights: one f16 scale d, then 32 signed bytes q; weight = d × q."],
  Q5_0: [5.5, "Blocks of 32 weights: f16 scale d, 32 high bits, 16 bytes of low nibbles; weight = d × (q − 16)."],
  Q4_K: [4.5, "Super-blocks of 256 weights in 8 groups of 32: f16 d and dmin, 6-bit scales and minimums, 4-bit codes; weight = d × scale × q − dmin × min."],
  Q6_K: [6.5625, "Super-blocks of 256 weights in 16 groups of 16: 6-bit codes, 8-bit scales, f16 d; weight = d × scale × (q − 32)."],
};

function encodingsOf(tensors: TensorReport[]): ModelReport["encodings"] {
  const sums = new Map<string, { tensors: number; bytes: number; elements: number }>();
  for (const t of tensors) {
    const sum = sums.get(t.encoding) ?? { tensors: 0, bytes: 0, elements: 0 };
    sum.tensors += 1;
    sum.bytes += t.bytes ?? 0;
    sum.elements += t.shape.reduce((a, b) => a * b, 1);
    sums.set(t.encoding, sum);
  }
  return [...sums].map(([encoding, s]) => ({ encoding, ...s, bits: ABOUT[encoding]?.[0] ?? null, about: ABOUT[encoding]?.[1] ?? "" })).sort((a, b) => b.bytes - a.bytes);
}

const METADATA: MetadataReport[] = [
  { key: "general.architecture", type: "string", value: "llama", meaning: "The architecture that the tensors implement; every key of its own begins with this word." },
  { key: "general.name", type: "string", value: "SmolLM2 135M Instruct", meaning: "Name for people." },
  { key: "general.license", type: "string", value: "apache-2.0" },
  { key: "general.description", type: "string", value: "A compact language model for on-device use. ".repeat(14) },
  { key: "llama.block_count", type: "u32", value: 30, meaning: "Number of transformer layers." },
  { key: "llama.context_length", type: "u32", value: 8192, meaning: "Longest context that it was trained for, in tokens." },
  { key: "llama.embedding_length", type: "u32", value: 576, meaning: "Width of the residual stream (hidden size)." },
  { key: "llama.rope.freq_base", type: "f32", value: 100000 },
  { key: "llama.attention.layer_norm_rms_epsilon", type: "f32", value: 0.000009999999747378752 },
  { key: "general.quantization_version", type: "u32", value: 2 },
  { key: "tokenizer.ggml.model", type: "string", value: "gpt2", meaning: "Kind of tokenizer: llama (SentencePiece), gpt2 (byte-level BPE), bert (WordPiece)." },
  { key: "tokenizer.ggml.tokens", type: "array of string", value: ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "!", "\"", "#", "\u0120the"], length: 49152, meaning: "The vocabulary, by id." },
  { key: "tokenizer.ggml.token_type", type: "array of i32", value: [3, 3, 3, 3, 1, 1, 1, 1], length: 49152 },
  { key: "tokenizer.ggml.add_bos_token", type: "bool", value: false },
  { key: "tokenizer.chat_template", type: "string", value: "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}", meaning: "Template that turns a conversation into one text." },
];

const INFO: NoteReport = { code: "remark", severity: "info", what: "The file does not say who quantized it", file: null, at: null, why: "An importance matrix or a faulty converter cannot be traced.", advice: null };

export function llama(name: string, bytes: number): ModelReport {
  const tensors = tensorsOf(30, name, 1_811_584);
  const size = Math.max(bytes, 105_454_432);
  return {
    format: "GGUF", version: "3", bytes_total: size, bytes_read: 1_811_584,
    summary: "Llama-architecture model, 135 M parameters, 4.85 bits per weight, context 8192.",
    architecture: "llama", parameters: 134_515_008, bits_per_weight: 4.85,
    identity: [
      { label: "Name", value: "SmolLM2 135M Instruct", source: "general.name" },
      { label: "License", value: "apache-2.0", source: "general.license" },
      { label: "Base model", value: "SmolLM2-135M", source: "general.base_model.0.name" },
      { label: "Size label", value: "135M", source: "general.size_label" },
    ],
    shape: [
      { label: "Layers", value: "30", source: "llama.block_count" },
      { label: "Hidden size", value: "576", source: "llama.embedding_length" },
      { label: "FFN size", value: "1536", source: "llama.feed_forward_length" },
      { label: "Attention heads", value: "9", source: "llama.attention.head_count" },
      { label: "Key/value heads", value: "3", source: "llama.attention.head_count_kv" },
      { label: "Context", value: "8192", source: "llama.context_length" },
      { label: "Vocabulary", value: "49152", source: "length of tokenizer.ggml.tokens" },
      { label: "RoPE base", value: "100000", source: "llama.rope.freq_base" },
    ],
    files: [{ name, bytes: size, kind: "weights", role: "weights" }], missing: [],
    place: {
      stage: "gguf",
      sentence: "This is a conversion for llama.cpp and its relatives: one file with weights, configuration and tokenizer, made from an original model.",
      parts: [
        { stage: "original", name: "Weights", state: "elsewhere", detail: "stated: https://huggingface.co/HuggingFaceTB/SmolLM2-135M" },
        { stage: "original", name: "config.json", state: "elsewhere", detail: "its facts are in this file's metadata" },
        { stage: "original", name: "Tokenizer", state: "elsewhere", detail: "its vocabulary is in this file's metadata" },
        { stage: "gguf", name: "Weights", state: "here", detail: "272 tensors" },
        { stage: "gguf", name: "Configuration", state: "inside", detail: "metadata keys of the architecture" },
        { stage: "gguf", name: "Tokenizer", state: "inside", detail: "tokenizer.ggml.* keys" },
      ],
      hierarchy: [
        { group: "weights", role: "Weights", file: name, state: "present", detail: "272 tensors" },
        { group: "configuration", role: "Configuration", file: name, state: "present", detail: "in the file's own metadata" },
        { group: "tokenizer", role: "Tokenizer", file: name, state: "present", detail: "gpt2, 49152 tokens, in the file's own metadata" },
        { group: "chat template", role: "Chat template", file: name, state: "present", detail: "tokenizer.chat_template, in the file's own metadata" },
      ],
    },
    runners: [
      { name: "Glassbox", verdict: "yes", detail: "llama architecture in Q4_K, Q5_0, Q6_K, Q8_0 and F32" },
      { name: "llama.cpp", verdict: "yes", detail: "if its version knows the architecture; memory for weights and cache" },
      { name: "LlamaSharp (.NET)", verdict: "yes", detail: "built on llama.cpp: the same file" },
      { name: "llama-cpp-python", verdict: "yes", detail: "built on llama.cpp: the same file" },
      { name: "koboldcpp", verdict: "yes", detail: "built on llama.cpp: the same file" },
    ],
    fit: { weights: 103_667_328, cache_per_token: 46_080, states: 0, scratch: 6_200_000, context: 8192 },
    encodings: encodingsOf(tensors), metadata: METADATA, tensors, graph: null,
    sections: [
      { file: 0, start: 0, end: 24, kind: "header", tensors: 0 },
      { file: 0, start: 24, end: 1_793_241, kind: "metadata", tensors: 0 },
      { file: 0, start: 1_793_241, end: 1_811_573, kind: "tensor list", tensors: 0 },
      { file: 0, start: 1_811_573, end: 1_811_584, kind: "padding", tensors: 0 },
      { file: 0, start: 1_811_584, end: size, kind: "tensors", tensors: tensors.length },
    ],
    notes: [INFO],
    tokenizer: "gpt2, pre-tokenizer smollm, 49152 tokens", runnable: null,
  };
}

/** A hundred thousand tensors. */
export function huge(name: string): ModelReport {
  const model = llama(name, 64e9);
  model.tensors = tensorsOf(11_111, name, 40_000_000);
  model.encodings = encodingsOf(model.tensors);
  return model;
}

/** Names and values that try to deceive, and everything that can be wrong at once. */
export function hostile(name: string): ModelReport {
  const model = llama(name, 200_000);
  model.summary = "Llama\u202Egpj.exe-architecture model <img src=x onerror=alert(1)>, 2 parameters.";
  model.identity = [{ label: "Name", value: "<script>alert(1)</script>\u202Etxt.\u0007", source: "general.name" }, { label: "Description", value: "a".repeat(5000), source: null }];
  model.tensors = model.tensors.slice(0, 12).map((t, i) => ({ ...t, name: i === 3 ? `blk.0.${"long_".repeat(80)}weight` : i === 2 ? "blk.0.\u202Ethgiew\u200b" : t.name, place: i > 8 ? "missing" : i === 4 ? "absent" : "here", file: i > 8 ? "model-00002-of-00002.gguf" : name, offset: i === 4 ? null : t.offset, bytes: i === 4 ? null : t.bytes }));
  model.encodings = encodingsOf(model.tensors);
  model.metadata = [...model.metadata, { key: "general.\u202Ename", type: "string", value: "\u001b[31mred\u001b[0m\u0000" }, { key: "x".repeat(300), type: "string", value: "" }];
  model.place.parts = model.place.parts.map((p) => (p.stage === "gguf" && p.name === "Tokenizer" ? { ...p, state: "missing", detail: "no tokenizer.ggml.* keys: text cannot be encoded" } : p));
  model.tokenizer = null;
  model.fit = null;
  model.runnable = "the tensor blk.0.attn_v.weight has no bytes in this file";
  model.runners = [{ name: "Glassbox", verdict: "no", detail: model.runnable }, { name: "llama.cpp", verdict: "no", detail: "model-00002-of-00002.gguf is missing" }];
  model.notes = [
    { code: "remark", severity: "error", what: "Tensor blk.0.ffn_down.weight ends at byte 105,454,432, but the file has 200,000 bytes", file: name, at: 1_793_300, why: "The file is cut off: a download ended early.", advice: "Download it again and compare its size." },
    { code: "remark", severity: "error", what: "Tensor blk.0.attn_v.weight names no bytes", file: name, at: 1_793_412, why: null, advice: null },
    { code: "remark", severity: "warning", what: "A name holds the invisible character U+202E", file: name, at: 91, why: "It makes text read differently from what it is.", advice: "Treat the file with suspicion." },
    INFO,
  ];
  model.salvage = {
    complete: 8, partial: 1, missing: 3, unlisted: null, bytes_here: 150_000, bytes_all: 105_454_432,
    files: [
      { name: "<b>hostile</b>\u202E.gguf", bytes: 200_000, missing: [[200_000, 105_454_432]], more: false },
      { name: "model-00002-of-00002.gguf", bytes: null, missing: [], more: true },
    ],
  };
  return model;
}

/** Layers of ten operators that feed one another and all read the mask; a name that begins with "large" has a thousand of them. */
function layers(number: number): GraphReport["nodes"] {
  const OPS = ["LayerNormalization", "MatMul", "Add", "Softmax", "MatMul", "Transpose", "Add", "MatMul", "com.microsoft.Gelu", "Add"];
  return Array.from({ length: number }, (_, layer) => OPS.map((op, i) => ({
    name: `/encoder/layer.${layer}/${i < 6 ? "attention/" : ""}${op.slice(op.lastIndexOf(".") + 1)}_${i}`, op,
    inputs: [i === 0 && layer === 0 ? "embedded" : `v${layer * 10 + i - 1}`, ...(op === "MatMul" ? [`onnx::MatMul_${900 + ((layer * 3 + i) % 24) * 7}`] : i === 2 ? ["attention_mask"] : i === 9 ? [`v${layer * 10}`] : [])],
    outputs: [`v${layer * 10 + i}`],
    ...(op === "Softmax" ? { attributes: [["axis", "-1"] as [string, string]] } : {}),
  }))).flat();
}

export function onnx(name: string, bytes: number): ModelReport {
  const model = llama(name, bytes);
  const tensors: TensorReport[] = Array.from({ length: 24 }, (_, i) => ({ name: `onnx::MatMul_${900 + i * 7}`, shape: [384, i % 2 === 0 ? 384 : 1536], encoding: "F32", offset: 4096 + i * 600_000, bytes: i % 2 === 0 ? 589_824 : 2_359_296, file: name, place: "here" }));
  const body = layers(name.startsWith("large") ? 1000 : 39);
  const nodes: GraphReport["nodes"] = [
    { name: "/embeddings/Gather", op: "Gather", inputs: ["input_ids"], outputs: ["gathered"] },
    { name: "/embeddings/Constant", op: "Constant", inputs: [], outputs: ["one"] },
    { name: "/embeddings/Add", op: "Add", inputs: ["gathered", "one"], outputs: ["added"] },
    { name: "/embeddings/Fancy", op: "com.example.Fancy", inputs: ["added"], outputs: ["fancy"] },
    { name: "/embeddings/Cast", op: "Cast", inputs: ["fancy"], outputs: ["embedded"] },
    ...body,
    { name: "/If", op: "If", inputs: [`v${body.length - 1}`], outputs: ["last_hidden_state"], subgraphs: 2 },
  ];
  const counted = new Map<string, number>();
  for (const n of nodes) counted.set(n.op, (counted.get(n.op) ?? 0) + 1);
  return {
    ...model, format: "ONNX", version: "IR 8", summary: `ONNX graph of ${nodes.length} operators written by pytorch, 22.6 M parameters, 32 bits per weight.`, architecture: null,
    identity: [{ label: "Producer", value: "pytorch", source: "producer_name" }], shape: [], tensors, encodings: encodingsOf(tensors), metadata: [], fit: null, tokenizer: null,
    runnable: "Glassbox does not run ONNX graphs yet",
    runners: [{ name: "Glassbox", verdict: "no", detail: "Glassbox does not run ONNX graphs yet" }, { name: "ONNX Runtime", verdict: "yes", detail: "any language binding; in browsers as onnxruntime-web" }],
    place: { stage: "onnx", sentence: "This is a conversion for ONNX Runtime and its relatives: a graph of operators with its weights, made from an original model.", parts: [
      { stage: "original", name: "Weights", state: "elsewhere", detail: "the file does not say where it came from" },
      { stage: "original", name: "Tokenizer", state: "missing", detail: "tokenizer.json is not among the files: text cannot be encoded without it" },
      { stage: "onnx", name: "Weights", state: "here", detail: "24 tensors" }, { stage: "onnx", name: "Graph", state: "inside", detail: `${nodes.length} operators` }],
      hierarchy: [
        { group: "weights", role: "Weights", file: name, state: "present", detail: "24 tensors" },
        { group: "tokenizer", role: "tokenizer.json", file: null, state: "missing", detail: "text cannot be encoded without it" },
        { group: "configuration", role: "config.json", file: "config.json", state: "contradicted", detail: "it states 7 layers, the weights have 6" },
      ] },
    graph: {
      name: "main_graph", opsets: ["ai.onnx 17", "com.microsoft 1"],
      inputs: [{ name: "input_ids", encoding: "I64", dims: ["batch", "sequence"] }, { name: "attention_mask", encoding: "I64", dims: ["batch", "sequence"] }],
      outputs: [{ name: "last_hidden_state", encoding: "F32", dims: ["batch", "sequence", "384"] }],
      nodes, operators: [...counted].sort((x, y) => y[1] - x[1]), subgraphs: 2,
      values: [{ name: "gathered", encoding: "F32", dims: ["batch", "sequence", "384"] }, ...body.map((n) => ({ name: n.outputs[0] ?? "", encoding: "F32", dims: ["batch", "sequence", "384"] }))],
      lacking: [["com.example.Fancy", "an operator of com.example, which needs a library of its own"]],
    },
    sections: [{ file: 0, start: 0, end: 4096, kind: "graph", tensors: 0 }, { file: 0, start: 4096, end: 90_000_000, kind: "tensors", tensors: 24 }],
    notes: [],
  };
}

/** A model in two parts, of which the second is missing until it is given. */
export function sharded(names: string[]): ModelReport {
  const model = llama(names[0] ?? "", 0);
  model.files = names.map((name, i) => ({ name, bytes: i === 0 ? model.bytes_total : 64, kind: name.includes("-of-") ? "shard" as const : "side" as const, role: name.includes("-of-") ? `shard ${i + 1} of 2` : "vocabulary" }));
  model.missing = ["part-00001-of-00002.gguf", "part-00002-of-00002.gguf"].filter((name) => !names.includes(name));
  return model;
}
