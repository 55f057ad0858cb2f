//! config.json of a GGUF file's model.

use serde_json::{Map, Value, json};

use crate::{
    arch::{Key, Numbers},
    convert::{rows::Stored, to_gguf::llama3_factors},
    fault::{Fault, Result},
    model::TensorEntry,
    source::SourceSet,
    tensor::Encoding,
};

/// An architecture whose folders are known: by their names in transformers.
pub(super) struct Family {
    model_type: &'static str,
    class: &'static str,
    /// What names of its experts hold, where they are not the first of the table.
    pub(super) stacked: Option<&'static str>,
}

const fn family(model_type: &'static str, class: &'static str) -> Family {
    Family { model_type, class, stacked: None }
}

/// The family of a GGUF file; `None` where names and settings in folders are not sure.
pub(super) fn find(numbers: &Numbers<'_>) -> Option<Family> {
    let experts = numbers.get(Key::Experts).is_some_and(|n| n > 0);
    Some(match numbers.name() {
        "llama" if experts => Family { stacked: Some("block_sparse_moe"), ..family("mixtral", "MixtralForCausalLM") },
        "llama" => family("llama", "LlamaForCausalLM"),
        "qwen2" => family("qwen2", "Qwen2ForCausalLM"),
        "qwen2moe" => family("qwen2_moe", "Qwen2MoeForCausalLM"),
        "qwen3" => family("qwen3", "Qwen3ForCausalLM"),
        "qwen3moe" => family("qwen3_moe", "Qwen3MoeForCausalLM"),
        "gemma" => family("gemma", "GemmaForCausalLM"),
        "granite" => family("granite", "GraniteForCausalLM"),
        "olmo2" => family("olmo2", "Olmo2ForCausalLM"),
        "seed_oss" => family("seed_oss", "SeedOssForCausalLM"),
        "smollm3" => family("smollm3", "SmolLM3ForCausalLM"),
        _ => return None,
    })
}

/// Settings by their keys in config.json.
const SETTINGS: &[(&str, Key)] = &[
    ("num_hidden_layers", Key::Layers),
    ("hidden_size", Key::HiddenSize),
    ("intermediate_size", Key::IntermediateSize),
    ("num_attention_heads", Key::Heads),
    ("num_key_value_heads", Key::KvHeads),
    ("head_dim", Key::HeadDim),
    ("max_position_embeddings", Key::Context),
    ("vocab_size", Key::VocabSize),
];

/// The file.
///
/// # Errors
/// The metadata lacks a number, or states what config.json cannot.
pub(super) async fn write(
    files: &SourceSet,
    numbers: &Numbers<'_>,
    family: &Family,
    main: Encoding,
) -> Result<Vec<u8>> {
    let model = numbers.model();
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| config.insert(key.to_owned(), value);
    set("architectures", json!([family.class]));
    set("model_type", json!(family.model_type));
    for (name, key) in SETTINGS {
        set(name, json!(numbers.get(*key).ok_or_else(|| numbers.missing(*key))?));
    }
    set("rms_norm_eps", json!(short(numbers.need(Key::RmsEps)?)));
    set("hidden_act", json!(if family.model_type == "gemma" { "gelu_pytorch_tanh" } else { "silu" }));
    set("tie_word_embeddings", json!(model.tensor("output.weight").is_none()));
    set("attention_bias", json!(model.tensors.iter().any(|t| t.name.ends_with("attn_q.bias"))));
    set("mlp_bias", json!(model.tensors.iter().any(|t| t.name.ends_with("ffn_down.bias"))));
    let dtype = match main {
        Encoding::BF16 => "bfloat16",
        Encoding::F16 => "float16",
        _ => "float32",
    };
    set("torch_dtype", json!(dtype));
    for (name, key) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
        if let Some(id) = model.metadata.unsigned(&format!("tokenizer.ggml.{key}_token_id")) {
            set(name, json!(id));
        }
    }
    let base = short(numbers.need(Key::RopeBase)?);
    set("rope_theta", json!(base));
    if let Some(scaling) = scaling(files, numbers, base).await? {
        set("rope_scaling", scaling);
    }
    if numbers.get(Key::Experts).is_some_and(|n| n > 0) {
        let count = if family.stacked.is_some() { "num_local_experts" } else { "num_experts" };
        for (name, key) in [
            (count, Key::Experts),
            ("num_experts_per_tok", Key::ExpertsUsed),
            ("moe_intermediate_size", Key::ExpertSize),
            ("shared_expert_intermediate_size", Key::SharedExpertSize),
        ] {
            if let Some(n) = numbers.get(key) {
                set(name, json!(n));
            }
        }
        set("norm_topk_prob", json!(family.model_type != "qwen2_moe"));
    }
    for (name, key) in [
        ("attention_multiplier", Key::ScoreScale),
        ("embedding_multiplier", Key::EmbeddingScale),
        ("residual_multiplier", Key::ResidualScale),
        ("logits_scaling", Key::LogitScale),
    ] {
        if let (Some(x), "granite") = (numbers.positive(key)?, family.model_type) {
            set(name, json!(short(x)));
        }
    }
    let mut text =
        serde_json::to_string_pretty(&Value::Object(config)).map_err(|e| Fault::bug(format!("config.json: {e}")))?;
    text.push('\n');
    Ok(text.into_bytes())
}

