//! Llama and what computes the same: Mistral, and Qwen2 (Llama with biases and rotate-half).

use super::Architecture;
use crate::{
    old_engine::{
        config::{Config, Keys, Rope, RopeScaling, architecture_name},
        graph::{GraphBuilder, Node},
        weights::{Role, Weights},
    },
    fault::{Fault, Result},
    model::{FormatId, ModelFile},
};

pub(super) struct Llama;

impl Architecture for Llama {
    fn names(&self) -> &'static [&'static str] {
        &["llama", "mistral", "qwen2"]
    }

    fn config(&self, model: &ModelFile) -> Result<Config> {
        match model.format {
            FormatId::Gguf => from_gguf(model),
            _ => from_hugging_face(model),
        }
    }

    fn forward(&self, c: &Config, g: &mut GraphBuilder) -> Result<Node> {
        let mut x = g.embed()?;
        for layer in 0..c.layers {
            let h = g.rms_norm(x, Role::AttnNorm, layer)?;
            let q = g.linear("q", h, Role::AttnQ, layer, c.q_width())?;
            let k = g.linear("k", h, Role::AttnK, layer, c.kv_width())?;
            let v = g.linear("v", h, Role::AttnV, layer, c.kv_width())?;
            let (q, k) = (g.rope(q), g.rope(k));
            let a = g.attention(layer, q, k, v);
            let a = g.linear("projected", a, Role::AttnOutput, layer, c.width)?;
            x = g.add(x, a);
            let h = g.rms_norm(x, Role::FfnNorm, layer)?;
            let gate = g.linear("gate", h, Role::FfnGate, layer, c.ffn)?;
            let up = g.linear("up", h, Role::FfnUp, layer, c.ffn)?;
            let h = g.silu_mul(gate, up);
            let h = g.linear("projected", h, Role::FfnDown, layer, c.width)?;
            x = g.add(x, h);
        }
        let x = g.rms_norm(x, Role::OutputNorm, 0)?;
        let x = g.last_row(x);
        g.head(x)
    }
}

/// The embedding table's number of rows is the vocabulary; a key that says otherwise is found by the shape check.
fn vocabulary(model: &ModelFile, stated: Option<u32>) -> Result<u32> {
    if let Some(n) = stated {
        return Ok(n);
    }
    let weights = Weights::new(model);
    let name = weights.name(Role::TokenEmbedding, 0, "weight");
    let table = weights.find(Role::TokenEmbedding, 0, "weight");
    let rows = table.and_then(|t| model.tensors[t].shape.rows());
    let rows = rows.ok_or_else(|| Fault::unsupported(format!("tensor {name} is missing")))?;
    u32::try_from(rows)
        .ok()
        .filter(|n| *n > 0 && *n < 1 << 31)
        .ok_or_else(|| Fault::limit(format!("tensor {name} has {rows} rows; up to {} can be run", (1u32 << 31) - 1)))
}

