//! Spellings of config.json: older ones, nested ones, windows and numbers by layer.

use super::*;

/// The folder of a model with another config.json.
fn configured(home: &Path, edit: impl Fn(&mut serde_json::Map<String, serde_json::Value>)) -> ModelFile {
    let read = |name: &str| std::fs::read(home.join("hf").join(name)).expect("reads");
    let mut config: serde_json::Value = serde_json::from_slice(&read("config.json")).expect("JSON");
    edit(config.as_object_mut().expect("an object"));
    let config = serde_json::to_vec(&config).expect("writes");
    let files = [("model.safetensors", read("model.safetensors")), ("config.json", config)];
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
    open(&files::in_memory(&files)).expect("opens")
}

type Config = serde_json::Map<String, serde_json::Value>;

fn put(config: &mut Config, entries: &serde_json::Value) {
    for (key, value) in entries.as_object().expect("an object") {
        config.insert(key.clone(), value.clone());
    }
}

/// Renames keys.
fn rename(config: &mut Config, names: &[(&str, &str)]) {
    for (from, to) in names {
        let value = config.remove(*from).unwrap_or_else(|| panic!("{from} is there"));
        config.insert((*to).to_owned(), value);
    }
}

/// `rope_parameters` as configurations had it before 2025.
fn older_rope(config: &mut Config) {
    let mut rope = config.remove("rope_parameters").expect("it is there");
    let rope = rope.as_object_mut().expect("an object");
    let theta = rope.remove("rope_theta").expect("it is there");
    rename(rope, &[("rope_type", "type")]);
    config.insert("rope_theta".into(), theta);
    config.insert("rope_scaling".into(), rope.clone().into());
}

#[test]
fn older_spellings_of_a_configuration_give_the_same_numbers() {
    let Some(corpus) = arch_corpus() else { return };
    use serde_json::json;
    type Edit = fn(&mut Config);
    let cases: &[(&str, Edit)] = &[
        ("llama-linear-rope", older_rope),
        ("llama-llama3-rope", older_rope),
        ("llama-yarn-rope", older_rope),
        ("phi3-longrope", |c| {
            older_rope(c);
            put(c["rope_scaling"].as_object_mut().unwrap(), &json!({"type": "su"}));
        }),
        ("gptneox", |c| {
            c.remove("rope_parameters");
            put(c, &json!({"rotary_pct": 0.25, "rotary_emb_base": 10000}));
        }),
        ("gptneox", |c| {
            c.remove("rope_parameters");
            c.remove("num_key_value_heads");
        }),
        ("gemma3", |c| {
            c.remove("rope_parameters");
            c.remove("layer_types");
            rename(c, &[("_sliding_window_pattern", "sliding_window_pattern")]);
            put(c, &json!({"rope_theta": 1e6, "rope_local_base_freq": 10000.0}));
        }),
        ("gpt2", |c| {
            c.remove("n_inner");
            rename(c, &[("n_embd", "hidden_size"), ("n_layer", "num_hidden_layers"), ("n_positions", "n_ctx")]);
        }),
        ("qwen2", |c| put(c, &json!({"sliding_window": 8, "use_sliding_window": false}))),
        ("llama", |c| {
            c.remove("num_key_value_heads");
            c.insert("num_key_value_heads".into(), json!(2));
            c.insert("head_dim".into(), json!(null));
        }),
    ];
    for (name, edit) in cases {
        let home = corpus.join(name);
        let want = arch::build(&folder(&home.join("hf")).model).expect("builds");
        let got = arch::build(&configured(&home, edit)).unwrap_or_else(|f| panic!("{name}: {f}"));
        assert_eq!(got.hparams, want.hparams, "{name}");
        assert_eq!(got.graph.nodes.len(), want.graph.nodes.len(), "{name}");
    }
}

