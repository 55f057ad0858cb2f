//! Who can run a model: each kind of file gets the verdict that the programs' own loaders would give it, with its reason.
//! The rules' sources are in `docs/verdicts.md`.

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

#[test]
fn what_llama_cpp_refuses_is_refused_in_its_words() {
    let vocabulary_alone = |kind: u32| {
        let mut file = model("llama");
        file.tensors.retain(|t| t.name == "token_embd.weight");
        file.tensors = file.tensors.iter().map(|t| tensor(&t.name, &t.dims, kind)).collect();
        file
    };
    let of_type = |kind: u32| {
        let mut file = model("llama");
        for t in file.tensors.iter_mut().filter(|t| t.name.contains("ffn_gate")) {
            *t = tensor(&t.name, &t.dims, kind);
        }
        file
    };
    let mut no_tensors = model("llama");
    no_tensors.tensors.clear();
    let bare = {
        let mut file = empty();
        file.set("general.architecture", Value::text("llama"));
        file
    };
    let experts =
        with(model("llama"), &[("llama.expert_count", Value::u32(2)), ("llama.expert_used_count", Value::u32(1))]);
    let mut old_experts = experts.clone();
    old_experts
        .tensors
        .retain(|t| !t.name.contains("ffn_gate") && !t.name.contains("ffn_up") && !t.name.contains("ffn_down"));
    for l in 0..2 {
        old_experts.tensors.push(tensor(&format!("blk.{l}.ffn_gate_inp.weight"), &[32, 2], 0));
        for e in 0..2 {
            for (name, dims) in [("gate", [32, 64]), ("up", [32, 64]), ("down", [64, 32])] {
                old_experts.tensors.push(tensor(&format!("blk.{l}.ffn_{name}.{e}.weight"), &dims, 0));
            }
        }
    }
    let extra = {
        let mut file = model("llama");
        file.tensors.push(tensor("blk.0.attn_q_norm.weight", &[8], 0));
        file
    };
    let wide = {
        let mut file = model("llama");
        file.tensors.iter_mut().find(|t| t.name == "blk.1.ffn_up.weight").expect("there").dims = vec![64, 32];
        file
    };
    let kinds: Vec<(&str, Gguf, &str)> = vec![
        ("a vocabulary without tensors", no_tensors, "vocabulary"),
        ("a vocabulary with its embedding in F16", vocabulary_alone(1), "vocabulary"),
        ("neither tensors nor tokens", bare, "no tensors"),
        ("no architecture", without_key(model("llama"), "general.architecture"), "general.architecture"),
        ("an unknown architecture", model("foobar9"), "'foobar9'"),
        ("an architecture of images", model("flux"), "'flux'"),
        ("Q4_0_4_4", of_type(31), "Q4_0_4_4"),
        ("Q4_0_4_8", of_type(32), "Q4_0_4_8"),
        ("Q4_0_8_8", of_type(33), "Q4_0_8_8"),
        ("IQ4_NL_4_4", of_type(36), "IQ4_NL_4_4"),
        ("IQ4_NL_4_8", of_type(37), "IQ4_NL_4_8"),
        ("IQ4_NL_8_8", of_type(38), "IQ4_NL_8_8"),
        ("Q4_2 of 2023", of_type(4), "Q4_2"),
        ("a type of a fork", of_type(137), "invalid ggml type 137"),
        (
            "no block_count",
            without_key(model("llama"), "llama.block_count"),
            "key not found in model: llama.block_count",
        ),
        ("no context_length", without_key(model("llama"), "llama.context_length"), "llama.context_length"),
        ("no embedding_length", without_key(model("llama"), "llama.embedding_length"), "llama.embedding_length"),
        ("no head_count", without_key(model("llama"), "llama.attention.head_count"), "llama.attention.head_count"),
        (
            "no feed_forward_length",
            without_key(model("llama"), "llama.feed_forward_length"),
            "llama.feed_forward_length",
        ),
        (
            "no epsilon",
            without_key(model("llama"), "llama.attention.layer_norm_rms_epsilon"),
            "llama.attention.layer_norm_rms_epsilon",
        ),
        (
            "a block_count of 64 bits",
            with(model("llama"), &[("llama.block_count", Value(10, 2u64.to_le_bytes().to_vec()))]),
            "wrong type u64",
        ),
        (
            "a head rotated by a part",
            with(model("llama"), &[("llama.rope.dimension_count", Value::u32(4))]),
            "invalid n_rot: 4, expected 8",
        ),
        ("no tokenizer", without_key(model("llama"), "tokenizer.ggml.model"), "tokenizer.ggml.model"),
        ("no tokens", without_key(model("llama"), "tokenizer.ggml.tokens"), "tokenizer vocab"),
        (
            "an unknown tokenizer",
            with(model("llama"), &[("tokenizer.ggml.model", Value::text("abacus"))]),
            "unknown tokenizer: 'abacus'",
        ),
        (
            "an unknown pre-tokenizer",
            with(
                model("llama"),
                &[
                    ("tokenizer.ggml.model", Value::text("gpt2")),
                    ("tokenizer.ggml.pre", Value::text("nobody-1")),
                    ("tokenizer.ggml.merges", Value::array(8, &[string("a b")])),
                ],
            ),
            "unknown pre-tokenizer type: 'nobody-1'",
        ),
        ("BPE without merges", with(model("llama"), &[("tokenizer.ggml.model", Value::text("gpt2"))]), "merges"),
        ("no output_norm", without_tensor(model("llama"), "output_norm.weight"), "output_norm.weight"),
        (
            "no feed-forward in a layer",
            without_tensor(model("llama"), "blk.1.ffn_down.weight"),
            "blk.1.ffn_down.weight",
        ),
        ("no attention in a layer", without_tensor(model("qwen2"), "blk.0.attn_v.weight"), "blk.0.attn_v.weight"),
        (
            "an architecture that no table here has",
            without_tensor(model("xverse"), "blk.0.ffn_up.weight"),
            "blk.0.ffn_up.weight",
        ),
        ("more layers stated than there are", with(model("llama"), &[("llama.block_count", Value::u32(3))]), "blk.2."),
        ("experts without their tensors", experts, "blk.0.ffn_gate_inp.weight"),
        ("one tensor for each expert", old_experts, "one tensor for each expert"),
        ("a tensor that llama does not have", extra, "attn_q_norm"),
        ("a tensor of another shape", wide, "blk.1.ffn_up.weight"),
    ];
    for (what, file, words) in kinds {
        let report = gguf(&file);
        assert_ruling(&report, "llama.cpp", "no", words, what);
        for built_on in ["LlamaSharp (.NET)", "llama-cpp-python", "koboldcpp", "Ollama", "LM Studio"] {
            assert_eq!(ruling(&report, built_on).0, "no", "{what}: {built_on}");
        }
    }
}

