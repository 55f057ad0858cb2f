//! Who can run a model: each kind of file gets the verdict that the programs' own loaders would give it, with its reason.
//! The rules' sources are in `docs/verdicts.md`.

mod folders;
mod gguf;
mod graphs;

use crate::common::{containers, files, writers};
use std::path::{Path, PathBuf};

use files::{block_on, corpus, in_memory, on_disk};
use glassbox::{report::ModelReport, session::Inspection, source::SourceSet};
use serde_json::Value as Json;
use writers::{Gguf, Message, Plain, Tensor, Value, onnx_node, onnx_tensor, onnx_value, safetensors, string};

fn report(files: SourceSet) -> Json {
    let inspection = block_on(Inspection::open(files)).expect("opens");
    block_on(async { Ok::<_, glassbox::fault::Fault>(serde_json::to_value(ModelReport::of(&inspection).await)) })
        .expect("reports")
        .expect("is JSON")
}

/// A program's verdict and reason.
fn ruling(report: &Json, program: &str) -> (String, String) {
    let runners = report["runners"].as_array().expect("a list");
    let found = runners.iter().find(|r| r["name"] == program);
    let found = found.unwrap_or_else(|| panic!("{program} is not listed: {runners:#?}"));
    let text = |key: &str| found[key].as_str().expect("text").to_owned();
    (text("verdict"), text("detail"))
}

#[track_caller]
fn assert_ruling(report: &Json, program: &str, verdict: &str, words: &str, what: &str) {
    let (found, why) = ruling(report, program);
    assert_eq!(found, verdict, "{what}: {program}: {why}");
    assert!(why.contains(words), "{what}: {program} should say {words:?}: {why}");
}

fn gguf(file: &Gguf) -> Json {
    report(in_memory(&[("x.gguf", &file.bytes())]))
}

fn tensor(name: &str, dims: &[u64], kind: u32) -> Tensor {
    let elements: u64 = dims.iter().product();
    let bytes = match kind {
        0 => elements * 4,
        1 => elements * 2,
        31..=33 | 36..=38 => elements / 32 * 18,
        _ => elements,
    };
    Tensor { name: name.into(), dims: dims.to_vec(), kind, offset: None, data: vec![0; bytes as usize] }
}

fn f32_value(x: f32) -> Value {
    Value(6, x.to_le_bytes().to_vec())
}

const TOKENS: u64 = 32;

fn vocabulary(file: &mut Gguf) {
    let tokens: Vec<Vec<u8>> = (0..TOKENS).map(|i| string(format!("t{i}"))).collect();
    file.set("tokenizer.ggml.model", Value::text("llama"));
    file.set("tokenizer.ggml.tokens", Value::array(8, &tokens));
    file.set("tokenizer.ggml.scores", Value::array(6, &vec![vec![0; 4]; TOKENS as usize]));
    file.set("tokenizer.ggml.token_type", Value::array(5, &vec![vec![1, 0, 0, 0]; TOKENS as usize]));
}

fn empty() -> Gguf {
    Gguf {
        magic: *b"GGUF",
        version: 3,
        tensor_count: None,
        entry_count: None,
        entries: Vec::new(),
        tensors: Vec::new(),
        alignment: 32,
    }
}

/// A whole llama of two layers, or of another architecture with llama's keys and tensors.
fn model(arch: &str) -> Gguf {
    let mut file = empty();
    file.set("general.architecture", Value::text(arch));
    let numbers = [
        ("block_count", 2),
        ("context_length", 128),
        ("embedding_length", 32),
        ("feed_forward_length", 64),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("rope.dimension_count", 8),
    ];
    for (key, n) in numbers {
        file.set(&format!("{arch}.{key}"), Value::u32(n));
    }
    file.set(&format!("{arch}.attention.layer_norm_rms_epsilon"), f32_value(1e-5));
    vocabulary(&mut file);
    file.tensors.push(tensor("token_embd.weight", &[32, TOKENS], 0));
    file.tensors.push(tensor("output_norm.weight", &[32], 0));
    file.tensors.push(tensor("output.weight", &[32, TOKENS], 0));
    for l in 0..2 {
        let parts: [(&str, &[u64]); 9] = [
            ("attn_norm", &[32]),
            ("attn_q", &[32, 32]),
            ("attn_k", &[32, 16]),
            ("attn_v", &[32, 16]),
            ("attn_output", &[32, 32]),
            ("ffn_norm", &[32]),
            ("ffn_gate", &[32, 64]),
            ("ffn_up", &[32, 64]),
            ("ffn_down", &[64, 32]),
        ];
        file.tensors.extend(parts.map(|(name, dims)| tensor(&format!("blk.{l}.{name}.weight"), dims, 0)));
    }
    file
}

fn without_key(mut file: Gguf, key: &str) -> Gguf {
    let before = file.entries.len();
    file.entries.retain(|(k, _)| k != key.as_bytes());
    assert_eq!(file.entries.len() + 1, before, "{key} was there");
    file
}

fn without_tensor(mut file: Gguf, name: &str) -> Gguf {
    let before = file.tensors.len();
    file.tensors.retain(|t| t.name != name);
    assert_eq!(file.tensors.len() + 1, before, "{name} was there");
    file
}

fn with(mut file: Gguf, entries: &[(&str, Value)]) -> Gguf {
    for (key, value) in entries {
        file.entries.retain(|(k, _)| k != key.as_bytes());
        file.set(key, value.clone());
    }
    file
}

fn cases() -> Option<PathBuf> {
    let folder = corpus()?.join("../cases/2026-11");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: needs {} because the cases lie there", folder.display());
    None
}

#[test]
fn the_cases_that_stand_for_kinds_get_their_verdicts() {
    let Some(folder) = cases() else { return };
    let text = std::fs::read_to_string(folder.join("expected.json")).expect("reads");
    let expected: Vec<Json> = serde_json::from_str(&text).expect("is JSON");
    let mut compared = 0;
    for case in expected.iter().filter(|c| c.get("runner").is_some()) {
        let field = |key: &str| case[key].as_str().expect("text");
        let report = report(on_disk(&folder, &[field("file")]));
        assert_ruling(&report, field("runner"), field("verdict"), field("reason_holds"), field("file"));
        compared += 1;
    }
    assert!(compared >= 10, "{compared} cases with a verdict");
}

#[test]
fn a_whole_model_runs_everywhere_that_llama_cpp_is() {
    let file = model("llama");
    let report = gguf(&file);
    for program in ["llama.cpp", "LlamaSharp (.NET)", "llama-cpp-python", "koboldcpp", "Ollama", "LM Studio"] {
        assert_ruling(&report, program, "yes", "", "a whole llama");
    }
    assert_ruling(&report, "Glassbox", "yes", "2 layers of llama", "a whole llama");
    // The head may be the embedding.
    assert_ruling(&gguf(&without_tensor(file, "output.weight")), "llama.cpp", "yes", "", "a tied head");
}

/// All whole models of the corpus that llama.cpp converted and ran.
#[test]
fn models_that_llama_cpp_ran_are_said_to_run() {
    let Some(corpus) = corpus() else { return };
    let mut found = 0;
    for entry in std::fs::read_dir(corpus.join("arch")).expect("reads") {
        let folder = entry.expect("readable").path();
        let file = Path::new("model.gguf");
        if !folder.join(file).is_file() {
            continue;
        }
        let report = report(on_disk(&folder, &["model.gguf"]));
        assert_ruling(&report, "llama.cpp", "yes", "", &folder.display().to_string());
        found += 1;
    }
    assert!(found > 40, "{found} models");
}
