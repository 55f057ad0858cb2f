//! Facts in people's words, from a model's metadata and tensors.

use crate::{
    arch::{KEYS, Key, KeyRow, Numbers},
    model::{FileRole, Flavour, FormatId, ModelFile},
    verdict,
};

use super::{Fact, PartReport, PlaceReport, describe::stage, hierarchy::hierarchy, kinds};

/// The model's architecture as its files state it.
pub(super) fn architecture(model: &ModelFile) -> Option<String> {
    let meta = &model.metadata;
    let stated = meta.string("general.architecture").or_else(|| meta.string("config.model_type"));
    stated.map(str::to_owned).or_else(|| match meta.array("config.architectures")?.head.first()? {
        crate::model::MetaValue::String(s) => Some(s.clone()),
        _ => None,
    })
}

/// 1.1e9 as "1.1 B".
pub(super) fn count(n: u64) -> String {
    let (divisor, unit) = match n {
        0..=999 => return n.to_string(),
        1_000..=999_999 => (1e3, "K"),
        1_000_000..=999_999_999 => (1e6, "M"),
        1_000_000_000..=999_999_999_999 => (1e9, "B"),
        _ => (1e12, "T"),
    };
    let x = n as f64 / divisor;
    if x < 10.0 {
        format!("{x:.2} {unit}")
    } else if x < 100.0 {
        format!("{x:.1} {unit}")
    } else {
        format!("{x:.0} {unit}")
    }
}

fn title(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// "Llama-architecture language model, 1.1 B parameters, 4.5 bits per weight, context 2048."
pub(super) fn sentence(model: &ModelFile) -> String {
    if let Some(sentence) = kinds::sentence(model) {
        return sentence + ".";
    }
    let meta = &model.metadata;
    let kind = match (model.format, architecture(model)) {
        (FormatId::Gguf, arch) if meta.string("general.type") == Some("imatrix") => {
            let of = arch.filter(|a| a != "imatrix").map(|a| format!(" for a {a} model")).unwrap_or_default();
            format!("Importance matrix (imatrix){of}: statistics that guide quantization, not a model")
        }
        (FormatId::Safetensors | FormatId::PyTorch, _) if verdict::adapter_alone(model) => {
            let kind = title(&meta.string("adapter_config.peft_type").unwrap_or("PEFT").to_lowercase());
            let kind = if kind == "Lora" { "LoRA".to_owned() } else { kind };
            let of = meta.string("adapter_config.base_model_name_or_path");
            let of = of.map_or("a model that it does not name".to_owned(), quoted);
            format!("{kind} adapter for {of}: a change of that model, not a model on its own")
        }
        (_, Some(_)) if meta.string("general.type") == Some("mmproj") => "Vision or audio projector (mmproj)".into(),
        (_, Some(arch)) if meta.string("general.type") == Some("adapter") => format!("LoRA adapter for a {arch} model"),
        (_, Some(arch)) if arch == "clip" => "Vision or audio projector (mmproj)".into(),
        (_, Some(arch)) if matches!(arch.as_str(), "bert" | "nomic-bert" | "jina-bert-v2" | "roberta") => {
            format!("{}-architecture text encoder", title(&arch))
        }
        (FormatId::Gguf, Some(_)) if model.tensors.is_empty() => "Vocabulary without weights".into(),
        (_, Some(arch)) => format!("{}-architecture model", title(&arch)),
        (FormatId::Onnx, None) => {
            let nodes = model.graph.as_ref().map_or(0, |g| g.nodes.len());
            let producer = meta
                .string("producer_name")
                .filter(|p| !p.is_empty())
                .map(|p| format!(" written by {p}"))
                .unwrap_or_default();
            format!("ONNX graph of {nodes} operators{producer}")
        }
        (FormatId::Safetensors, None) => "Weights without a configuration".into(),
        (FormatId::Gguf, None) => "GGUF file that names no architecture".into(),
        (FormatId::PyTorch, None) if model.version.flavour == Flavour::TorchScript => {
            "TorchScript program with its weights".into()
        }
        (FormatId::PyTorch, None) if meta.get("pytorch-lightning_version").is_some() => {
            "PyTorch Lightning checkpoint".into()
        }
        (FormatId::PyTorch, None) if model.tensors.is_empty() => "PyTorch file without tensors".into(),
        (FormatId::PyTorch, None) => "PyTorch checkpoint".into(),
        (FormatId::Pickle, None) => "Python pickle, not a model format on its own".into(),
        (FormatId::Numpy, None) => "NumPy arrays".into(),
        (FormatId::Ggml, None) => "Legacy GGML file".into(),
        (FormatId::Llama2c, None) => "llama2.c model".into(),
        (FormatId::Imatrix, None) => {
            "Importance matrix (imatrix.dat): statistics that guide quantization, not a model".into()
        }
        (FormatId::Keras, None) => "Keras model".into(),
        (FormatId::TensorFlow, None) => format!("TensorFlow {}", model.version),
        (FormatId::TfLite, None) => "TensorFlow Lite model".into(),
        (FormatId::Tokenizer, None) => "Tokenizer".into(),
    };
    let mut parts = vec![kind];
    let parameters = model.parameters();
    if parameters > 0 {
        parts.push(format!("{} parameters", count(parameters)));
        let bytes = model.tensor_bytes();
        if bytes > 0 {
            let bits = bytes as f64 * 8.0 / parameters as f64;
            parts.push(format!("{} bits per weight", format!("{bits:.2}").trim_end_matches('0').trim_end_matches('.')));
        }
    }
    parts.extend(packing(model));
    if let Some(context) = Numbers::of(model).and_then(|n| n.stated(Key::Context)) {
        parts.push(format!("context {context}"));
    }
    parts.extend(kinds::lacks(model));
    parts.join(", ") + "."
}

/// "packed as GPTQ of 4 bits, groups of 128": how most of the weights are that several tensors hold together.
fn packing(model: &ModelFile) -> Option<String> {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for packed in model.packed() {
        let kind = format!("packed as {} of {} bits, {}", packed.packing, packed.layout.bits, packed.grouping());
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, n)) => *n += 1,
            None => kinds.push((kind, 1)),
        }
    }
    kinds.into_iter().max_by_key(|(_, n)| *n).map(|(kind, _)| kind)
}