#[test]
fn containers_that_llama_cpp_no_longer_reads_are_refused() {
    let v1 = report(in_memory(&[("x.gguf", &Plain::file(1, false))]));
    assert_ruling(&v1, "llama.cpp", "no", "GGUFv1 is no longer supported", "version 1");
    let swapped = report(in_memory(&[("x.gguf", &Plain::file(3, true))]));
    assert_ruling(&swapped, "llama.cpp", "no", "endian", "big endian");
}

#[test]
fn what_lies_beside_a_model_needs_the_model() {
    let low_rank = |arch: &str, entries: &[(&str, Value)], names: &[&str]| {
        let mut file = empty();
        file.set("general.architecture", Value::text(arch));
        entries.iter().for_each(|(key, value)| file.set(key, value.clone()));
        file.tensors = names.iter().map(|n| tensor(n, &[32, 4], 0)).collect();
        file
    };
    let lora: &[(&str, Value)] = &[
        ("general.type", Value::text("adapter")),
        ("adapter.type", Value::text("lora")),
        ("adapter.lora.alpha", f32_value(16.0)),
    ];
    let pair = ["blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"];
    let mmproj = |kind: &str| {
        let entries = [
            ("general.type", Value::text("mmproj")),
            ("clip.has_vision_encoder", Value(7, vec![1])),
            ("clip.projector_type", Value::text(kind)),
        ];
        low_rank("clip", &entries, &["v.patch_embd.weight", "mm.0.weight"])
    };
    let control = |names: &[&str]| {
        let mut file = empty();
        file.set("general.architecture", Value::text("controlvector"));
        file.set("controlvector.model_hint", Value::text("llama"));
        file.tensors = names.iter().map(|n| tensor(n, &[32], 0)).collect();
        file
    };
    let mut prediction = with(model("glm4moe"), &[("glm4moe.nextn_predict_layers", Value::u32(1))]);
    prediction.set("glm4moe.expert_feed_forward_length", Value::u32(64));
    prediction.set("glm4moe.expert_shared_count", Value::u32(1));
    prediction.tensors.retain(|t| !t.name.starts_with("blk.0."));
    let mut eagle = model("eagle3");
    eagle.set("eagle3.target_hidden_size", Value::u32(32));
    eagle.tensors.push(tensor("fc.weight", &[96, 32], 0));
    for l in 0..2 {
        eagle.tensors.push(tensor(&format!("blk.{l}.attn_norm_2.weight"), &[32], 0));
    }
    let kinds: Vec<(&str, Gguf, &str, &str)> = vec![
        ("a LoRA adapter", low_rank("llama", lora, &pair), "partly", "base model"),
        (
            "an adapter of another kind",
            with(low_rank("llama", lora, &pair), &[("adapter.type", Value::text("dora"))]),
            "no",
            "'lora', but got: dora",
        ),
        ("an adapter of an unknown architecture", low_rank("foobar9", lora, &pair), "no", "foobar9"),
        ("half an adapter", low_rank("llama", lora, &pair[..1]), "no", "missing one component"),
        (
            "an adapter with other tensors",
            low_rank("llama", lora, &[pair[0], pair[1], "x.weight"]),
            "no",
            "unexpected suffix",
        ),
        ("a projector", mmproj("mlp"), "partly", "mmproj"),
        ("a projector of Gemma 3", mmproj("gemma3"), "partly", "mmproj"),
        ("a projector of an unknown type", mmproj("telepathy"), "no", "telepathy"),
        ("a projector without a type", without_key(mmproj("x"), "clip.projector_type"), "no", "projector"),
        ("a control vector", control(&["direction.1", "direction.2"]), "partly", "base model"),
        ("a control vector of layer 0", control(&["direction.0"]), "no", "layer index"),
        ("layers that predict further tokens", prediction, "partly", "target model"),
        ("a head of EAGLE 3", eagle, "partly", "target model"),
    ];
    for (what, file, verdict, words) in kinds {
        let report = gguf(&file);
        assert_ruling(&report, "llama.cpp", verdict, words, what);
        assert_ne!(ruling(&report, "Glassbox").0, "yes", "{what}");
    }
    // An importance matrix of before GGUF, and in GGUF by any of its marks.
    let old = report(in_memory(&[("imatrix.dat", &containers::imatrix())]));
    assert_ruling(&old, "llama.cpp", "no", "importance matrix", "imatrix.dat");
    for mark in ["general.type", "imatrix.chunk_count"] {
        let mut file = empty();
        let value = if mark == "general.type" { Value::text("imatrix") } else { Value::u32(4) };
        file.set(mark, value);
        file.tensors =
            vec![tensor("blk.0.attn_q.weight.in_sum2", &[32, 1], 0), tensor("blk.0.attn_q.weight.counts", &[1, 1], 0)];
        assert_ruling(&gguf(&file), "llama.cpp", "no", "importance matrix", mark);
    }
}

