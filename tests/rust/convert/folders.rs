//! Folders brought to GGUF, held against what llama.cpp's converter made of the same folders.

use std::{collections::BTreeSet, path::Path};

use glassbox::{
    convert::to_gguf::{Options, Plan, Type, write},
    fault::Result,
    formats::ArrayItems,
    model::{MetaValue, ModelFile, Place},
    session::Inspection,
    source::SourceSet,
};
use serde_json::json;

use crate::common::{files, writers};

/// Where ours and the converter's file of a folder of the corpus differ: keys, tensors, or "all" with the refusal; and why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("gemma3n", "all", "the embedding is padded and AltUp's maps are stacked: not yet"),
    (
        "mamba",
        "blk.*.ssm_a: values, by one unit in the last place",
        "an exponential: PyTorch's is not always the nearest number",
    ),
    ("mamba2", "blk.*.ssm_a: values, by one unit in the last place", "the same"),
];

/// A folder as GGUF bytes.
pub(super) fn converted(set: &SourceSet, options: &Options) -> Result<Vec<u8>> {
    let model = files::open(set)?;
    let plan = files::block_on(Plan::of(set, &model, options))?;
    let all: Vec<usize> = (0..plan.steps.len()).collect();
    let mut out = Vec::new();
    let written = files::block_on(write(&plan, &plan.header, &all, set, &model, &mut out, &mut |_, _| {}))?;
    assert_eq!(written, out.len() as u64);
    Ok(out)
}

/// The files of a folder.
pub(super) fn folder(path: &Path) -> SourceSet {
    let entries = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path());
    let mut names: Vec<String> =
        entries.filter(|p| p.is_file()).map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    files::on_disk(path, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(super) fn options() -> Options {
    Options { folder: Some("hf".into()), ..Options::default() }
}

/// The bytes of a tensor.
fn bytes<'a>(model: &ModelFile, file: &'a [u8], name: &str) -> &'a [u8] {
    match &model.tensor(name).unwrap().place {
        Place::Here { at, .. } => &file[at.start as usize..at.end as usize],
        other => panic!("{name}: {other:?}"),
    }
}

/// What differs between two GGUF files, beside the tokenizer.
fn differences(ours: &[u8], theirs: &[u8]) -> BTreeSet<String> {
    let (a, b) = (files::open_bytes("a.gguf", ours).unwrap(), files::open_bytes("b.gguf", theirs).unwrap());
    let mut found = BTreeSet::new();
    // The corpus has no tokenizers: the converter was given one, and ours says how many ids there are instead.
    let own = |key: &str| key.starts_with("tokenizer.") || key.ends_with(".vocab_size");
    let keys =
        |m: &ModelFile| -> Vec<String> { m.metadata.iter().map(|(k, _)| k.to_owned()).filter(|k| !own(k)).collect() };
    for key in keys(&a).iter().chain(&keys(&b)) {
        if a.metadata.get(key) != b.metadata.get(key) {
            found.insert(key.clone());
        }
    }
    if found.is_empty() && keys(&a) != keys(&b) {
        found.insert(format!("order of keys: {:?} and {:?}", keys(&a), keys(&b)));
    }
    let names = |m: &ModelFile| m.tensors.iter().map(|t| t.name.clone()).collect::<Vec<_>>();
    let (mut ours_sorted, mut theirs_sorted) = (names(&a), names(&b));
    ours_sorted.sort();
    theirs_sorted.sort();
    for name in ours_sorted.iter().filter(|n| !theirs_sorted.contains(n)) {
        found.insert(format!("{name}: ours alone"));
    }
    for name in theirs_sorted.iter().filter(|n| !ours_sorted.contains(n)) {
        found.insert(format!("{name}: theirs alone"));
    }
    if ours_sorted == theirs_sorted && names(&a) != names(&b) {
        found.insert("order of tensors".into());
    }
    for name in ours_sorted.iter().filter(|n| theirs_sorted.contains(n)) {
        let (x, y) = (a.tensor(name).unwrap(), b.tensor(name).unwrap());
        if (&x.shape, x.encoding) != (&y.shape, y.encoding) {
            found.insert(format!("{name}: {} {} and {} {}", x.shape, x.encoding, y.shape, y.encoding));
        } else if let Some(how) = far(bytes(&a, ours, name), bytes(&b, theirs, name), x.encoding.to_string() == "F32") {
            found.insert(format!("{}: {how}", alike(name)));
        }
    }
    found
}

/// How far values lie apart.
fn far(ours: &[u8], theirs: &[u8], single: bool) -> Option<&'static str> {
    if ours == theirs {
        return None;
    }
    let bits = |bytes: &[u8]| i64::from(i32::from_le_bytes(bytes.try_into().unwrap()));
    let near = single && ours.chunks(4).zip(theirs.chunks(4)).all(|(a, b)| (bits(a) - bits(b)).abs() <= 1);
    Some(if near { "values, by one unit in the last place" } else { "values" })
}