#[test]
fn a_head_is_the_embedding_only_where_the_model_says_so_or_is_silent() {
    let Some(corpus) = arch_corpus() else { return };
    let build = |name: &str, tied: serde_json::Value| {
        arch::build(&configured(&corpus.join(name), |c| put(c, &serde_json::json!({"tie_word_embeddings": tied}))))
    };
    use serde_json::{Value::Null, json};
    // One matrix less: transformers reads the embedding, though a head is stored.
    let (own, tied) = (build("llama", json!(false)).unwrap(), build("llama", json!(true)).unwrap());
    assert_eq!(own.graph.weights.len(), tied.graph.weights.len() + 1);
    assert_eq!(tied.notes, ["tensor lm_head.weight is not read by the forward pass"]);
    assert_eq!(build("llama", Null).unwrap().graph, own.graph);
    let missing = build("qwen3", json!(false)).map(|_| ()).expect_err("no head is stored");
    assert_eq!(missing.what, "tensor lm_head.weight is missing");
    assert_eq!(build("qwen3", Null).unwrap().graph, build("qwen3", json!(true)).unwrap().graph);
}

#[test]
fn a_text_model_within_a_larger_configuration_and_one_named_by_its_class_are_found() {
    let Some(corpus) = arch_corpus() else { return };
    let home = corpus.join("gemma3");
    let nested = configured(&home, |c| {
        let text = std::mem::take(c);
        put(c, &serde_json::json!({"model_type": "gemma3", "text_config": text, "hidden_size": 7}));
    });
    let built = arch::build(&nested).expect("builds");
    assert_eq!((built.hparams.hidden_size, built.hparams.architecture.as_str()), (64, "gemma3"));
    assert!(glassbox::check::at_hand(&nested).iter().all(|n| n.severity < Severity::Warning));
    let home = corpus.join("gptneox");
    let unnamed = configured(&home, |c| {
        c.remove("model_type");
        put(c, &serde_json::json!({"architectures": ["GPTNeoXForCausalLM"]}));
    });
    assert_eq!(arch::of(&unnamed).expect("is known").0.name, "gptneox");
    arch::build(&unnamed).expect("builds");
}

#[test]
fn windows_are_where_a_configuration_puts_them() {
    let Some(corpus) = arch_corpus() else { return };
    let windows = |name: &str, entries: serde_json::Value| -> Vec<Option<u32>> {
        let model = configured(&corpus.join(name), |c| {
            c.remove("layer_types");
            c.remove("_sliding_window_pattern");
            put(c, &entries);
        });
        let h = arch::build(&model).expect("builds").hparams;
        (0..h.layers).map(|l| h.window.at(l)).collect()
    };
    use serde_json::json;
    let all = Some(8);
    let qwen = json!({"sliding_window": 8, "use_sliding_window": true, "max_window_layers": 1});
    assert_eq!(windows("qwen2", qwen), [None, all, all]);
    assert_eq!(windows("mistral-window", json!({})), [all; 3]);
    assert_eq!(windows("mistral-window", json!({"sliding_window": 256})), [None; 3]);
    assert_eq!(windows("phi3", json!({"sliding_window": 8})), [all; 3]);
    assert_eq!(windows("gemma3", json!({})), [all, all, all, all, all, None, all]);
    assert_eq!(windows("gemma3", json!({"sliding_window_pattern": 2})), [all, None, all, None, all, None, all]);
}

#[test]
fn numbers_by_layer_are_read_from_arrays_also_of_many_layers() {
    let mut file = llama();
    let layers = 100u32;
    set(&mut file, "block_count", Value::u32(layers));
    let each: Vec<Vec<u8>> = (0..layers).map(|l| (1 + l % 2).to_le_bytes().to_vec()).collect();
    set(&mut file, "attention.head_count_kv", Value::array(4, &each));
    let first: Vec<Tensor> = file.tensors.iter().filter(|t| t.name.starts_with("blk.0.")).cloned().collect();
    for l in 1..layers {
        for tensor in &first {
            let mut tensor = tensor.clone();
            tensor.name = tensor.name.replace("blk.0.", &format!("blk.{l}."));
            if l % 2 == 1 && (tensor.name.contains("attn_k") || tensor.name.contains("attn_v")) {
                tensor.dims[1] *= 2;
                tensor.data = vec![0; tensor.data.len() * 2];
            }
            file.tensors.push(tensor);
        }
    }
    let model = files::open_bytes("x.gguf", &file.bytes()).expect("opens");
    let built = arch::build(&model).expect("builds");
    assert_eq!((built.hparams.kv_heads.at(98), built.hparams.kv_heads.at(99)), (1, 2));
    assert_eq!(built.graph.states.last().map(|s| s.width), Some(32));
    let notes = glassbox::check::at_hand(&model);
    assert!(notes.iter().all(|n| !n.what.contains("has shape")), "{notes:#?}");
}