#[test]
fn layers_that_only_predict_are_not_asked_for_as_others_are() {
    // glm4moe states the prediction layer within block_count; a file may leave it out.
    let mut file = with(model("glm4moe"), &[("glm4moe.nextn_predict_layers", Value::u32(1))]);
    file.set("glm4moe.expert_feed_forward_length", Value::u32(64));
    file.set("glm4moe.expert_shared_count", Value::u32(1));
    file.tensors.retain(|t| !t.name.starts_with("blk.1."));
    file.tensors.push(tensor("blk.0.post_attention_norm.weight", &[32], 0));
    assert_ruling(&gguf(&file), "llama.cpp", "yes", "", "a trunk without its prediction layer");
    file.tensors.retain(|t| t.name != "blk.0.post_attention_norm.weight");
    assert_ruling(&gguf(&file), "llama.cpp", "no", "blk.0.post_attention_norm.weight", "a trunk that lacks a tensor");
}

/// A model in two files as llama-gguf-split writes them; the second states what `second` says.
fn halves(second: u16) -> [Vec<u8>; 2] {
    let whole = model("llama");
    let number = |n: u16| Value(2, n.to_le_bytes().to_vec());
    let count = Value(5, (whole.tensors.len() as i32).to_le_bytes().to_vec());
    let entries =
        |no: u16| [("split.no", number(no)), ("split.count", number(2)), ("split.tensors.count", count.clone())];
    let mut first = with(whole.clone(), &entries(0));
    first.tensors.truncate(8);
    let mut rest = with(empty(), &entries(second));
    rest.tensors = whole.tensors[8..].to_vec();
    [first.bytes(), rest.bytes()]
}

