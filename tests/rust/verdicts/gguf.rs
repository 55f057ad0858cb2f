//! GGUF files: what llama.cpp refuses, parts of models, splits, files that end early.

use super::*;

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
