//! Folders: what each part is to the model, and whether it is there and agrees with the rest.

use crate::common::{files, writers};
use files::{assert_well_formed, block_on, corpus, in_memory, on_disk, open_bytes};
use glassbox::{
    report::{HierarchyReport, ModelReport},
    session::Inspection,
    source::SourceSet,
};
use writers::{Gguf, Value, safetensors};

/// The parts that a report tells of these files, and its first sentence.
fn parts(files: SourceSet) -> (Vec<HierarchyReport>, String) {
    block_on(async {
        let inspection = Inspection::open(files).await.expect("the files open");
        assert_well_formed(inspection.model());
        let report = ModelReport::of(&inspection).await;
        (report.place.hierarchy, report.summary)
    })
}

/// Asserts that a part is told with this state and these words.
fn told(parts: &[HierarchyReport], group: &str, role: &str, state: &str, words: &str) {
    let found = parts.iter().any(|p| {
        p.group == group && p.role == role && p.state == state && p.detail.contains(words)
            // What is present or contradicted is in a file; what is missing is in none.
            && (state == "missing") == p.file.is_none()
    });
    assert!(found, "{group}, {role}, {state}, {words:?} expected: {parts:#?}");
}

/// A safetensors file of zeros: names with shapes, F32.
fn weights(tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let (mut entries, mut at) = (Vec::new(), 0);
    for (name, shape) in tensors {
        let end = at + 4 * shape.iter().product::<u64>();
        entries.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{at},{end}]}}"#));
        at = end;
    }
    safetensors(&format!("{{{}}}", entries.join(",")), &vec![0; at as usize])
}

const LLAMA: &[(&str, &[u64])] =
    &[("model.embed_tokens.weight", &[8, 4]), ("model.layers.0.a.weight", &[4]), ("model.layers.1.a.weight", &[4])];
const CONFIG: &[u8] =
    br#"{"architectures":["LlamaForCausalLM"],"num_hidden_layers":2,"vocab_size":8,"hidden_size":4,"eos_token_id":2}"#;