/// "blk.*.attn_q.weight" of any layer.
fn alike(name: &str) -> String {
    match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((_, rest)) => format!("blk.*.{rest}"),
        None => name.to_owned(),
    }
}

#[test]
fn folders_of_every_architecture_become_the_files_of_llama_cpps_converter() {
    let Some(corpus) = files::corpus() else { return };
    let mut folders: Vec<_> = std::fs::read_dir(corpus.join("arch")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.retain(|p| p.join("model.gguf").is_file());
    folders.sort();
    assert!(folders.len() > 50);
    let (mut told, mut same) = (Vec::new(), 0);
    for path in folders {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let found = match converted(&folder(&path.join("hf")), &options()) {
            Ok(ours) => differences(&ours, &std::fs::read(path.join("model.gguf")).unwrap()),
            Err(fault) => {
                eprintln!("{name}: {fault}");
                BTreeSet::from(["all".to_owned()])
            }
        };
        let expected: BTreeSet<String> =
            DIFFERENCES.iter().filter(|(n, ..)| *n == name).map(|(_, what, _)| (*what).to_owned()).collect();
        same += usize::from(found.is_empty());
        if found != expected {
            told.push(format!("{name}: {found:#?}, expected {expected:?}"));
        }
    }
    eprintln!("{same} folders become the very same keys and tensors");
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn a_sharded_folder_becomes_the_tensors_of_its_file() {
    let Some(corpus) = files::corpus() else { return };
    let ours = converted(&folder(&corpus.join("hf-llama2xs")), &Options { kind: Type::Auto, ..options() }).unwrap();
    let theirs = std::fs::read(corpus.join("llama/llama2xs-f16.gguf")).unwrap();
    let (a, b) = (files::open_bytes("a.gguf", &ours).unwrap(), files::open_bytes("b.gguf", &theirs).unwrap());
    for tensor in &b.tensors {
        let own = a.tensor(&tensor.name).unwrap_or_else(|| panic!("{} is missing", tensor.name));
        assert_eq!((&own.shape, own.encoding), (&tensor.shape, tensor.encoding), "{}", tensor.name);
        // The file's norms were never rounded to halves as the folder's were.
        let norm = tensor.shape.0.len() == 1;
        assert!(norm || bytes(&a, &ours, &tensor.name) == bytes(&b, &theirs, &tensor.name), "{}", tensor.name);
    }
    assert_eq!(a.tensors.len(), b.tensors.len());
    for key in [
        "tokenizer.ggml.model",
        "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.add_bos_token",
    ] {
        assert_eq!(a.metadata.get(key), b.metadata.get(key), "{key}");
    }
    let set = |bytes: &[u8]| files::in_memory(&[("m.gguf", bytes)]);
    assert_eq!(strings(&set(&ours), "tokenizer.ggml.tokens"), strings(&set(&theirs), "tokenizer.ggml.tokens"));
}

fn array(set: &SourceSet, key: &str) -> ArrayItems {
    let inspection = files::block_on(Inspection::open(set.clone())).unwrap();
    files::block_on(inspection.array(key, 0..u64::MAX)).unwrap_or_else(|fault| panic!("{key}: {fault}"))
}

fn strings(set: &SourceSet, key: &str) -> Vec<Vec<u8>> {
    match array(set, key) {
        ArrayItems::Strings(all) => all,
        _ => panic!("{key} holds no texts"),
    }
}

/// A llama or another model of one narrow layer, with a vocabulary of so many tokens.
fn tiny(kind: &str, vocabulary: usize) -> (Vec<u8>, Vec<u8>) {
    let config = json!({
        "architectures": ["X"], "model_type": kind, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 1, "num_key_value_heads": 1, "max_position_embeddings": 16, "vocab_size": vocabulary,
        "rms_norm_eps": 1e-5, "layer_norm_eps": 1e-12, "type_vocab_size": 2, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "hidden_act": "gelu", "n_positions": 16
    });
    let square = vec![8, 8];
    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    if kind == "bert" {
        for (name, rows) in [("word_embeddings", vocabulary), ("position_embeddings", 16), ("token_type_embeddings", 2)]
        {
            tensors.push((format!("embeddings.{name}.weight"), vec![rows, 8]));
        }
        for name in [
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        ] {
            tensors.push((format!("encoder.layer.0.{name}.weight"), square.clone()));
            tensors.push((format!("encoder.layer.0.{name}.bias"), vec![8]));
        }
        for name in
            ["embeddings.LayerNorm", "encoder.layer.0.attention.output.LayerNorm", "encoder.layer.0.output.LayerNorm"]
        {
            tensors.push((format!("{name}.weight"), vec![8]));
            tensors.push((format!("{name}.bias"), vec![8]));
        }
    } else {
        tensors.push(("model.embed_tokens.weight".into(), vec![vocabulary, 8]));
        for name in [
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.o_proj",
            "mlp.gate_proj",
            "mlp.up_proj",
            "mlp.down_proj",
        ] {
            tensors.push((format!("model.layers.0.{name}.weight"), square.clone()));
        }
        for name in ["model.norm", "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"] {
            tensors.push((format!("{name}.weight"), vec![8]));
        }
    }
    let (mut header, mut at) = (serde_json::Map::new(), 0);
    for (name, shape) in tensors {
        let end = at + shape.iter().product::<usize>() * 2;
        header.insert(name, json!({ "dtype": "BF16", "shape": shape, "data_offsets": [at, end] }));
        at = end;
    }
    let header = serde_json::Value::Object(header).to_string();
    let width = header.len().next_multiple_of(8);
    (config.to_string().into_bytes(), writers::safetensors(&format!("{header:<width$}"), &vec![0; at]))
}

/// A tiny model with these tokenizer files, converted.
fn with_tokenizer(kind: &str, vocabulary: usize, tokenizer: &[(&str, Vec<u8>)]) -> SourceSet {
    let (config, weights) = tiny(kind, vocabulary);
    let mut all: Vec<(&str, &[u8])> = vec![("config.json", &config), ("model.safetensors", &weights)];
    all.extend(tokenizer.iter().map(|(name, bytes)| (*name, bytes.as_slice())));
    let bytes = converted(&files::in_memory(&all), &options()).unwrap_or_else(|fault| panic!("{fault}"));
    files::in_memory(&[("model.gguf", &bytes)])
}

/// Checks that keys of two files say the same, arrays item by item.
fn assert_same(ours: &SourceSet, theirs: &SourceSet, keys: &[&str]) {
    let (a, b) = (files::open(ours).unwrap(), files::open(theirs).unwrap());
    for key in keys {
        match (a.metadata.get(key), b.metadata.get(key)) {
            (Some(MetaValue::Array(x)), Some(MetaValue::Array(y))) => {
                assert_eq!((x.item, x.len), (y.item, y.len), "{key}");
                assert!(array(ours, key) == array(theirs, key), "{key}");
            }
            (x, y) => assert_eq!(x, y, "{key}"),
        }
    }
}

#[test]
fn tokenizers_are_written_as_llama_cpps_converter_wrote_them() {
    let Some(corpus) = files::corpus() else { return };
    let read = |name: &str| std::fs::read(corpus.join("tokenizers").join(name)).unwrap();
    let reference = |name: &str| files::on_disk(&corpus.join("vocab"), &[name]);
    let lists = [("vocab.json", read("gpt2.vocab.json")), ("merges.txt", read("gpt2.merges.txt"))];
    let gpt2 = with_tokenizer("qwen2", 50_257, &lists);
    let keys = ["tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.merges"];
    assert_same(&gpt2, &reference("ggml-vocab-gpt-2.gguf"), &keys);
    let settings =
        br#"{"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","add_bos_token":true,"add_eos_token":false}"#;
    let llama = [("tokenizer.model", read("llama.tokenizer.model")), ("tokenizer_config.json", settings.to_vec())];
    let llama = with_tokenizer("llama", 32_000, &llama);
    let keys = [
        "tokenizer.ggml.model",
        "tokenizer.ggml.pre",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.scores",
        "tokenizer.ggml.token_type",
        "tokenizer.ggml.add_bos_token",
        "tokenizer.ggml.add_eos_token",
        "llama.vocab_size",
    ];
    assert_same(&llama, &reference("ggml-vocab-llama-spm.gguf"), &keys);
    // The words of a BERT, from the list that its file holds.
    let bge = reference("ggml-vocab-bert-bge.gguf");
    let words = strings(&bge, "tokenizer.ggml.tokens").into_iter().map(|w| String::from_utf8(w).unwrap());
    let plain = |word: String| match word.strip_prefix('▁') {
        Some(start) => start.to_owned(),
        None if word.starts_with('[') && word.ends_with(']') => word,
        None => format!("##{word}"),
    };
    let list: Vec<String> = words.map(plain).collect();
    let bert = with_tokenizer("bert", 30_522, &[("vocab.txt", list.join("\n").into_bytes())]);
    assert_same(&bert, &bge, &["tokenizer.ggml.model", "tokenizer.ggml.token_type_count"]);
    // The converter of that time took everything in brackets for special.
    let (ours, theirs) = (strings(&bert, "tokenizer.ggml.tokens"), strings(&bge, "tokenizer.ggml.tokens"));
    for (a, b) in ours.iter().zip(&theirs) {
        let bracketed = b.starts_with(b"[") && b.ends_with(b"]");
        assert!(a == b || bracketed && a.strip_prefix("▁".as_bytes()) == Some(b), "{}", String::from_utf8_lossy(b));
    }
}

#[test]
fn a_converted_file_gives_texts_the_ids_of_its_folders_tokenizer() {
    let Some(corpus) = files::corpus() else { return };
    let read = |name: &str| std::fs::read(corpus.join("tokenizers").join(name)).unwrap();
    for (name, kind, count, model, pre) in [
        ("roberta-base.tokenizer.json", "qwen2", 50_265, "gpt2", "gpt-2"),
        ("phi-3-mini.tokenizer.json", "llama", 32_064, "llama", "default"),
        ("t5-small.tokenizer.json", "qwen2", 32_128, "t5", "default"),
    ] {
        let json = read(name);
        let set = with_tokenizer(kind, count, &[("tokenizer.json", json.clone())]);
        let found = files::open(&set).unwrap();
        let says = |key: &str| found.metadata.string(key).unwrap_or_default().to_owned();
        assert_eq!(
            (says("tokenizer.ggml.model").as_str(), says("tokenizer.ggml.pre").as_str()),
            (model, pre),
            "{name}"
        );
        if model == "llama" {
            // Without scores llama.cpp's merges are none: such a folder has a tokenizer.model beside.
            continue;
        }
        let ours = files::block_on(glassbox::session::open_vocabulary(set)).unwrap();
        let own = glassbox::tokenizer::Vocabulary::from_json(&json).unwrap();
        for text in ["Hello world", "12345 cats", "naïve café", "x = y + 1;"] {
            let ids = |v: &glassbox::tokenizer::Vocabulary| v.encode(text, Default::default()).unwrap();
            assert_eq!(ids(&ours), ids(&own), "{name}: {text}");
        }
    }
}

#[test]
fn q8_0_and_single_precision_hold_the_same_matrices() {
    let Some(corpus) = files::corpus() else { return };
    let set = folder(&corpus.join("arch/llama/hf"));
    let single = converted(&set, &Options { kind: Type::F32, ..options() }).unwrap();
    let eight = converted(&set, &Options { kind: Type::Q8_0, ..options() }).unwrap();
    let (a, b) = (files::open_bytes("a.gguf", &single).unwrap(), files::open_bytes("b.gguf", &eight).unwrap());
    for (x, y) in a.tensors.iter().zip(&b.tensors) {
        assert_eq!(x.name, y.name);
        let norm = x.shape.0.len() == 1;
        assert_eq!(y.encoding.to_string(), if norm { "F32" } else { "Q8_0" }, "{}", y.name);
        let decoded = |model: &ModelFile, file: &[u8], name: &str| {
            let entry = model.tensor(name).unwrap();
            let mut values = vec![0f32; entry.shape.elements().unwrap() as usize];
            entry.encoding.spec().unwrap().decode.unwrap()(bytes(model, file, name), &mut values);
            values
        };
        let (x, y) = (decoded(&a, &single, &x.name), decoded(&b, &eight, &y.name));
        let largest = x.iter().fold(0f32, |m, v| m.max(v.abs()));
        // A level is at most the largest value of a block over 127.
        assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() <= largest / 127.0), "values moved further than a level");
    }
}

