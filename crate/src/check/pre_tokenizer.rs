//! A GGUF whose converter did not know how the model splits text.
//!
//! Ollama's converter knows pre-tokenizers by a checksum of their patterns and writes "default" for any other; converters
//! of before April 2024 wrote none. llama.cpp then splits by rules that few models were trained with.

use super::Subject;
use crate::{
    formats::Findings,
    model::{Note, NoteCode, Severity},
};

/// The names that llama.cpp's own converter writes, by architecture.
const EXPECTED: &[(&[&str], &str)] = &[
    (&["llama4"], "llama4"),
    (&["gpt-oss", "gptoss"], "gpt-4o"),
    (&["qwen2", "qwen2moe", "qwen2vl", "qwen25vl", "qwen3", "qwen3moe", "qwen3vl", "qwen3vlmoe"], "qwen2"),
    (&["mistral3"], "tekken"),
    (&["glm4", "glm4moe"], "glm4"),
    (&["command-r", "cohere2"], "command-r"),
    (&["falcon"], "falcon"),
    (&["starcoder2"], "starcoder"),
    (&["bloom"], "bloom"),
    (&["gpt2"], "gpt-2"),
    (&["dbrx"], "dbrx"),
];

/// Architectures whose models are split by one of several named rules, never by those of "default".
const NAMED: &[&str] = &[
    "llama",
    "mllama",
    "mixtral",
    "phi2",
    "phi3",
    "phimoe",
    "qwen",
    "qwen3next",
    "deepseek",
    "deepseek2",
    "deepseekocr",
    "olmo",
    "olmo2",
    "olmo3",
    "olmoe",
    "granite",
    "granitemoe",
    "granitehybrid",
    "stablelm",
    "internlm2",
    "exaone",
    "exaone4",
    "minicpm",
    "minicpm3",
    "lfm2",
    "lfm2moe",
    "nemotron",
    "nemotron_h",
    "jamba",
    "jais",
    "mpt",
    "gptneox",
    "codeshell",
    "chameleon",
    "bailingmoe",
    "hunyuan-moe",
    "hunyuan-dense",
    "ernie4_5",
    "smollm3",
    "seed_oss",
    "kimi-linear",
    "glm4moelite",
    "glmocr",
    "chatglm",
    "falcon-h1",
    "arctic",
    "grok",
    "solar",
    "orion",
    "refact",
    "starcoder",
];

/// Says that the splitting rules are those of no model in particular.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let meta = &subject.model.metadata;
    let pre = meta.string("tokenizer.ggml.pre").filter(|pre| !pre.is_empty());
    if meta.string("tokenizer.ggml.model") != Some("gpt2") || pre.is_some_and(|pre| pre != "default") {
        return;
    }
    let architecture = meta.string("general.architecture").unwrap_or_default();
    let expected = EXPECTED.iter().find(|(names, _)| names.contains(&architecture)).map(|(_, pre)| *pre);
    let stated = if pre.is_some() { "tokenizer.ggml.pre is \"default\"" } else { "tokenizer.ggml.pre is not set" };
    let what = match expected {
        Some(expected) => {
            format!("{stated}; models of the architecture {architecture} are split by the rules of {expected:?}")
        }
        None => format!("{stated}: the converter did not know by which rules the model splits text"),
    };
    let advice = match expected {
        Some(expected) => format!(
            "convert the model with llama.cpp's convert_hf_to_gguf.py, or set tokenizer.ggml.pre to {expected:?}"
        ),
        None => {
            "compare with the model's tokenizer.json: `glassbox check` names the rules that agree with it".to_owned()
        }
    };
    // Of an architecture of someone's own nothing is known that could be held against it; and files of before the key had none.
    let known = expected.is_some() || pre.is_some() && NAMED.contains(&architecture);
    let note =
        Note::new(if known { Severity::Warning } else { Severity::Info }, what).place(meta.place("tokenizer.ggml.pre"));
    let why =
        "other rules cut numbers, spaces and words otherwise, so the model is given ids that it was not trained with";
    findings.note(NoteCode::PreTokenizer, note.why(why).advice(advice));
}
