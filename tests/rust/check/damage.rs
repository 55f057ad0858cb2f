//! Each damage gives its finding, with place, reason and advice.

use super::*;

/// A damage: its name, what it does, the finding, and which file's byte the finding names (by a text that stands there).
type Harm<T> = (&'static str, fn(&mut T), Severity, &'static str, Option<(&'static str, &'static str)>);

fn replace(files: &mut Files, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[name].clone()).expect("text");
    assert!(text.contains(from), "{name} holds {from}");
    files.insert(name.into(), text.replacen(from, to, 1).into_bytes());
}

fn config(files: &mut Files, from: &str, to: &str) {
    replace(files, "config.json", from, to);
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn every_contradiction_in_a_folder_is_found() {
    use Severity::{Error, Info, Warning};
    let generation = "generation_config.json";
    let harms: &[Harm<Files>] = &[
        (
            "width",
            |f| config(f, "\"hidden_size\": 256", "\"hidden_size\": 128"),
            Error,
            "the configuration asks for",
            None,
        ),
        (
            "feed-forward",
            |f| config(f, "\"intermediate_size\": 256", "\"intermediate_size\": 512"),
            Error,
            "mlp.gate_proj.weight\" has shape 256 x 256",
            None,
        ),
        (
            "KV heads",
            |f| config(f, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4"),
            Error,
            "self_attn.k_proj.weight\" has shape 64 x 256; the configuration asks for 128 x 256",
            None,
        ),
        (
            "vocabulary",
            |f| config(f, "\"vocab_size\": 1000", "\"vocab_size\": 900"),
            Error,
            "model.embed_tokens.weight\" has shape 1000 x 256",
            None,
        ),
        (
            "a layer too many",
            |f| config(f, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
            Error,
            "1 of 3 layers hold no tensors; the first is layer 2",
            Some(("config.json", "\"num_hidden_layers\"")),
        ),
        (
            "a layer too few",
            |f| config(f, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1"),
            Warning,
            "Tensors of layer 1 are there; the configuration has 1 layers",
            Some(("config.json", "\"num_hidden_layers\"")),
        ),
        (
            "type",
            |f| config(f, "\"torch_dtype\": \"bfloat16\"", "\"torch_dtype\": \"float32\""),
            Info,
            "config.json says float32, most weights are BF16",
            Some(("config.json", "\"torch_dtype\"")),
        ),
        (
            "untied without a head",
            |f| config(f, "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false"),
            Error,
            "lm_head.weight is missing",
            Some(("config.json", "\"tie_word_embeddings\"")),
        ),
        (
            "id out of range",
            |f| config(f, "\"eos_token_id\": 0", "\"eos_token_id\": 1000"),
            Error,
            "eos_token_id in config.json is 1000; the vocabulary has ids up to 999",
            Some(("config.json", "\"eos_token_id\"")),
        ),
        (
            "generation id out of range",
            |f| replace(f, "generation_config.json", "\"bos_token_id\": 0", "\"bos_token_id\": 70000"),
            Error,
            "bos_token_id in generation_config.json is 70000",
            Some((generation, "\"bos_token_id\"")),
        ),
        (
            "ids that disagree",
            |f| replace(f, "generation_config.json", "\"eos_token_id\": 0", "\"eos_token_id\": [5, 6]"),
            Warning,
            "eos_token_id in config.json is 0, eos_token_id in generation_config.json is 5",
            Some((generation, "\"eos_token_id\"")),
        ),
        (
            "texts that disagree",
            |f| replace(f, "special_tokens_map.json", "\"eos_token\": \"<|endoftext|>\"", "\"eos_token\": \"</s>\""),
            Warning,
            "eos_token is \"<|endoftext|>\" in tokenizer_config.json and \"</s>\" in special_tokens_map.json",
            Some(("tokenizer_config.json", "\"eos_token\"")),
        ),
        (
            "text and id",
            |f| {
                config(f, "\"bos_token_id\": 0", "\"bos_token_id\": 7");
                replace(f, "generation_config.json", "\"bos_token_id\": 0", "\"bos_token_id\": 7");
            },
            Warning,
            "bos_token \"<|endoftext|>\" is token 0 by tokenizer_config.json; bos_token_id in config.json is 7",
            Some(("config.json", "\"bos_token_id\"")),
        ),
        (
            "side file cut",
            |f| {
                let text = f["tokenizer_config.json"].clone();
                f.insert("tokenizer_config.json".into(), text[..text.len() / 2].to_vec());
            },
            Error,
            "tokenizer_config.json cannot be read",
            None,
        ),
        (
            "another tokenizer",
            |f| {
                f.remove("tokenizer.json");
                f.insert(
                    "vocab.txt".into(),
                    (0..1200).map(|i| format!("w{i}\n")).chain(["[UNK]\n".into()]).collect::<String>().into_bytes(),
                );
            },
            Error,
            "has 1202 tokens, the embedding \"model.embed_tokens.weight\" 1000 rows",
            None,
        ),
        (
            "index of another model",
            |f| replace(f, "model.safetensors.index.json", "\"model.norm.weight\"", "\"model.norm.other\""),
            Error,
            "Index and shards disagree",
            None,
        ),
        (
            "a shard is missing",
            |f| {
                f.remove("model-00002-of-00002.safetensors");
            },
            Error,
            "model-00002-of-00002.safetensors\" is missing",
            None,
        ),
    ];
    for (name, harm, severity, words, place) in harms {
        let mut files = folder(&sample("hf"));
        harm(&mut files);
        let (model, notes) = findings(&files);
        let note = find(name, &notes, *severity, words);
        if let Some((file, text)) = place {
            let at = files[*file].windows(text.len()).position(|w| w == text.as_bytes()).expect("the text is there");
            let told = (note.file.map(|f| model.files[f].name.as_str()), note.at);
            assert_eq!(told, (Some(*file), Some(at as u64)), "{name}");
        }
        if *severity == Error && !words.contains("cannot be read") {
            let named = notes.iter().any(|n| {
                n.severity == Error && (n.at.is_some() || n.what.contains("missing") || n.what.contains("Index"))
            });
            assert!(named, "{name}: no place: {notes:#?}");
        }
    }
}

#[test]
fn a_model_saved_without_its_head_has_bare_names_and_raises_no_alarm() {
    let mut files = folder(&sample("hf"));
    for (name, bytes) in &mut files {
        if name.ends_with(".safetensors") || name.ends_with(".index.json") {
            // The same length, so that the header's own length stays right.
            let text: Vec<u8> = std::mem::take(bytes);
            let (from, to) = (b"\"model.", b"\"");
            let mut out = Vec::with_capacity(text.len());
            let mut at = 0;
            while at < text.len() {
                let found = text[at..].starts_with(from) && !text[at..].starts_with(b"\"model.safetensors");
                out.extend_from_slice(if found { to } else { &text[at..=at] });
                at += if found { from.len() } else { 1 };
            }
            if name.ends_with(".safetensors") {
                let lost = text.len() - out.len();
                let n = u64::from_le_bytes(text[..8].try_into().expect("eight bytes"));
                // White space makes up for what the names lost.
                let end = 8 + n as usize - lost;
                out.splice(end..end, std::iter::repeat_n(b' ', lost));
            }
            *bytes = out;
        }
    }
    let (model, notes) = findings(&files);
    assert!(model.tensors.iter().any(|t| t.name == "layers.0.mlp.up_proj.weight"));
    assert!(alarms(&notes).is_empty(), "{notes:#?}");
    config(&mut files, "\"intermediate_size\": 256", "\"intermediate_size\": 512");
    find("bare", &findings(&files).1, Severity::Error, "\"layers.0.mlp.gate_proj.weight\" has shape");
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn every_contradiction_in_a_gguf_file_is_found() {
    use Severity::{Error, Warning};
    let harms: &[Harm<Gguf>] = &[
        (
            "a tensor is missing",
            |f| f.tensors.retain(|t| t.name != "blk.1.ffn_up.weight"),
            Error,
            "The tensor \"blk.1.ffn_up.weight\" is missing",
            Some(("", "llama.block_count")),
        ),
        (
            "a layer is missing",
            |f| f.tensors.retain(|t| !t.name.starts_with("blk.0.")),
            Error,
            "1 of 2 layers hold no tensors; the first is layer 0",
            Some(("", "llama.block_count")),
        ),
        (
            "another shape",
            |f| {
                let t = tensor(f, "blk.0.attn_k.weight");
                t.dims = vec![16, 32];
            },
            Error,
            "\"blk.0.attn_k.weight\" has shape 32 x 16; the configuration asks for 16 x 32",
            None,
        ),
        (
            "an unknown tensor",
            |f| {
                let mut t = f.tensors[1].clone();
                t.name = "blk.0.secret.weight".into();
                f.tensors.push(t);
            },
            Warning,
            "\"blk.0.secret.weight\" is no tensor of the llama architecture",
            None,
        ),
        (
            "fewer tokens than rows",
            |f| set(f, "tokenizer.ggml.tokens", Value::array(8, &[writers::string("a")])),
            Error,
            "tokenizer.ggml.tokens has 1 tokens, the embedding \"token_embd.weight\" 4 rows",
            Some(("", "tokenizer.ggml.tokens")),
        ),
        (
            "fewer scores",
            |f| set(f, "tokenizer.ggml.scores", Value::array(6, &[vec![0; 4]])),
            Error,
            "tokenizer.ggml.scores has 1 items, tokenizer.ggml.tokens has 4",
            Some(("", "tokenizer.ggml.scores")),
        ),
        (
            "id out of range",
            |f| set(f, "tokenizer.ggml.eos_token_id", Value::u32(4)),
            Error,
            "tokenizer.ggml.eos_token_id is 4; the vocabulary has ids up to 3",
            Some(("", "tokenizer.ggml.eos_token_id")),
        ),
        (
            "a key is missing",
            |f| f.entries.retain(|(k, _)| k != b"llama.context_length"),
            Warning,
            "The metadata lacks llama.context_length",
            Some(("", "general.architecture")),
        ),
        (
            "NaN in a norm",
            |f| tensor(f, "blk.1.ffn_norm.weight").data[8..12].copy_from_slice(&f32::NAN.to_le_bytes()),
            Error,
            "\"blk.1.ffn_norm.weight\" (F32) holds a value that is not a number",
            None,
        ),
        (
            "infinity in a norm",
            |f| tensor(f, "output_norm.weight").data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes()),
            Error,
            "\"output_norm.weight\" (F32) holds an infinite value",
            None,
        ),
    ];
    for (name, harm, severity, words, place) in harms {
        let mut file = llama();
        harm(&mut file);
        let bytes = file.bytes();
        let (_, notes) = findings(&one("x.gguf", bytes.clone()));
        let note = find(name, &notes, *severity, words);
        assert!(note.at.is_some(), "{name}: no place");
        if let Some((_, key)) = place {
            // An entry starts with its key's length.
            let at = bytes.windows(key.len()).position(|w| w == key.as_bytes()).expect("the key is there") - 8;
            assert_eq!(note.at, Some(at as u64), "{name}");
        }
    }
}

#[test]
fn a_value_that_is_no_number_is_named_with_its_byte() {
    let mut file = llama();
    tensor(&mut file, "blk.1.ffn_norm.weight").data[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    let bytes = file.bytes();
    let at = bytes.windows(4).position(|w| w == f32::NAN.to_le_bytes()).expect("it is there");
    let (_, notes) = findings(&one("x.gguf", bytes));
    assert_eq!(find("nan", &notes, Severity::Error, "not a number").at, Some(at as u64));
}

#[test]
fn other_files_hidden_in_padding_gaps_and_behind_the_end_are_named_with_their_byte() {
    use Severity::{Error, Warning};
    let whole = llama().bytes();
    let start = whole.len();
    let zip = containers::zip(&[containers::member("run.py", "print(1)")], 1);
    let mut norm = llama();
    // Fewer bytes than the alignment, so that padding follows.
    norm.tensors.push(Tensor {
        name: "rope_freqs.weight".into(),
        dims: vec![1],
        kind: 0,
        offset: None,
        data: vec![0; 4],
    });
    let padded = norm.bytes();
    let with = |base: &[u8], at: usize, bytes: &[u8]| {
        let mut file = base.to_vec();
        file.resize(file.len().max(at + bytes.len()), 0);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let end = padded.len();
    for (name, bytes, severity, words, at) in [
        (
            "zip behind",
            with(&whole, start, &zip),
            Error,
            "A zip archive starts in the bytes after the last tensor",
            start,
        ),
        ("zip at the end", with(&whole, start, &zip), Error, "also ends as a zip archive does", start + zip.len() - 22),
        ("program behind", with(&whole, start + 40, b"\x7fELF"), Error, "An ELF program starts in", start + 40),
        ("page behind", with(&whole, start, b"<!DOCTYPE html>"), Error, "A web page starts in", start),
        ("pickle behind", with(&whole, start, b"\x80\x04\x95"), Error, "A Python pickle starts in", start),
        ("script in padding", with(&padded, end - 28, b"#!/bin/sh"), Error, "A script starts in padding", end - 28),
        ("padding not zero", with(&padded, end - 3, b"x"), Warning, "Padding of 28 bytes", end - 3),
    ] {
        let (_, notes) = findings(&one("x.gguf", bytes));
        assert_eq!(find(name, &notes, severity, words).at, Some(at as u64), "{name}");
    }
    // The same behind safetensors, whose crate refuses it.
    let mut file = writers::small_safetensors();
    let at = file.len();
    file.extend(&zip);
    let (_, notes) = findings(&one("x.safetensors", file));
    assert_eq!(find("safetensors", &notes, Error, "A zip archive starts").at, Some(at as u64));
    assert_eq!(check::refusals(&notes)[0].program.name(), "safetensors");
}

#[test]
fn large_tensors_of_zeros_are_told_as_a_download_that_has_not_come() {
    let mut file = llama();
    let rows = 600;
    file.tensors.push(Tensor {
        name: "output.weight".into(),
        dims: vec![32, rows],
        kind: 0,
        offset: None,
        data: vec![0; 32 * rows as usize * 4],
    });
    let (_, notes) = findings(&one("x.gguf", file.bytes()));
    find("zeros", &notes, Severity::Warning, "1 large tensors are nothing but zeros where they were read");
}

#[test]
fn graphs_that_onnx_runtime_refuses_are_told_why() {
    let graph = |nodes: &[Message]| {
        let mut graph = Message::new();
        for node in nodes {
            graph = graph.message(1, node);
        }
        graph
            .message(5, &onnx_tensor("w", 1, &[2], &[0; 8]))
            .message(11, &onnx_value("x", &["2"]))
            .message(12, &onnx_value("y", &["2"]))
    };
    let (add, relu) = (onnx_node("Add", &["x", "w"], &["s"]), onnx_node("Relu", &["s"], &["y"]));
    let good = onnx_model(&graph(&[add.clone(), relu.clone()])).0;
    assert!(alarms(&findings(&one("x.onnx", good.clone())).1).is_empty());
    for (name, bytes, words) in [
        (
            "order",
            onnx_model(&graph(&[relu.clone(), add.clone()])).0,
            "The node Relu reads \"s\", which nothing before it makes",
        ),
        (
            "twice",
            onnx_model(&graph(&[add.clone(), relu.clone(), relu.clone()])).0,
            "The node Relu writes \"y\", which exists already",
        ),
        ("output", onnx_model(&graph(&[add])).0, "The output \"y\" is made by no node"),
        ("version", [&[0x08, 14][..], &good[2..]].concat(), "IR version 14; ONNX Runtime knows up to 13"),
    ] {
        let (_, notes) = findings(&one("x.onnx", bytes));
        assert!(notes.iter().any(|n| n.what.contains(words)), "{name}: {notes:#?}");
        assert_eq!(check::refusals(&notes)[0].program.name(), "ONNX Runtime", "{name}");
    }
}

#[test]
fn a_checkpoint_with_foreign_imports_is_refused_by_pytorch_s_safe_loader() {
    let Some(corpus) = corpus() else { return };
    let name = "lightning-molkgnn-last.ckpt";
    let bytes = std::fs::read(corpus.join("pytorch").join(name)).expect("reads");
    let (_, notes) = findings(&one(name, bytes));
    let refusal = check::refusals(&notes);
    assert_eq!(
        (refusal[0].program.name(), refusal[0].because.as_str()),
        ("PyTorch", "1 of 4 imports go beyond what tensors need")
    );
}