#[test]
fn splits_run_whole_and_in_order_alone() {
    const NAMES: [&str; 2] = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    let [first, second] = halves(1);
    let both = report(in_memory(&[(NAMES[0], &first), (NAMES[1], &second)]));
    assert_ruling(&both, "llama.cpp", "yes", "", "both halves");
    assert_ruling(&both, "Ollama", "partly", "one file", "both halves");
    let half = report(in_memory(&[(NAMES[0], &first)]));
    assert_ruling(&half, "llama.cpp", "no", "00002", "the first half");
    let other = report(in_memory(&[(NAMES[1], &second)]));
    assert_ruling(&other, "llama.cpp", "no", "00001", "the second half");
    // A part that does not belong: the name says 2, the file says 1.
    let [_, wrong] = halves(0);
    let mixed = report(in_memory(&[(NAMES[0], &first), (NAMES[1], &wrong)]));
    assert_ruling(&mixed, "llama.cpp", "no", "", "a part of another number");
    // Under a name of its own nothing says where the other lies.
    let renamed = report(in_memory(&[("half.gguf", &first)]));
    assert_ruling(&renamed, "llama.cpp", "no", "", "a half without its name");
}

#[test]
fn a_file_that_ends_early_runs_nowhere() {
    let bytes = model("llama").bytes();
    let header = model("llama").header().len();
    for end in [header / 2, header + 40, bytes.len() - 200] {
        let report = report(in_memory(&[("x.gguf", &bytes[..end])]));
        for program in ["Glassbox", "llama.cpp", "Ollama"] {
            assert_ruling(&report, program, "no", "", &format!("cut at {end} of {}", bytes.len()));
        }
    }
}

#[test]
fn a_new_architecture_is_unknown_where_a_copy_may_be_older() {
    // Newer than the last release of gguf-py: llama.cpp has it, programs built on it may not yet.
    let file = with(model("maple"), &[]);
    let (verdict, why) = ruling(&gguf(&file), "llama.cpp");
    if verdict == "no" {
        assert!(why.contains("key not found") || why.contains("missing"), "{why}");
        return;
    }
    assert_ruling(&gguf(&file), "Ollama", "unknown", "maple", "a new architecture");
}

const LLAMA_CONFIG: &str = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":2,"vocab_size":4,"max_position_embeddings":16,"rms_norm_eps":1e-5,"tie_word_embeddings":true}"#;

