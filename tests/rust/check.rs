//! The doctor: a whole model gives no alarm; each damage gives its finding, with place, reason and advice; what is
//! missing of a cut file is told to the byte.

use crate::common::{containers, files, writers};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use files::{block_on, corpus, in_memory};
use glassbox::{
    check::{self, Evidence, Salvage},
    model::{ModelFile, Note, Place, Severity},
    report::{CheckReport, ModelReport},
    session::Inspection,
};
use writers::{Gguf, Message, Tensor, Value, onnx_model, onnx_node, onnx_tensor, onnx_value};

type Files = BTreeMap<String, Vec<u8>>;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/sample").join(name)
}

fn folder(path: &Path) -> Files {
    std::fs::read_dir(path)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).expect("reads")))
        .collect()
}

fn one(name: &str, bytes: Vec<u8>) -> Files {
    [(name.to_owned(), bytes)].into()
}

fn inspection(files: &Files) -> Inspection {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    block_on(Inspection::open(in_memory(&files))).expect("opens")
}

/// All findings, those that read bytes included; each says why it matters and what to do.
fn findings(files: &Files) -> (ModelFile, Vec<Note>) {
    let inspection = inspection(files);
    let tokens = block_on(async { Ok::<_, glassbox::fault::Fault>(inspection.tokens().await) }).expect("counts");
    let evidence = block_on(check::gather(inspection.files(), inspection.model(), tokens)).expect("gathers");
    let notes = check::all(inspection.model(), &evidence);
    for note in &notes {
        let told = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
        assert!(told(&note.why) && told(&note.advice), "a finding without reason or advice: {note:?}");
        if let (Some(file), Some(at)) = (note.file, note.at) {
            assert!(at <= inspection.model().files[file].bytes, "a place beyond its file: {note:?}");
        }
    }
    (inspection.model().clone(), notes)
}

fn alarms(notes: &[Note]) -> Vec<&Note> {
    notes.iter().filter(|n| n.severity > Severity::Info).collect()
}

fn find<'a>(name: &str, notes: &'a [Note], severity: Severity, words: &str) -> &'a Note {
    let found = notes.iter().find(|n| n.severity == severity && n.what.contains(words));
    found.unwrap_or_else(|| panic!("{name}: {severity:?} \"{words}\" expected, {notes:#?} found"))
}

/// A llama of two layers in F32: width 32, two heads, one key head, feed-forward 64, four tokens.
fn llama() -> Gguf {
    let mut file = Gguf::small();
    file.entries.clear();
    file.tensors.clear();
    file.set("general.architecture", Value::text("llama"));
    for (key, n) in [
        ("block_count", 2),
        ("context_length", 64),
        ("embedding_length", 32),
        ("feed_forward_length", 64),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
    ] {
        file.set(&format!("llama.{key}"), Value::u32(n));
    }
    let tokens: Vec<Vec<u8>> = ["<unk>", "<s>", "</s>", "a"].iter().map(writers::string).collect();
    file.set("tokenizer.ggml.model", Value::text("llama"));
    file.set("tokenizer.ggml.tokens", Value::array(8, &tokens));
    file.set("tokenizer.ggml.scores", Value::array(6, &vec![vec![0; 4]; 4]));
    file.set("tokenizer.ggml.token_type", Value::array(5, &vec![vec![1, 0, 0, 0]; 4]));
    file.set("tokenizer.ggml.bos_token_id", Value::u32(1));
    file.set("tokenizer.ggml.eos_token_id", Value::u32(2));
    let mut add = |name: &str, dims: &[u64]| {
        let count = dims.iter().product::<u64>() as usize;
        let data = (0..count).flat_map(|i| (i as f32 * 0.25 + 1.0).to_le_bytes()).collect();
        file.tensors.push(Tensor { name: name.into(), dims: dims.to_vec(), kind: 0, offset: None, data });
    };
    add("token_embd.weight", &[32, 4]);
    add("output_norm.weight", &[32]);
    for i in 0..2 {
        for (name, dims) in [
            ("attn_norm", &[32][..]),
            ("attn_q", &[32, 32]),
            ("attn_k", &[32, 16]),
            ("attn_v", &[32, 16]),
            ("attn_output", &[32, 32]),
            ("ffn_norm", &[32]),
            ("ffn_gate", &[32, 64]),
            ("ffn_up", &[32, 64]),
            ("ffn_down", &[64, 32]),
        ] {
            add(&format!("blk.{i}.{name}.weight"), dims);
        }
    }
    file
}

