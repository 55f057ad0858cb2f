/** Whether files that arrive belong to the model that is open. */

/** The part of a model's report that tells. */
export interface Open {
  files: readonly { name: string; kind: string }[];
  missing: readonly string[];
  place: { parts: readonly { name: string; state: string }[] };
}

export interface Joining<F extends { name: string }> {
  /** The files under the names by which the model knows them. */
  files: F[];
  /** True where the model names one of them as missing; otherwise a person must say what is meant. */
  sure: boolean;
}

/** Files that lie beside weights, by the names that Hugging Face fixes (crate/src/formats/folder.rs). */
const BESIDE = new RegExp(
  "^(?:(?:config|generation_config|adapter_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template|modules|" +
  "config_sentence_transformers|sentence_bert_config|preprocessor_config|processor_config|video_preprocessor_config|tekken)\\.json|" +
  "vocab\\.txt|merges\\.txt|tokenizer\\.model|spiece\\.model|.*\\.spm|.*\\.tiktoken|.*\\.jinja|README\\.md|.*\\.index\\.json)$",
);
const TOKENIZER = /^(?:tokenizer\.json|tokenizer\.model|spiece\.model|vocab\.(?:json|txt)|merges\.txt|tekken\.json|.*\.spm|.*\.tiktoken)$/;

function base(name: string): string {
  return name.split("/").at(-1) ?? name;
}

/** The files as parts of the open model; null where one of them is a model of its own. */
export function joining<F extends { name: string }>(open: Open, chosen: readonly F[]): Joining<F> | null {
  const lacks = (part: string) => open.place.parts.some((p) => p.name === part && p.state === "missing");
  const home = open.files[0]?.name.split("/").slice(0, -1).map((folder) => `${folder}/`).join("") ?? "";
  let sure = false;
  let beside = false;
  const files: F[] = [];
  for (const file of chosen) {
    const name = base(file.name);
    const missing = open.missing.find((m) => m === file.name) ?? open.missing.find((m) => base(m) === name);
    if (missing !== undefined) {
      sure = true;
      files.push({ ...file, name: missing });
    } else if (BESIDE.test(name)) {
      beside = true;
      sure ||= (name === "config.json" && lacks("config.json")) || (TOKENIZER.test(name) && lacks("Tokenizer"));
      files.push({ ...file, name: home + name });
    } else {
      // The whole folder again, with what was missing: the part that is open comes along.
      const here = open.files.find((f) => base(f.name) === name);
      if (here === undefined) return null;
      files.push({ ...file, name: here.name });
    }
  }
  return sure || (beside && chosen.every((f) => BESIDE.test(base(f.name)))) ? { files, sure } : null;
}

/** Names of the files that are to be dropped as well: those that the model names, and what a Hugging Face folder has beside its weights. */
export function dropAsWell(open: Open & { format: string; place: { stage: string } }): string[] {
  const names = open.missing.map(base);
  if (open.place.stage !== "original" || open.format === "tokenizer") return names;
  const lacks = (part: string) => open.place.parts.some((p) => p.name === part && p.state === "missing");
  if (lacks("config.json")) names.push("config.json");
  // Beside weights without a configuration nothing says that the model reads text.
  else if (lacks("Tokenizer") && open.files.some((f) => base(f.name) === "config.json")) names.push("tokenizer.json");
  // A shard by itself: its index says which tensor lies where.
  if (open.files.some((f) => f.kind === "shard") && !open.files.some((f) => f.kind === "index")) {
    const shard = /^(.*)-\d{5}-of-\d{5}\.(safetensors|bin)$/.exec(base(open.files.find((f) => f.kind === "shard")?.name ?? ""));
    if (shard) names.push(`${shard[1]}.${shard[2]}.index.json`);
  }
  return names;
}