/// Keys of `{arch}.*` (llama.cpp `src/llama-arch.cpp`).
fn from_gguf(model: &ModelFile) -> Result<Config> {
    let architecture = architecture_name(model)?;
    let keys = Keys::new(&model.metadata, format!("{architecture}."));
    if keys.count("expert_count").unwrap_or(Some(1)).is_some() {
        return Err(Fault::unsupported("mixtures of experts cannot be run yet"));
    }
    let (width, heads) = (keys.need("embedding_length")?, keys.need("attention.head_count")?);
    let head_dim = keys.count("attention.key_length")?.unwrap_or(width / heads);
    if keys.count("attention.value_length")?.is_some_and(|n| n != head_dim) {
        return Err(Fault::unsupported("values of another width than keys cannot be run yet"));
    }
    let context = keys.need("context_length")?;
    let scaling = match keys.string("rope.scaling.type") {
        Some("linear") => RopeScaling::Linear(
            keys.positive("rope.scaling.factor")?.ok_or_else(|| keys.missing("rope.scaling.factor"))?,
        ),
        // Older files say it in one key.
        None => keys.positive("rope.scale_linear")?.map_or(RopeScaling::None, RopeScaling::Linear),
        Some("none") => RopeScaling::None,
        Some(other) => return Err(unknown_scaling(other)),
    };
    Ok(Config {
        architecture: architecture.to_owned(),
        layers: keys.need("block_count")?,
        width,
        heads,
        kv_heads: keys.count("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        ffn: keys.need("feed_forward_length")?,
        vocab: vocabulary(model, keys.count("vocab_size")?)?,
        context: keys.count("attention.sliding_window")?.map_or(context, |window| window.min(context)),
        norm_eps: keys
            .positive("attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| keys.missing("attention.layer_norm_rms_epsilon"))? as f32,
        rope: Rope {
            dims: keys.count("rope.dimension_count")?.unwrap_or(head_dim),
            theta: keys.positive("rope.freq_base")?.unwrap_or(10000.0),
            neox: architecture == "qwen2",
            scaling,
        },
    })
}

/// Keys of config.json (transformers `configuration_llama.py`, whose defaults are used where a key is absent).
fn from_hugging_face(model: &ModelFile) -> Result<Config> {
    let architecture = architecture_name(model)?;
    let keys = Keys::new(&model.metadata, "config.");
    if let Some(act) = keys.string("hidden_act").filter(|a| *a != "silu" && *a != "null") {
        return Err(Fault::unsupported(format!("activation {act:?} cannot be run yet (known: silu)")));
    }
    let (width, heads) = (keys.need("hidden_size")?, keys.need("num_attention_heads")?);
    let head_dim = keys.count("head_dim")?.unwrap_or(width / heads);
    let context = keys.need("max_position_embeddings")?;
    let slides = architecture == "mistral" || keys.boolean("use_sliding_window") == Some(true);
    let window = if slides { keys.count("sliding_window")? } else { None };
    let theta = match keys.positive("rope_theta")? {
        Some(theta) => theta,
        None => keys.positive("rope_parameters.rope_theta")?.unwrap_or(10000.0),
    };
    let rotary = keys.positive("partial_rotary_factor")?.unwrap_or(1.0);
    Ok(Config {
        architecture: architecture.to_owned(),
        layers: keys.need("num_hidden_layers")?,
        width,
        heads,
        kv_heads: keys.count("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        ffn: keys.need("intermediate_size")?,
        vocab: vocabulary(model, keys.count("vocab_size")?)?,
        context: window.map_or(context, |window| window.min(context)),
        norm_eps: keys.positive("rms_norm_eps")?.unwrap_or(1e-6) as f32,
        rope: Rope {
            dims: (f64::from(head_dim) * rotary) as u32,
            theta,
            neox: true,
            scaling: hugging_face_scaling(model)?,
        },
    })
}

fn hugging_face_scaling(model: &ModelFile) -> Result<RopeScaling> {
    for prefix in ["config.rope_scaling.", "config.rope_parameters."] {
        let keys = Keys::new(&model.metadata, prefix);
        let need = |name| keys.positive(name)?.ok_or_else(|| keys.missing(name));
        match keys.string("rope_type").or_else(|| keys.string("type")) {
            None => {}
            Some("default") => return Ok(RopeScaling::None),
            Some("linear") => return Ok(RopeScaling::Linear(need("factor")?)),
            Some("llama3") => {
                let scaling = RopeScaling::Llama3 {
                    factor: need("factor")?,
                    low: need("low_freq_factor")?,
                    high: need("high_freq_factor")?,
                    original: need("original_max_position_embeddings")?,
                };
                return match scaling {
                    RopeScaling::Llama3 { low, high, .. } if high <= low => Err(Fault::new(
                        crate::fault::Blame::File,
                        format!("{prefix}high_freq_factor: above {low} expected, {high} found"),
                    )),
                    other => Ok(other),
                };
            }
            Some(other) => return Err(unknown_scaling(other)),
        }
    }
    Ok(RopeScaling::None)
}

fn unknown_scaling(name: &str) -> Fault {
    Fault::unsupported(format!("rotary scaling {name:?} cannot be run yet (known: linear, llama3)"))
}