fn set(file: &mut Gguf, key: &str, value: Value) {
    file.entries.iter_mut().find(|(k, _)| k == key.as_bytes()).expect("the key is there").1 = value;
}

fn tensor<'a>(file: &'a mut Gguf, name: &str) -> &'a mut Tensor {
    file.tensors.iter_mut().find(|t| t.name == name).expect("the tensor is there")
}

#[test]
fn whole_models_raise_no_alarm() {
    let mut all: Vec<(String, Files)> = vec![
        ("hf".into(), folder(&sample("hf"))),
        ("onnx".into(), one("sample.onnx", std::fs::read(sample("sample.onnx")).expect("reads"))),
        ("pt".into(), one("sample.pt", std::fs::read(sample("sample.pt")).expect("reads"))),
        ("own".into(), one("x.gguf", llama().bytes())),
    ];
    for (name, bytes) in folder(&sample("gguf")) {
        all.push((name.clone(), one(&name, bytes)));
    }
    for (name, files) in all {
        let (model, notes) = findings(&files);
        assert!(alarms(&notes).is_empty(), "{name}: {notes:#?}");
        assert_eq!(check::salvage(&model), None, "{name}");
        assert_eq!(check::refusals(&notes), [], "{name}");
    }
}

#[test]
fn good_files_of_other_writers_raise_no_alarm_beyond_what_is_known_of_them() {
    let Some(corpus) = corpus() else { return };
    // What is true of these files: other layouts than llama.cpp's, early versions, imports of other packages.
    let known = [
        ("gguf/", "The metadata lacks"),
        ("gguf/", "of the data"),
        ("gguf/", "order of tensors"),
        ("gguf/", "general.architecture is missing"),
        ("gguf/ratchet-test", "is no tensor of the llama architecture"),
        ("gguf/v1", "GGUF version 1"),
        ("gguf/v1", "FUGG"),
        ("gguf/v3-test_writer", "value type 13"),
        ("quant/quant-zoo.gguf", "The metadata lacks zoo."),
        ("pytorch/lightning", "import"),
        ("pytorch/torchscript-silero", "linear.py"),
        ("tensorflow/frozen", "states no versions"),
        ("onnx/light_squeezenet_output", "states no versions"),
    ];
    let mut checked = 0;
    for place in
        ["gguf", "ggml", "llama", "vocab", "quant", "safetensors", "triple", "rwkv", "tensorflow", "pytorch", "onnx"]
    {
        for (name, bytes) in folder(&corpus.join(place)) {
            let full = format!("{place}/{name}");
            let files = one(&name, bytes);
            let list: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
            if block_on(Inspection::open(in_memory(&list))).is_err() {
                continue;
            }
            checked += 1;
            let (_, notes) = findings(&files);
            for note in alarms(&notes) {
                let expected = known.iter().any(|(file, words)| full.starts_with(file) && note.what.contains(words));
                assert!(expected, "{full}: {note:#?}");
            }
        }
    }
    for name in ["hf-llama2xs", "minilm"] {
        let (_, notes) = findings(&folder(&corpus.join(name)));
        assert!(alarms(&notes).is_empty(), "{name}: {notes:#?}");
    }
    assert!(checked > 60, "{checked}");
}

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
            "key heads",
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