/// A name from a file, short enough for a sentence.
fn quoted(name: &str) -> String {
    let short: String = name.chars().take(80).collect();
    if short.len() < name.len() { format!("{short}…") } else { short }
}

/// Hyper-parameters with a label that a model states as one number: row, metadata key, value.
fn stated(model: &ModelFile) -> impl Iterator<Item = (&'static KeyRow, String, f64)> {
    let numbers = Numbers::of(model);
    KEYS.iter().filter(|row| !row.label.is_empty()).filter_map(move |row| {
        let (key, _) = numbers.as_ref()?.find(row.key)?;
        let n = model.metadata.number(&key)?;
        Some((row, key, n))
    })
}

fn fact(label: &str, fits: bool, n: f64, source: String) -> Option<Fact> {
    fits.then(|| Fact { label: label.into(), value: n.to_string(), source: Some(source) })
}

/// Name, author, licence, base model.
pub(super) fn identity(model: &ModelFile) -> Vec<Fact> {
    let rows: &[(&str, &[&str])] = &[
        ("Name", &["general.name", "config._name_or_path", "name"]),
        ("Author", &["general.author", "author"]),
        ("Organization", &["general.organization"]),
        ("Version", &["general.version"]),
        ("Fine-tune", &["general.finetune"]),
        ("Size label", &["general.size_label"]),
        ("Description", &["general.description", "doc_string"]),
        ("License", &["general.license", "license"]),
        ("Base model", &["general.base_model.0.name", "adapter_config.base_model_name_or_path"]),
        ("Adapter", &["adapter.type", "adapter_config.peft_type"]),
        ("Projector", &["clip.projector_type", "clip.vision.projector_type"]),
        ("Base model repository", &["general.base_model.0.repo_url"]),
        ("Quantized by", &["general.quantized_by"]),
        ("Source", &["general.source.url", "general.source.huggingface.repository", "general.url"]),
        ("Producer", &["producer_name"]),
        ("Producer version", &["producer_version"]),
        ("Written with", &["config.transformers_version", "format"]),
    ];
    rows.iter()
        .filter_map(|(label, keys)| {
            let (key, value) =
                keys.iter().find_map(|k| Some((*k, model.metadata.string(k).filter(|v| !v.is_empty())?)))?;
            Some(Fact { label: (*label).into(), value: value.into(), source: Some(key.into()) })
        })
        .collect()
}