#[test]
fn a_whole_folder_names_each_part_as_present() {
    let model = weights(LLAMA);
    let (parts, _) = parts(in_memory(&[
        ("m/model.safetensors", &model),
        ("m/config.json", CONFIG),
        ("m/generation_config.json", br#"{"eos_token_id":[2,7]}"#),
        ("m/tokenizer.json", b"{}"),
        ("m/tokenizer_config.json", br#"{"tokenizer_class":"LlamaTokenizer","chat_template":"{{ messages }}"}"#),
        ("m/chat_template.jinja", b"{{ messages }}"),
        ("m/additional_chat_templates/tools.jinja", b"{{ tools }}"),
        ("m/preprocessor_config.json", br#"{"image_processor_type":"CLIPImageProcessor"}"#),
    ]));
    told(&parts, "weights", "Weights", "present", "3 tensors");
    told(&parts, "configuration", "config.json", "present", "LlamaForCausalLM");
    told(&parts, "configuration", "generation_config.json", "present", "");
    told(&parts, "tokenizer", "tokenizer.json", "present", "");
    told(&parts, "tokenizer", "tokenizer_config.json", "present", "LlamaTokenizer");
    told(&parts, "chat template", "chat_template.jinja", "present", "wins over the template in tokenizer_config.json");
    told(&parts, "chat template", "tools.jinja", "present", "chosen by name");
    told(&parts, "preprocessing", "preprocessor_config.json", "present", "CLIPImageProcessor");
    assert!(parts.iter().all(|p| p.state == "present"), "{parts:#?}");
}

#[test]
fn what_a_folder_lacks_is_named_as_missing() {
    let model = weights(LLAMA);
    let bare = parts(in_memory(&[("m/model.safetensors", &model)])).0;
    told(&bare, "configuration", "config.json", "missing", "no architecture");
    let config = br#"{"architectures":["LlavaForConditionalGeneration"],"vision_config":{"image_size":336}}"#;
    let folder = parts(in_memory(&[("m/model.safetensors", &model), ("m/config.json", config)])).0;
    told(&folder, "preprocessing", "preprocessor_config.json", "missing", "nothing says how they are prepared");
    let lists = parts(in_memory(&[("model.safetensors", &model), ("config.json", CONFIG), ("vocab.json", b"{}")])).0;
    told(&lists, "tokenizer", "merges.txt", "missing", "without its merges");
    let index =
        br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let one = weights(&[("a", &[2])]);
    let shards = [("model-00001-of-00002.safetensors", one.as_slice()), ("model.safetensors.index.json", &index[..])];
    told(&parts(in_memory(&shards)).0, "weights", "Shard", "missing", "model-00002-of-00002.safetensors: 1 tensors");
}

#[test]
fn a_configuration_that_the_weights_contradict_is_named_with_both_numbers() {
    let model = weights(LLAMA);
    for (config, words) in [
        (r#"{"num_hidden_layers":3}"#, "it states 3 layers, the weights have 2"),
        (r#"{"vocab_size":9}"#, "a vocabulary of 9, model.embed_tokens.weight has 8 rows"),
        (r#"{"hidden_size":5}"#, "a width of 5, model.embed_tokens.weight has 4 columns"),
        (
            r#"{"architectures":["LlamaForCausalLM"],"tie_word_embeddings":false}"#,
            "LlamaForCausalLM with untied embeddings needs an output layer",
        ),
        (r#"{"architectures":["BertForSequenceClassification"]}"#, "needs a classifier"),
    ] {
        let folder = parts(in_memory(&[("model.safetensors", &model), ("config.json", config.as_bytes())])).0;
        told(&folder, "configuration", "config.json", "contradicted", words);
    }
    let ends = br#"{"eos_token_id":3}"#;
    let set = in_memory(&[("model.safetensors", &model), ("config.json", CONFIG), ("generation_config.json", ends)]);
    told(
        &parts(set).0,
        "configuration",
        "generation_config.json",
        "contradicted",
        "at token 3, config.json at token 2",
    );
    let cut = parts(in_memory(&[("model.safetensors", &model[..model.len() - 4]), ("config.json", CONFIG)])).0;
    told(&cut, "weights", "Weights", "contradicted", "the file ends before");
}

const MODULES: &[u8] = br#"[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
    {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
    {"idx":2,"name":"2","path":"2_Dense","type":"sentence_transformers.models.Dense"},
    {"idx":3,"name":"3","path":"3_Normalize","type":"sentence_transformers.models.Normalize"}]"#;

#[test]
fn the_modules_of_a_text_encoder_are_present_missing_or_contradicted() {
    let (model, dense) = (weights(LLAMA), weights(&[("linear.weight", &[4, 4])]));
    let pooling = br#"{"word_embedding_dimension":4,"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":false}"#;
    let whole = [
        ("s/model.safetensors", model.as_slice()),
        ("s/config.json", CONFIG),
        ("s/modules.json", MODULES),
        ("s/1_Pooling/config.json", &pooling[..]),
        ("s/2_Dense/config.json", br#"{"in_features":4}"#),
        ("s/2_Dense/model.safetensors", &dense),
        ("s/sentence_bert_config.json", br#"{"max_seq_length":256}"#),
        ("s/config_sentence_transformers.json", br#"{"__version__":{"sentence_transformers":"3.1.0"}}"#),
    ];
    let found = parts(in_memory(&whole)).0;
    told(&found, "pipeline", "Transformer", "present", "the text encoder");
    told(&found, "pipeline", "Pooling", "present", "by mean tokens");
    told(&found, "pipeline", "Dense", "present", "in 2_Dense");
    told(&found, "pipeline", "sentence_bert_config.json", "present", "at most 256 tokens");
    told(&found, "pipeline", "config_sentence_transformers.json", "present", "3.1.0");
    let normalize = found.iter().find(|p| p.role == "Normalize").expect("the last module");
    assert_eq!((normalize.state, normalize.file.as_deref()), ("present", None));
    // A configuration in a module's folder is not the model's.
    assert_eq!(found.iter().filter(|p| p.role == "config.json").count(), 1, "{found:#?}");

    let without = |name: &str| parts(in_memory(&whole.iter().filter(|f| f.0 != name).copied().collect::<Vec<_>>())).0;
    told(&without("s/1_Pooling/config.json"), "pipeline", "Pooling", "missing", "names 1_Pooling");
    told(&without("s/2_Dense/model.safetensors"), "pipeline", "Dense", "missing", "its weights are not there");
    told(&without("s/modules.json"), "pipeline", "modules.json", "missing", "the pooling layer is not used");
    let wide = br#"{"word_embedding_dimension":768,"pooling_mode_mean_tokens":true}"#;
    let set: Vec<_> = whole.iter().map(|f| if f.0.contains("1_Pooling") { (f.0, &wide[..]) } else { *f }).collect();
    told(
        &parts(in_memory(&set)).0,
        "pipeline",
        "Pooling",
        "contradicted",
        "vectors of 768 values, config.json states a hidden size of 4",
    );
}

#[test]
fn components_of_a_diffusion_pipeline_are_looked_for_in_their_folders() {
    let model = weights(&[("conv.weight", &[2, 2])]);
    let index = br#"{"_class_name":"StableDiffusionPipeline","unet":["diffusers","UNet2DConditionModel"],"vae":["diffusers","AutoencoderKL"],"safety_checker":[null,null]}"#;
    let found = parts(in_memory(&[
        ("p/model_index.json", index),
        ("p/unet/config.json", b"{}"),
        ("p/unet/diffusion_pytorch_model.safetensors", &model),
    ]))
    .0;
    told(&found, "pipeline", "model_index.json", "present", "StableDiffusionPipeline");
    told(&found, "pipeline", "unet", "present", "UNet2DConditionModel");
    told(&found, "pipeline", "vae", "missing", "the folder vae is not there");
    assert!(!found.iter().any(|p| p.role == "safety_checker"), "{found:#?}");
}

#[test]
fn an_adapter_names_its_rank_its_targets_and_the_model_it_needs() {
    let adapter = weights(&[
        ("base_model.model.h.0.c_attn.lora_A.weight", &[2, 8]),
        ("base_model.model.h.0.c_attn.lora_B.weight", &[8, 2]),
    ]);
    let config = |r: u32, target: &str| {
        format!(
            r#"{{"peft_type":"LORA","r":{r},"lora_alpha":16,"target_modules":["{target}"],"base_model_name_or_path":"gpt2"}}"#
        )
    };
    let open = |config: &str| {
        parts(in_memory(&[("adapter_model.safetensors", &adapter), ("adapter_config.json", config.as_bytes())]))
    };
    let (found, summary) = open(&config(2, "c_attn"));
    assert!(summary.starts_with("LoRA adapter for gpt2"), "{summary}");
    told(&found, "adapter", "adapter_config.json", "present", "LORA, rank 2, alpha 16, on c_attn");
    told(&found, "adapter", "Base model", "missing", "gpt2");
    told(&open(&config(4, "c_attn")).0, "adapter", "adapter_config.json", "contradicted", "it states rank 4");
    told(&open(&config(2, "q_proj")).0, "adapter", "adapter_config.json", "contradicted", "it changes q_proj");
    let alone = parts(in_memory(&[("adapter_model.safetensors", &adapter)])).0;
    told(&alone, "adapter", "adapter_config.json", "missing", "which model these weights change");
    // Beside its model it is a part, not the model.
    let model = weights(LLAMA);
    let both = parts(in_memory(&[
        ("adapter_config.json", config(2, "c_attn").as_bytes()),
        ("adapter_model.safetensors", &adapter),
        ("config.json", CONFIG),
        ("model.safetensors", &model),
    ]))
    .0;
    told(&both, "weights", "Weights", "present", "3 tensors");
    told(&both, "adapter", "Adapter weights", "present", "");
}

/// A small GGUF with these keys.
fn gguf(keys: &[(&str, Value)]) -> Vec<u8> {
    let mut file = Gguf::small();
    for (key, value) in keys {
        file.set(key, value.clone());
    }
    file.bytes()
}

#[test]
fn files_that_serve_a_gguf_say_whose_they_are() {
    let lora = gguf(&[("general.type", Value::text("adapter")), ("general.base_model.0.name", Value::text("Tiny"))]);
    let (found, summary) = parts(in_memory(&[("lora.gguf", &lora)]));
    assert!(summary.starts_with("LoRA adapter for a"), "{summary}");
    told(&found, "adapter", "Base model", "missing", "Tiny: llama.cpp takes both");
    let eye = gguf(&[("general.type", Value::text("mmproj")), ("clip.projector_type", Value::text("ldp"))]);
    let (found, summary) = parts(in_memory(&[("mmproj-f16.gguf", &eye)]));
    assert!(summary.starts_with("Vision or audio projector"), "{summary}");
    told(&found, "preprocessing", "Projector", "present", "projector ldp");
    told(&found, "weights", "Language model", "missing", "a file of its own");
    let matrix = gguf(&[("general.type", Value::text("imatrix"))]);
    let (found, summary) = parts(in_memory(&[("imatrix.gguf", &matrix)]));
    assert!(summary.starts_with("Importance matrix"), "{summary}");
    told(&found, "configuration", "Importance matrix", "present", "a text that it does not name");
    // Beside a model, they are parts of it: also where they are larger.
    let model = gguf(&[]);
    let all = in_memory(&[("mmproj-f16.gguf", &eye), ("model.gguf", &model), ("imatrix.gguf", &matrix)]);
    let found = parts(all).0;
    told(&found, "weights", "Weights", "present", "");
    told(&found, "preprocessing", "mmproj-f16.gguf", "present", "--mmproj");
    told(&found, "conversions", "imatrix.gguf", "present", "quantization");
    told(&found, "tokenizer", "Tokenizer", "missing", "no tokenizer.ggml.* keys");
}

#[test]
fn an_importance_matrix_of_before_gguf_is_opened_and_named() {
    let mut file = 1u32.to_le_bytes().to_vec();
    file.extend(19u32.to_le_bytes());
    file.extend(b"blk.0.attn_q.weight");
    for n in [5u32, 2] {
        file.extend(n.to_le_bytes());
    }
    file.extend([0; 8]);
    let (_, summary) = parts(in_memory(&[("imatrix.dat", &file)]));
    assert!(summary.starts_with("Importance matrix (imatrix.dat)"), "{summary}");
    // The values are shown; a file that is cut says where.
    let model = open_bytes("imatrix.dat", &file).expect("opens");
    assert_eq!((model.tensors.len(), model.tensors[0].shape.0.as_slice(), model.cuts.len()), (1, &[2][..], 0));
    file.truncate(file.len() - 3);
    assert!(open_bytes("imatrix.dat", &file).is_err(), "without its values the first entry is not told from chance");
}

#[test]
fn settings_that_cannot_be_read_are_noted_with_their_place() {
    let model = weights(LLAMA);
    let set =
        in_memory(&[("model.safetensors", &model), ("config.json", CONFIG), ("generation_config.json", b"{\"a\":")]);
    let model = files::open(&set).expect("opens");
    let found =
        model.notes.iter().find(|n| n.what.starts_with("generation_config.json cannot be read")).expect("a note");
    assert!(found.at.is_some() && found.file == Some(2), "{found:?}");
}

#[test]
fn folders_of_the_corpus_name_their_parts() {
    let Some(corpus) = corpus() else { return };
    let lora = ["safetensors/lora-gpt2/adapter_config.json", "safetensors/lora-gpt2/adapter_model.safetensors"];
    let (found, summary) = parts(on_disk(&corpus, &lora));
    assert!(summary.starts_with("LoRA adapter for gpt2"), "{summary}");
    told(&found, "adapter", "adapter_config.json", "present", "LORA, rank 8, alpha 8, on c_attn");
    let names = ["all-MiniLM-L6-v2-q4_k_m.gguf", "config.json", "modules.json", "1_Pooling/config.json"];
    let names = names.map(|n| format!("minilm/{n}"));
    let found = parts(on_disk(&corpus, &names.each_ref().map(String::as_str))).0;
    told(&found, "pipeline", "Pooling", "present", "by mean tokens");
    let names = ["config.json", "generation_config.json", "model-00001-of-00002.safetensors"];
    let names = names.map(|n| format!("hf-llama2xs/{n}"));
    let found = parts(on_disk(&corpus, &names.each_ref().map(String::as_str))).0;
    told(&found, "tokenizer", "tokenizer.json", "missing", "text cannot be encoded");
}

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 4965799096\n";
const MODEL: &[u8] =
    br#"{"model_type":"llama","num_hidden_layers":2,"hidden_size":32,"num_attention_heads":4,"vocab_size":32}"#;

fn described(files: SourceSet) -> (serde_json::Value, Vec<String>) {
    block_on(async {
        let inspection = Inspection::open(files).await.expect("the folder is described");
        assert_well_formed(inspection.model());
        let report = ModelReport::of(&inspection).await;
        let notes = report.notes.iter().map(|n| n.what.clone()).collect();
        (serde_json::to_value(&report).expect("a report is JSON"), notes)
    })
}

/// Clones without their large files, and downloads that have only begun.
#[test]
fn a_folder_without_weights_is_described_by_its_configuration() {
    let index = br#"{"metadata":{"total_size":1000},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;
    let torch = br#"{"weight_map":{"a":"pytorch_model-00001-of-00002.bin","b":"pytorch_model-00002-of-00002.bin"}}"#;
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let kinds: &[(&str, Files<'_>, &[&str], &str)] = &[
        ("the configuration alone", &[], &[], "The weights are missing"),
        ("a pointer", &[("m/model.safetensors", POINTER)], &["m/model.safetensors"], "the file has 4965799096 bytes"),
        ("an empty file", &[("m/model.safetensors", b"")], &["m/model.safetensors"], "an empty file lies in its place"),
        ("a pointer to PyTorch weights", &[("m/pytorch_model.bin", POINTER)], &["m/pytorch_model.bin"], "4965799096"),
        (
            "one pointer of two shards",
            &[("m/model-00002-of-00002.safetensors", POINTER)],
            &["m/model-00001-of-00002.safetensors", "m/model-00002-of-00002.safetensors"],
            "is missing",
        ),
        (
            "an index",
            &[("m/model.safetensors.index.json", index)],
            &["m/model-00001-of-00002.safetensors", "m/model-00002-of-00002.safetensors"],
            "2 missing shards hold 1000 of 1000 bytes",
        ),
        (
            "an index and a pointer",
            &[("m/model.safetensors.index.json", index), ("m/model-00001-of-00002.safetensors", POINTER)],
            &["m/model-00001-of-00002.safetensors", "m/model-00002-of-00002.safetensors"],
            "a Git LFS pointer; the file has 4965799096 bytes",
        ),
        (
            "an index of PyTorch shards",
            &[("m/pytorch_model.bin.index.json", torch)],
            &["m/pytorch_model-00001-of-00002.bin", "m/pytorch_model-00002-of-00002.bin"],
            "is missing: part 1 of 2",
        ),
    ];
    for (kind, more, missing, words) in kinds {
        let files: Vec<(&str, &[u8])> =
            more.iter().copied().chain([("m/config.json", MODEL), ("m/tokenizer.json", b"{}")]).collect();
        let (report, notes) = described(in_memory(&files));
        let summary = report["summary"].as_str().unwrap_or_default();
        assert!(summary.starts_with("Llama-architecture model"), "{kind}: {summary}");
        let layers = report["shape"].as_array().and_then(|s| s.iter().find(|f| f["label"] == "Layers"));
        assert_eq!(layers.map(|f| f["value"].clone()), Some("2".into()), "{kind}");
        assert_eq!(report["missing"], serde_json::json!(missing), "{kind}");
        assert!(notes.iter().any(|n| n.contains(words)), "{kind}: {notes:#?}");
        let parts = report["place"]["hierarchy"].as_array().cloned().unwrap_or_default();
        let weights = parts.iter().filter(|p| p["group"] == "weights" && p["state"] == "missing").count();
        assert_eq!(weights, missing.len().max(1), "{kind}: {parts:#?}");
        let contradicted: Vec<_> = parts.iter().filter(|p| p["state"] == "contradicted").collect();
        assert!(
            contradicted.is_empty(),
            "{kind}: nothing is held against weights that are not here: {contradicted:#?}"
        );
        let runners = report["runners"].as_array().cloned().unwrap_or_default();
        assert!(runners.iter().all(|r| r["verdict"] != "yes"), "{kind}: nothing can run it: {runners:#?}");
        assert!(!report["version"].as_str().unwrap_or_default().is_empty(), "{kind}: the version says something");
    }
}

#[test]
fn the_weights_of_a_half_download_that_are_here_are_shown_and_the_rest_is_counted() {
    let shard = safetensors(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, &[0; 8]);
    let index = br#"{"metadata":{"total_size":1000},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;
    let (report, notes) = described(in_memory(&[
        ("model-00001-of-00002.safetensors", &shard),
        ("model-00002-of-00002.safetensors", POINTER),
        ("model.safetensors.index.json", index),
        ("config.json", MODEL),
    ]));
    assert_eq!(report["missing"], serde_json::json!(["model-00002-of-00002.safetensors"]));
    assert!(notes.iter().any(|n| n == "The missing shard holds 992 of 1000 bytes of tensors"), "{notes:#?}");
    let file = &report["salvage"]["files"][0];
    assert_eq!(file["missing"], serde_json::json!([[0, 4_965_799_096_u64]]), "a pointer states how much is missing");
}

#[test]
fn a_folder_of_tokenizer_files_is_a_tokenizer() {
    let json = br#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}"#;
    let (report, _) = described(in_memory(&[
        ("tokenizer_config.json", br#"{"tokenizer_class":"LlamaTokenizer"}"#),
        ("tokenizer.json", json),
        ("special_tokens_map.json", b"{}"),
    ]));
    assert_eq!(report["format"], "tokenizer");
    assert_eq!(report["tokenizer"], "tokenizer.json");
    assert!(report["shape"].as_array().is_some_and(|s| s.iter().any(|f| f["value"] == "LlamaTokenizer")), "{report:#}");
}

#[test]
fn a_file_that_could_not_be_opened_is_told_beside_the_model() {
    let model = weights(LLAMA);
    let mut files = in_memory(&[("model.safetensors", &model)]);
    files.leave_out("secret", "cannot be listed: Permission denied");
    let (_, notes) = described(files);
    assert!(notes.iter().any(|n| n.contains("\"secret\" is left out: cannot be listed")), "{notes:#?}");
}

/// The cases that stand for the kinds above.
#[test]
fn the_case_of_weights_that_were_not_downloaded_is_described() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("../cases/2026-11/folders/weights-not-downloaded");
    if !folder.is_dir() {
        eprintln!("skipped: {} because the cases are not there", folder.display());
        return;
    }
    let (report, _) = described(on_disk(&folder, &["config.json", "model.safetensors.index.json"]));
    assert!(report.to_string().contains("model-00001-of-00002.safetensors"));
    assert_eq!(report["architecture"], "llama");
}

#[test]
fn a_control_vector_is_named_for_what_it_is() {
    let keys = [
        ("general.architecture", Value::text("controlvector")),
        ("controlvector.model_hint", Value::text("llama")),
        ("controlvector.layer_count", Value(5, 31i32.to_le_bytes().to_vec())),
    ];
    let gguf = |keys: &[(&str, Value)]| {
        let mut file = Gguf::small();
        file.entries.retain(|(key, _)| key != b"general.architecture");
        keys.iter().for_each(|(key, value)| file.set(key, value.clone()));
        file.bytes()
    };
    let (_, summary) = parts(in_memory(&[("happy.gguf", &gguf(&keys))]));
    assert!(summary.starts_with("Control vector for a llama model, 31 layers"), "{summary}");
    let (_, summary) = parts(in_memory(&[("sad.gguf", &gguf(&keys[..1]))]));
    assert!(summary.starts_with("Control vector for a model that it does not name"), "{summary}");
}