/// The salvage of a prefix, held against the whole file.
fn salvage(name: &str, whole: &ModelFile, bytes: &[u8], end: usize) -> Option<Salvage> {
    let part = bytes.get(..end)?;
    let model = files::open_bytes(name, part).ok()?;
    // A cut in the padding behind the last tensor loses nothing.
    let last =
        whole.tensors.iter().filter_map(|t| if let Place::Here { at, .. } = &t.place { Some(at.end) } else { None });
    let needed = last.max().unwrap_or(bytes.len() as u64);
    let Some(found) = check::salvage(&model) else {
        // A file before GGUF that ends with its vocabulary is a whole one.
        let vocabulary = model.notes.iter().any(|n| n.what.contains("a vocabulary alone"));
        assert!(end as u64 >= needed || vocabulary, "{name} cut at {end}: nothing is said to be missing");
        return None;
    };
    let here = model
        .tensors
        .iter()
        .filter(|t| matches!(t.place, Place::Here { .. } | Place::Strided { .. } | Place::Inline))
        .count();
    assert_eq!(found.complete, here as u64, "{name} cut at {end}");
    assert_eq!(found.complete + found.partial + found.missing, model.tensors.len() as u64, "{name} cut at {end}");
    assert!(found.files.iter().all(|f| f.missing.windows(2).all(|w| w[0].end < w[1].start)), "merged");
    if model.cuts.is_empty() {
        // The header is whole: everything is known to the byte.
        let partial = whole
            .tensors
            .iter()
            .filter(|t| matches!(&t.place, Place::Here { at, .. } if at.start < end as u64 && at.end > end as u64));
        assert_eq!(found.partial, partial.count() as u64, "{name} cut at {end}");
        let [file] = found.files.as_slice() else { panic!("one file") };
        assert!(!file.more);
        assert_eq!(file.missing.last().map(|r| r.end), Some(needed), "{name} cut at {end}");
        let lost: u64 = file.missing.iter().map(|r| r.end - r.start).sum();
        let bytes_of = |t: &glassbox::model::TensorEntry| t.bytes.unwrap_or(0);
        let all: u64 = model.tensors.iter().map(bytes_of).sum();
        assert_eq!((found.bytes_all, found.bytes_here + lost), (all, all), "{name} cut at {end}");
    }
    Some(found)
}

#[test]
fn what_any_prefix_lacks_is_told_to_the_byte() {
    for (name, bytes) in [
        ("x.gguf", llama().bytes()),
        ("x.safetensors", writers::small_safetensors()),
        ("x.onnx", writers::small_onnx()),
        ("x.bin", containers::ggjt(3, 0, &[1; 128])),
    ] {
        let whole = files::open_bytes(name, &bytes).expect("opens");
        let mut told = 0;
        for end in 0..bytes.len() {
            told += usize::from(salvage(name, &whole, &bytes, end).is_some());
        }
        assert!(told * 2 > bytes.len(), "{name}: {told} of {} prefixes", bytes.len());
    }
}

#[test]
fn the_missing_ranges_of_a_cut_sample_are_exact() {
    let bytes = std::fs::read(sample("gguf/sample-q8_0.gguf")).expect("reads");
    let whole = files::open_bytes("x.gguf", &bytes).expect("opens");
    let found = salvage("x.gguf", &whole, &bytes, 600_000).expect("not whole");
    let Some(Place::Here { at, .. }) =
        whole.tensors.iter().map(|t| &t.place).max_by_key(|p| if let Place::Here { at, .. } = p { at.end } else { 0 })
    else {
        panic!("placed")
    };
    assert_eq!(found.files[0].missing, std::slice::from_ref(&(600_000..at.end)));
    assert_eq!((found.partial, found.unlisted), (1, Some(0)));
}

#[test]
fn a_file_cut_within_its_list_counts_what_is_not_listed_and_runs_nowhere() {
    let file = llama();
    let header = file.header();
    // Within the metadata, and within the list of tensors.
    for end in [200, header.len() - 70] {
        let files = one("x.gguf", file.bytes()[..end].to_vec());
        let inspection = inspection(&files);
        let found = check::salvage(inspection.model()).expect("not whole");
        let listed = inspection.model().tensors.len() as u64;
        assert_eq!((found.missing, found.unlisted), (listed, Some(file.tensors.len() as u64 - listed)), "cut at {end}");
        assert!(found.files[0].more, "nothing says how far the file goes");
        let report = block_on(async {
            Ok::<_, glassbox::fault::Fault>(serde_json::to_value(ModelReport::of(&inspection).await))
        });
        let report = report.expect("reports").expect("JSON");
        let runners = report["runners"].as_array().expect("a list");
        let verdict = runners.iter().find(|r| r["name"] == "llama.cpp").expect("named");
        assert_eq!(verdict["verdict"], "no", "cut at {end}: {verdict}");
        assert!(report["salvage"]["unlisted"].as_u64() > Some(0));
    }
}