/// Layers, heads, widths, vocabulary, RoPE, context.
pub(super) fn shape(model: &ModelFile) -> Vec<Fact> {
    let meta = &model.metadata;
    let own = kinds::shape(model);
    if !own.is_empty() {
        return own;
    }
    let mut facts: Vec<Fact> = stated(model)
        .filter(|(row, ..)| row.key != Key::RopeBase)
        .filter_map(|(row, key, n)| fact(row.label, n.fract() == 0.0 && n >= 0.0, n, key))
        .collect();
    for (label, keys) in [
        ("Adapter rank", &["adapter_config.r"][..]),
        ("Adapter alpha", &["adapter.lora.alpha", "adapter_config.lora_alpha"]),
        ("Image size", &["clip.vision.image_size"]),
        ("Patch size", &["clip.vision.patch_size"]),
        ("Chunks measured", &["imatrix.chunk_count"]),
        ("Tokens of a text, at most", &["sentence_bert.max_seq_length"]),
    ] {
        if let Some((key, n)) = keys.iter().find_map(|k| Some((*k, meta.number(k)?))) {
            facts.push(Fact { label: label.into(), value: n.to_string(), source: Some(key.into()) });
        }
    }
    facts.extend(
        stated(model)
            .filter(|(row, ..)| row.key == Key::RopeBase)
            .filter_map(|(row, key, n)| fact(row.label, true, n, key)),
    );
    if let Some(tokens) = meta.array("tokenizer.ggml.tokens").filter(|_| !facts.iter().any(|f| f.label == "Vocabulary"))
    {
        facts.push(Fact {
            label: "Vocabulary".into(),
            value: tokens.len.to_string(),
            source: Some("length of tokenizer.ggml.tokens".into()),
        });
    }
    facts
}

fn part(stage: &str, name: &str, state: &str, detail: impl Into<String>) -> PartReport {
    PartReport { stage: stage.into(), name: name.into(), state: state.into(), detail: detail.into() }
}

fn file_with_role(model: &ModelFile, role: FileRole) -> Option<String> {
    model.files.iter().find(|f| f.role == role).map(|f| f.name.clone())
}