#[test]
fn what_cannot_be_converted_is_refused_by_name() {
    let (config, weights) = tiny("llama", 32);
    let refused = |config: &[u8], weights: &[u8]| {
        converted(&files::in_memory(&[("config.json", config), ("model.safetensors", weights)]), &options())
            .unwrap_err()
            .to_string()
    };
    let text = String::from_utf8(config.clone()).unwrap();
    let other = refused(text.replace("\"llama\"", "\"no_such_model\"").as_bytes(), &weights);
    assert!(other.contains("no_such_model") && other.contains("qwen2"), "{other}");
    let narrow = refused(text.replace("\"vocab_size\":32", "\"vocab_size\":33").as_bytes(), &weights);
    assert!(narrow.contains("token_embd.weight"), "{narrow}");
    let gguf = files::in_memory(&[("model.gguf", &writers::Gguf::small().bytes())]);
    assert!(converted(&gguf, &options()).unwrap_err().to_string().contains("a folder"));
    let alone = files::in_memory(&[("model.safetensors", &weights)]);
    assert!(converted(&alone, &options()).unwrap_err().to_string().contains("config.json"));
    let strange =
        String::from_utf8(weights.clone()).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    let strange = refused(&config, strange.replace("self_attn.o_proj", "self_attn.x_proj").as_bytes());
    assert!(strange.contains("x_proj"), "{strange}");
}