#[test]
fn lists_of_missing_shards_name_the_files_and_what_is_known_of_them() {
    let mut files = folder(&sample("hf"));
    files.remove("model-00002-of-00002.safetensors");
    let inspection = inspection(&files);
    let found = check::salvage(inspection.model()).expect("not whole");
    let [file] = found.files.as_slice() else { panic!("{found:?}") };
    assert_eq!((file.name.as_str(), file.bytes, file.more), ("model-00002-of-00002.safetensors", None, true));
    assert!(found.complete > 0 && found.missing > 0 && found.partial == 0);
}

#[test]
fn the_report_counts_what_it_lists_and_says_what_was_read() {
    let inspection = inspection(&folder(&sample("hf")));
    let report = block_on(CheckReport::of(&inspection)).expect("reports");
    assert_eq!((report.errors, report.warnings, report.salvage.is_none()), (0, 0, true));
    // ... and the tokenizer, which is looked at apart.
    assert_eq!(report.checks.len(), check::CHECKS.len() + 1);
    assert!(report.looked_at.iter().any(|l| l.contains("tokenizer_config.json")), "{:?}", report.looked_at);
    assert!(report.bytes_read > inspection.model().files.len() as u64);
    // Without further reads the same checks find no less about the headers.
    let (_, notes) = findings(&folder(&sample("hf")));
    assert_eq!(check::all(inspection.model(), &Evidence::default()), notes);
}

#[test]
fn files_with_damage_anywhere_never_make_the_doctor_stumble() {
    let mut state = 1u64;
    let mut next = |n: u64| {
        // Numerical Recipes' linear congruence; its high bits are even enough here.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut opened = 0;
    for (name, bytes) in [
        ("x.gguf", llama().bytes()),
        ("x.safetensors", writers::small_safetensors()),
        ("x.onnx", writers::small_onnx()),
        ("x.bin", containers::ggjt(3, 0, &[1; 128])),
        ("x.pt", containers::torch_zip()),
    ] {
        for _ in 0..300 {
            let mut harmed = bytes.clone();
            for _ in 0..1 + next(4) {
                // Mostly in the header, where numbers and names are.
                let most = if next(3) == 0 { u64::MAX } else { 700 };
                let at = next(most.min(harmed.len() as u64)) as usize;
                harmed[at] = if next(2) == 0 { next(256) as u8 } else { 0xff };
            }
            if next(4) == 0 {
                let end = next(harmed.len() as u64) as usize;
                harmed.truncate(end);
            }
            let files = in_memory(&[(name, &harmed)]);
            let Ok(inspection) = block_on(Inspection::open(files)) else { continue };
            opened += 1;
            check::salvage(inspection.model());
            block_on(CheckReport::without_tokenizer(&inspection)).expect("reads what is there");
        }
    }
    assert!(opened > 500, "{opened} opened");
}

#[test]
fn a_file_for_each_of_many_tensors_is_told_in_reasonable_time() {
    let mut graph = Message::new();
    let count = 40_000;
    for i in 0..count {
        let entry = |key: &str, value: &str| Message::new().bytes(1, key).bytes(2, value);
        let name = format!("w{i}");
        let tensor = onnx_tensor(&name, 1, &[2], &[]);
        let tensor = tensor.message(13, &entry("location", &format!("part{i}.bin"))).int(14, 1);
        graph = graph.message(5, &tensor);
    }
    let bytes = onnx_model(&graph.message(11, &onnx_value("x", &["2"])).message(12, &onnx_value("x", &["2"]))).0;
    let model = files::open_bytes("x.onnx", &bytes).expect("opens");
    let found = check::salvage(&model).expect("not whole");
    assert_eq!((found.files.len(), found.missing), (count, count as u64));
}