/// Where the file sits in the chain original model (weights + config + tokenizer) -> GGUF | ONNX.
pub(super) fn place(model: &ModelFile, tokenizer: bool, tokenizer_file: Option<&str>) -> PlaceReport {
    let here = stage(model.format);
    let elsewhere = |stage: &str, name: &str, what: &str| part(stage, name, "elsewhere", what);
    let weights_here = || match verdict::missing(model) {
        Some(what) => part(here, "Weights", "missing", what),
        None if model.tensors.is_empty() => part(here, "Weights", "missing", "this file holds no tensors"),
        None => part(here, "Weights", "here", format!("{} tensors", model.tensors.len())),
    };
    let beside = tokenizer_file;
    let tokenizer_file = || match beside {
        Some(name) => part("original", "Tokenizer", "here", name),
        None if !verdict::takes_text(model) => {
            part("original", "Tokenizer", "not needed", "the model takes no token ids")
        }
        None => part(
            "original",
            "Tokenizer",
            "missing",
            "no tokenizer file (tokenizer.json, tokenizer.model, vocab.txt, ...) is among the files: text cannot be encoded without it",
        ),
    };
    let origin = model
        .metadata
        .string("general.base_model.0.repo_url")
        .or_else(|| model.metadata.string("general.source.url"))
        .map_or_else(|| "the file does not say where it came from".to_owned(), |url| format!("stated: {url}"));
    let (sentence, parts) = match folder_like(model) {
        FormatId::Safetensors => {
            let config = match file_with_role(model, FileRole::Configuration) {
                Some(name) => part("original", "config.json", "here", name),
                None => part(
                    "original",
                    "config.json",
                    "missing",
                    "without it the weights have no architecture: drop the whole folder",
                ),
            };
            let whole =
                config.state == "here" && tokenizer_file().state != "missing" && verdict::missing(model).is_none();
            (
                if whole {
                    "This is an original model: weights, configuration and tokenizer, from which GGUF and ONNX files are made."
                } else {
                    "These are an original model's weights; to be complete they need config.json and the tokenizer next to them."
                },
                vec![
                    weights_here(),
                    config,
                    tokenizer_file(),
                    elsewhere("gguf", "GGUF", "made by llama.cpp's convert_hf_to_gguf.py"),
                    elsewhere("onnx", "ONNX", "made by optimum or torch.onnx"),
                ],
            )
        }
        FormatId::Gguf => (
            "This is a conversion for llama.cpp and its relatives: one file with weights, configuration and tokenizer, made from an original model.",
            vec![
                elsewhere("original", "Weights", &origin),
                elsewhere("original", "config.json", "its facts are in this file's metadata"),
                elsewhere("original", "Tokenizer", "its vocabulary is in this file's metadata"),
                weights_here(),
                if model.metadata.string("general.architecture").is_some() {
                    part("gguf", "Configuration", "inside", "metadata keys of the architecture")
                } else {
                    part("gguf", "Configuration", "missing", "general.architecture is not set")
                },
                if tokenizer {
                    part("gguf", "Tokenizer", "inside", "tokenizer.ggml.* keys")
                } else {
                    part("gguf", "Tokenizer", "missing", "no tokenizer.ggml.* keys: text cannot be encoded")
                },
            ],
        ),
        FormatId::Onnx => (
            "This is a conversion for ONNX Runtime and its relatives: a graph of operators with its weights, made from an original model.",
            vec![
                elsewhere("original", "Weights", &origin),
                elsewhere("original", "config.json", "not needed to run the graph"),
                tokenizer_file(),
                weights_here(),
                part(
                    "onnx",
                    "Graph",
                    "inside",
                    format!("{} operators", model.graph.as_ref().map_or(0, |g| g.nodes.len())),
                ),
            ],
        ),
        FormatId::Tokenizer => (
            "",
            vec![
                part("original", "Weights", "elsewhere", "a tokenizer's file holds none"),
                part("original", "config.json", "elsewhere", "it states what the weights compute"),
                tokenizer_file(),
            ],
        ),
        other => {
            let mut parts = vec![weights_here()];
            if model.graph.is_some() {
                let nodes = model.graph.as_ref().map_or(0, |g| g.nodes.len());
                parts.push(part(here, "Graph", "inside", format!("{nodes} operators")));
            }
            if matches!(other, FormatId::PyTorch | FormatId::Keras | FormatId::TensorFlow) {
                parts.push(elsewhere(
                    "gguf",
                    "GGUF",
                    "made by llama.cpp's convert_hf_to_gguf.py from a Hugging Face folder",
                ));
                parts.push(elsewhere("onnx", "ONNX", onnx_tool(other)));
            }
            (other_place(other), parts)
        }
    };
    let sentence = kinds::place(model).unwrap_or(sentence);
    PlaceReport { stage: here.into(), sentence: sentence.into(), parts, hierarchy: hierarchy(model) }
}

/// Weights saved by PyTorch with config.json beside them are a Hugging Face folder as safetensors are.
fn folder_like(model: &ModelFile) -> FormatId {
    let folder = model.format == FormatId::PyTorch && file_with_role(model, FileRole::Configuration).is_some();
    if folder { FormatId::Safetensors } else { model.format }
}

fn onnx_tool(format: FormatId) -> &'static str {
    if format == FormatId::PyTorch { "made by torch.onnx or optimum" } else { "made by tf2onnx" }
}

/// Where formats beside the three that Glassbox follows most closely sit.
fn other_place(format: FormatId) -> &'static str {
    match format {
        FormatId::PyTorch => {
            "This is an original model's weights as PyTorch saves them; the program that computes with them is elsewhere."
        }
        FormatId::Pickle => "This is a Python object; it may be part of an original model.",
        FormatId::Numpy => "These are plain arrays; nothing states what computes with them.",
        FormatId::Ggml => {
            "This is a conversion of the time before GGUF: weights and vocabulary for a program of that time, made from an original model."
        }
        FormatId::Llama2c => "This is a conversion for llama2.c, made from an original model.",
        FormatId::Imatrix => "These are statistics of a model, by which llama-quantize decides what to keep.",
        FormatId::Keras => "This is an original model as Keras saves it: weights, often with their configuration.",
        FormatId::TensorFlow => "This is an original model, or a part of one, as TensorFlow saves it.",
        FormatId::TfLite => {
            "This is a conversion for phones and small devices: a graph with its weights, made from an original model."
        }
        FormatId::Gguf | FormatId::Safetensors | FormatId::Onnx | FormatId::Tokenizer => "",
    }
}