/// Safetensors with tensors of these names and shapes, of F32.
fn weights(tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let (mut header, mut at) = (String::from("{"), 0);
    for (i, (name, shape)) in tensors.iter().enumerate() {
        let bytes = shape.iter().product::<u64>() * 4;
        let comma = if i > 0 { "," } else { "" };
        header +=
            &format!(r#"{comma}"{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{at},{}]}}"#, at + bytes);
        at += bytes;
    }
    safetensors(&(header + "}"), &vec![0; at as usize])
}

fn llama_weights() -> Vec<u8> {
    let layer = |n: &'static str| format!("model.layers.0.{n}.weight");
    let names: Vec<(String, Vec<u64>)> = vec![
        ("model.embed_tokens.weight".into(), vec![4, 8]),
        ("model.norm.weight".into(), vec![8]),
        (layer("input_layernorm"), vec![8]),
        (layer("post_attention_layernorm"), vec![8]),
        (layer("self_attn.q_proj"), vec![8, 8]),
        (layer("self_attn.k_proj"), vec![8, 8]),
        (layer("self_attn.v_proj"), vec![8, 8]),
        (layer("self_attn.o_proj"), vec![8, 8]),
        (layer("mlp.gate_proj"), vec![16, 8]),
        (layer("mlp.up_proj"), vec![16, 8]),
        (layer("mlp.down_proj"), vec![8, 16]),
    ];
    let named: Vec<(&str, &[u64])> = names.iter().map(|(n, s)| (n.as_str(), s.as_slice())).collect();
    weights(&named)
}

const TOKENIZER: &[u8] = br#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"d":3},"merges":[]}}"#;

fn folder(config: &str, more: &[(&str, &[u8])]) -> Json {
    let model = llama_weights();
    let mut files: Vec<(&str, &[u8])> = vec![("model.safetensors", &model)];
    if !config.is_empty() {
        files.push(("config.json", config.as_bytes()));
    }
    files.extend(more);
    report(in_memory(&files))
}

/// The configuration with members added, or put in the place of others.
fn config(change: &str) -> String {
    let mut base: Json = serde_json::from_str(LLAMA_CONFIG).expect("is JSON");
    let change: Json = serde_json::from_str(change).expect("is JSON");
    for (key, value) in change.as_object().expect("an object") {
        base[key] = value.clone();
    }
    base.to_string()
}

const TRANSFORMERS: &str = "PyTorch with transformers";

#[test]
fn a_whole_folder_runs_where_its_class_is_known() {
    let whole = folder(LLAMA_CONFIG, &[("tokenizer.json", TOKENIZER)]);
    for program in [TRANSFORMERS, "vLLM", "MLX", "LM Studio", "Glassbox"] {
        assert_ruling(&whole, program, "yes", "", "a whole folder");
    }
    assert_ruling(&whole, "llama.cpp", "no", "convert_hf_to_gguf.py converts LlamaForCausalLM", "a whole folder");
    assert_ruling(&whole, "sentence-transformers", "no", "modules.json", "a decoder");
    let silent = folder(LLAMA_CONFIG, &[]);
    for program in [TRANSFORMERS, "vLLM", "MLX", "Glassbox"] {
        assert_ruling(&silent, program, "partly", "tokenizer", "a folder without its tokenizer");
    }
}

#[test]
fn folders_that_transformers_refuses_are_refused_in_its_words() {
    let unknown = config(r#"{"model_type":"foobar9","architectures":["Foobar9ForCausalLM"]}"#);
    let coded = config(
        r#"{"model_type":"foobar9","architectures":["Foobar9ForCausalLM"],"auto_map":{"AutoConfig":"configuration_foobar9.Foobar9Config","AutoModelForCausalLM":"modeling_foobar9.Foobar9ForCausalLM"}}"#,
    );
    let tokenizer: (&str, &[u8]) = ("tokenizer.json", TOKENIZER);
    let report = folder(&unknown, &[tokenizer]);
    assert_ruling(&report, TRANSFORMERS, "no", "foobar9", "an unknown model type");
    assert_ruling(&report, "vLLM", "no", "foobar9", "an unknown model type");
    assert_ruling(&report, "MLX", "no", "Model type foobar9 not supported", "an unknown model type");
    let report = folder(&coded, &[tokenizer]);
    assert_ruling(&report, TRANSFORMERS, "partly", "trust_remote_code", "code of its own");
    assert_ruling(&report, TRANSFORMERS, "partly", "configuration_foobar9.py is not here", "code that is not here");
    let nameless = folder(r#"{"hidden_size":8}"#, &[tokenizer]);
    assert_ruling(&nameless, TRANSFORMERS, "no", "model_type", "no model type");
    assert_ruling(&folder("", &[]), TRANSFORMERS, "partly", "config.json", "weights alone");
    // A tensor is not there, or of another shape.
    let half = weights(&[("model.embed_tokens.weight", &[4, 8]), ("model.layers.0.input_layernorm.weight", &[8])]);
    let lacking =
        self::report(in_memory(&[("model.safetensors", &half), ("config.json", LLAMA_CONFIG.as_bytes()), tokenizer]));
    assert_ruling(&lacking, TRANSFORMERS, "no", "model.norm.weight", "tensors are missing");
    let wide = folder(&config(r#"{"intermediate_size":32}"#), &[tokenizer]);
    assert_ruling(&wide, TRANSFORMERS, "no", "shape", "tensors of another shape");
}

#[test]
fn quantized_folders_need_their_package_or_another_program() {
    let tokenizer: (&str, &[u8]) = ("tokenizer.json", TOKENIZER);
    let quantized = |settings: &str| folder(&config(&format!(r#"{{"quantization_config":{settings}}}"#)), &[tokenizer]);
    for (settings, words) in [
        (r#"{"quant_method":"gptq","bits":4,"group_size":128}"#, "gptqmodel"),
        (r#"{"quant_method":"awq","bits":4}"#, "gptqmodel"),
        (r#"{"quant_method":"bitsandbytes","load_in_4bit":true}"#, "bitsandbytes"),
        (r#"{"quant_method":"fp8","weight_block_size":[128,128]}"#, "FP8"),
        (r#"{"quant_method":"compressed-tensors"}"#, "compressed-tensors"),
        (r#"{"quant_method":"mxfp4"}"#, "kernels"),
    ] {
        let report = quantized(settings);
        assert_ruling(&report, TRANSFORMERS, "partly", words, settings);
        assert_ruling(&report, "vLLM", "yes", "LlamaForCausalLM", settings);
    }
    let exl2 = quantized(r#"{"quant_method":"exl2","bits":4.0}"#);
    assert_ruling(&exl2, TRANSFORMERS, "no", "Unknown quantization type, got exl2", "EXL2");
    assert_ruling(&exl2, "ExLlama", "yes", "ExLlamaV2", "EXL2");
    assert_ruling(&exl2, "vLLM", "no", "exl2", "EXL2");
    let mlx = r#"{"group_size":64,"bits":4}"#;
    let mlx = folder(&config(&format!(r#"{{"quantization":{mlx},"quantization_config":{mlx}}}"#)), &[tokenizer]);
    assert_ruling(&mlx, TRANSFORMERS, "no", "MLX", "quantized by MLX");
    assert_ruling(&mlx, "MLX", "yes", "Apple", "quantized by MLX");
    assert_ruling(&mlx, "vLLM", "no", "mlx", "quantized by MLX");
}

#[test]
fn parts_of_models_in_folders_need_the_rest() {
    let low_rank = weights(&[
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", &[2, 8]),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", &[8, 2]),
    ]);
    let peft = br#"{"peft_type":"LORA","r":2,"lora_alpha":4,"base_model_name_or_path":"org/base"}"#;
    let report = report(in_memory(&[("adapter_model.safetensors", &low_rank), ("adapter_config.json", peft)]));
    assert_ruling(&report, TRANSFORMERS, "partly", "org/base", "a PEFT adapter");
    assert_ruling(&report, "vLLM", "partly", "--enable-lora", "a PEFT adapter");
    assert_ruling(&report, "llama.cpp", "no", "convert_lora_to_gguf.py", "a PEFT adapter");
    assert_ruling(&report, "Glassbox", "no", "adapter", "a PEFT adapter");
    let draft = config(r#"{"architectures":["LlamaForCausalLMEagle3"]}"#);
    let report = folder(&draft, &[]);
    assert_ruling(&report, TRANSFORMERS, "no", "draft head", "a head of EAGLE 3");
    assert_ruling(&report, "vLLM", "partly", "target model", "a head of EAGLE 3");
    // Without a word in the configuration, by its tensors.
    let eagle = weights(&[("fc.weight", &[8, 16]), ("layers.0.self_attn.q_proj.weight", &[8, 8])]);
    let report = self::report(in_memory(&[("model.safetensors", &eagle), ("config.json", LLAMA_CONFIG.as_bytes())]));
    assert_ruling(&report, "vLLM", "partly", "target model", "a head of EAGLE");
    // A pipeline, and what lies elsewhere.
    let index = br#"{"_class_name":"StableDiffusionPipeline","unet":["diffusers","UNet2DConditionModel"],"vae":["diffusers","AutoencoderKL"],"safety_checker":[null,null]}"#;
    let unet = weights(&[("conv_in.weight", &[4, 4, 3, 3])]);
    let files: [(&str, &[u8]); 3] = [
        ("model_index.json", index),
        ("unet/diffusion_pytorch_model.safetensors", &unet),
        ("unet/config.json", br#"{"_class_name":"UNet2DConditionModel"}"#),
    ];
    let report = self::report(in_memory(&files));
    assert_ruling(&report, TRANSFORMERS, "no", "diffusers", "a pipeline");
    assert_ruling(&report, "diffusers", "partly", "vae", "a pipeline without a part");
}

#[test]
fn weights_that_are_not_here_run_nowhere() {
    let index = br#"{"metadata":{"total_size":64},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;
    let report =
        report(in_memory(&[("config.json", LLAMA_CONFIG.as_bytes()), ("model.safetensors.index.json", index)]));
    for program in ["Glassbox", TRANSFORMERS, "vLLM", "MLX"] {
        assert_ruling(&report, program, "no", "model-00001-of-00002.safetensors", "an index alone");
    }
}

/// A graph of one node over floats.
fn graph(node: &Message) -> Message {
    Message::new()
        .message(1, node)
        .bytes(2, "g")
        .message(11, &onnx_value("x", &["2"]))
        .message(12, &onnx_value("y", &["2"]))
}

/// A model with these operator sets.
fn onnx(ir: u64, opsets: &[(&str, u64)], graph: &Message) -> Message {
    let model = Message::new().int(1, ir).message(7, graph);
    opsets.iter().fold(model, |m, (domain, n)| m.message(8, &Message::new().bytes(1, domain).int(2, *n)))
}

#[test]
fn graphs_run_where_their_operators_are_known() {
    let relu = graph(&onnx_node("Relu", &["x"], &["y"]));
    let custom = graph(&onnx_node("Fancy", &["x"], &["y"]).bytes(7, "com.example"));
    let function =
        Message::new().bytes(1, "Fancy").bytes(10, "com.example").message(7, &onnx_node("Relu", &["x"], &["y"]));
    let external = {
        let place = Message::new().bytes(1, "location").bytes(2, "w.bin");
        let tensor = onnx_tensor("w", 1, &[2], &[]).message(13, &place).int(14, 1);
        graph(&onnx_node("Add", &["x", "w"], &["y"])).message(5, &tensor)
    };
    let kinds: Vec<(&str, Message, &str, &str, &str)> = vec![
        ("one node", onnx(8, &[("", 17)], &relu), "yes", "yes", ""),
        ("a newer operator set", onnx(8, &[("", 99)], &relu), "no", "no", "99"),
        ("an old operator set", onnx(3, &[("", 6)], &relu), "unknown", "unknown", "6"),
        ("a newer IR", onnx(99, &[("", 17)], &relu), "no", "no", "99"),
        (
            "an operator that nobody has",
            onnx(8, &[("", 17)], &graph(&onnx_node("Foo9", &["x"], &["y"]))),
            "no",
            "no",
            "Foo9",
        ),
        (
            "an operator of a newer set",
            onnx(8, &[("", 17)], &graph(&onnx_node("Gelu", &["x"], &["y"]))),
            "no",
            "no",
            "Gelu(20)",
        ),
        (
            "an operator of another domain",
            onnx(8, &[("", 17), ("com.example", 1)], &custom),
            "partly",
            "no",
            "com.example",
        ),
        (
            "an operator that the file defines",
            onnx(8, &[("", 17), ("com.example", 1)], &custom).message(25, &function),
            "yes",
            "yes",
            "",
        ),
        ("a domain that no node is of", onnx(8, &[("", 17), ("com.example", 1)], &relu), "yes", "yes", ""),
        ("weights in a file that is not here", onnx(8, &[("", 17)], &external), "no", "no", "w.bin"),
    ];
    for (what, model, native, web, words) in kinds {
        let report = report(in_memory(&[("x.onnx", &model.0)]));
        assert_ruling(&report, "ONNX Runtime", native, words, what);
        assert_ruling(&report, "onnxruntime-web", web, "", what);
    }
}

#[test]
fn a_graph_that_takes_no_ids_is_not_told_that_its_tokenizer_is_missing() {
    let tokenizer = |input: Message| {
        let graph = Message::new()
            .message(1, &onnx_node("Relu", &["x"], &["y"]))
            .message(11, &input)
            .message(12, &onnx_value("y", &["1"]));
        let report = report(in_memory(&[("x.onnx", &onnx(8, &[("", 17)], &graph).0)]));
        let parts = report["place"]["parts"].as_array().expect("a list").clone();
        parts.iter().find(|p| p["name"] == "Tokenizer").map(|p| p["state"].as_str().expect("text").to_owned())
    };
    let whole = |name: &str| {
        let shape = Message::new()
            .message(1, &Message::new().bytes(2, "batch"))
            .message(1, &Message::new().bytes(2, "sequence"));
        let tensor = Message::new().int(1, 7).message(2, &shape);
        Message::new().bytes(1, name).message(2, &Message::new().message(1, &tensor))
    };
    assert_eq!(tokenizer(onnx_value("pixel_values", &["batch", "3", "224", "224"])).as_deref(), Some("not needed"));
    assert_eq!(tokenizer(whole("input_ids")).as_deref(), Some("missing"));
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