/// A number of a GGUF file, which is single precision, in its shortest spelling.
fn short(x: f64) -> f64 {
    let single = x as f32;
    if f64::from(single) == x { single.to_string().parse().unwrap_or(x) } else { x }
}

/// Rotary scaling as config.json says it.
async fn scaling(files: &SourceSet, numbers: &Numbers<'_>, base: f64) -> Result<Option<Value>> {
    if let Some(factors) = numbers.model().tensor("rope_freqs.weight") {
        return of_factors(files, numbers, factors, base).await.map(Some);
    }
    let factor = numbers.positive(Key::ScalingFactor)?.map(short);
    match (numbers.text(Key::ScalingType)?, factor) {
        (None | Some("none"), None) | (Some("none"), Some(_)) => Ok(None),
        (None | Some("linear"), Some(factor)) => Ok(Some(json!({ "rope_type": "linear", "factor": factor }))),
        (Some("yarn"), Some(factor)) => {
            let original =
                numbers.positive(Key::OriginalContext)?.ok_or_else(|| numbers.missing(Key::OriginalContext))?;
            let mut all =
                json!({ "rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original as u64 });
            let meta = &numbers.model().metadata;
            for (name, key) in [
                ("attention_factor", "yarn_attn_factor"),
                ("beta_fast", "yarn_beta_fast"),
                ("beta_slow", "yarn_beta_slow"),
            ] {
                if let Some(x) = meta.number(&format!("{}.rope.scaling.{key}", numbers.name())) {
                    all[name] = json!(short(x));
                }
            }
            Ok(Some(all))
        }
        (Some(other), _) => {
            Err(Fault::unsupported(format!("rotary scaling {other:?} cannot be said in config.json yet")))
        }
    }
}

/// Llama 3's scaling, whose factors a GGUF file has and whose settings it has not: those in use are tried.
async fn of_factors(files: &SourceSet, numbers: &Numbers<'_>, entry: &TensorEntry, base: f64) -> Result<Value> {
    let stored = Stored::of(files, numbers.model(), entry)?;
    if entry.encoding != Encoding::F32 || stored.bytes() > 1 << 20 {
        return Err(Fault::unsupported("rope_freqs.weight is no list of single-precision factors"));
    }
    let bytes = stored.read(0..stored.bytes()).await?;
    let factors: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let factor = f64::from(factors.iter().copied().fold(1.0f32, f32::max));
    for original in [8192.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 16_384.0, 32_768.0] {
        let tried = llama3_factors(base, factors.len() as u64 * 2, [factor, 1.0, 4.0, original]);
        if tried.iter().zip(&factors).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs()) {
            return Ok(json!({
                "rope_type": "llama3", "factor": short(factor), "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": original as u64
            }));
        }
    }
    Err(Fault::unsupported(
        "the factors of rope_freqs.weight follow from no llama3 scaling in use, and config.json cannot list them",
    ))
}
