//! What each architecture states beside what most do: the parts of llama.cpp's `conversion/*.py` that write hyper-parameters.

mod encoders;
mod gemma;
mod recurrent;

pub(super) use encoders::first_position;
pub(super) use gemma::full_layer;

use super::settings::Settings;
use crate::{
    arch::Key,
    fault::{Fault, Result},
    model::MetaValue,
};
use encoders::{bert, modern_bert, t5_encoder};
use gemma::{gemma, gemma_embedding, gemma2, gemma3, gemma4};
use recurrent::{granite_hybrid, lfm2, mamba, mamba2, qwen3_next, qwen35};

/// Writes an architecture's hyper-parameters.
pub(super) type Write = fn(&mut Settings<'_>) -> Result<()>;

/// By `general.architecture`.
const FAMILIES: &[(&str, Write)] = &[
    ("bert", bert),
    ("bloom", bloom),
    ("cohere2", cohere2),
    ("command-r", command_r),
    ("deepseek2", deepseek2),
    ("ernie4_5", base),
    ("exaone4", exaone4),
    ("falcon", falcon),
    ("gemma", gemma),
    ("gemma-embedding", gemma_embedding),
    ("gemma2", gemma2),
    ("gemma3", gemma3),
    ("gemma4", gemma4),
    ("glm4", glm4),
    ("gpt-oss", gpt_oss),
    ("gpt2", gpt2),
    ("gptneox", gptneox),
    ("granite", granite),
    ("granitehybrid", granite_hybrid),
    ("granitemoe", granite_moe),
    ("hunyuan-dense", hunyuan),
    ("llama", llama),
    ("lfm2", lfm2),
    ("mamba", mamba),
    ("mamba2", mamba2),
    ("modern-bert", modern_bert),
    ("nemotron", nemotron),
    ("olmo", olmo),
    ("olmo2", olmo2),
    ("olmoe", olmoe),
    ("phi2", phi2),
    ("phi3", phi3),
    ("qwen2", qwen2),
    ("qwen2moe", qwen_moe),
    ("qwen3", qwen2),
    ("qwen3moe", qwen_moe),
    ("qwen35", qwen35),
    ("qwen3next", qwen3_next),
    ("seed_oss", base),
    ("smollm3", llama),
    ("stablelm", stablelm),
    ("starcoder2", base),
    ("t5encoder", t5_encoder),
];

/// What writes an architecture; `None` where none does yet.
pub(super) fn find(architecture: &str) -> Option<Write> {
    FAMILIES.iter().find(|(name, _)| *name == architecture).map(|(_, write)| *write)
}

/// Those that can be written, for messages.
pub(super) fn names() -> String {
    FAMILIES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn base(s: &mut Settings<'_>) -> Result<()> {
    s.base()
}

fn llama(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.whole("vocab_size", &["vocab_size"])?;
    s.u32("rope.dimension_count", s.head_dim()?)
}

fn qwen2(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    pooling(s)
}

fn qwen_moe(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.whole("expert_feed_forward_length", &["moe_intermediate_size"])?;
    s.whole("expert_shared_feed_forward_length", &["shared_expert_intermediate_size"])
}

fn phi2(s: &mut Settings<'_>) -> Result<()> {
    let (width, heads) =
        (s.config.need(&["hidden_size", "n_embd"])?, s.config.need(&["num_attention_heads", "n_head"])?);
    s.whole("context_length", &["n_positions", "max_position_embeddings"])?;
    s.u32("embedding_length", width)?;
    s.u32("feed_forward_length", 4 * width)?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.u32("attention.head_count", heads)?;
    s.u32("attention.head_count_kv", heads)?;
    s.f32("attention.layer_norm_epsilon", s.config.real(&["layer_norm_epsilon", "layer_norm_eps"]).unwrap_or(1e-5))?;
    s.u32("rope.dimension_count", rotated(s, 0.5, width)? / heads.max(1))?;
    s.file_type()?;
    s.flag("tokenizer.ggml.add_bos_token", false)
}

/// Which part of a width is rotated.
fn rotated(s: &Settings<'_>, usual: f64, width: u64) -> Result<u64> {
    let part = s.config.rotary_part().unwrap_or(usual);
    match (part * width as f64) as u64 {
        n if part.is_finite() && part > 0.0 && n <= width => Ok(n),
        _ => Err(Fault::unsupported(format!(
            "partial_rotary_factor {part}: a part of a head expected, above 0 and up to 1"
        ))),
    }
}

fn phi3(s: &mut Settings<'_>) -> Result<()> {
    let (width, heads) =
        (s.config.need(&["hidden_size", "n_embd"])?, s.config.need(&["num_attention_heads", "n_head"])?);
    s.whole("context_length", &["n_positions", "max_position_embeddings"])?;
    let original = s.config.rope("original_max_position_embeddings").and_then(MetaValue::unsigned);
    let original = original.or_else(|| s.config.whole(&["original_max_position_embeddings"])).unwrap_or(4096);
    s.u32("rope.scaling.original_context_length", original)?;
    s.u32("embedding_length", width)?;
    s.whole("feed_forward_length", &["intermediate_size"])?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.u32("attention.head_count", heads)?;
    s.u32("attention.head_count_kv", s.known(Key::KvHeads)?)?;
    s.f32("attention.layer_norm_rms_epsilon", s.config.real(&["rms_norm_eps"]).unwrap_or(1e-5))?;
    s.u32("rope.dimension_count", rotated(s, 1.0, width)? / heads.max(1))?;
    s.f32("rope.freq_base", s.config.rope_base().unwrap_or(1e4))?;
    s.file_type()?;
    // Zero tells Phi 4 from models with a window.
    s.u32("attention.sliding_window", s.config.whole(&["sliding_window"]).unwrap_or(0))
}

fn gpt2(s: &mut Settings<'_>) -> Result<()> {
    let width = s.config.need(&["n_embd", "hidden_size"])?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.u32("context_length", s.config.need(&["n_ctx", "n_positions", "max_position_embeddings"])?)?;
    s.u32("embedding_length", width)?;
    s.u32("feed_forward_length", s.known(Key::IntermediateSize)?)?;
    s.u32("attention.head_count", s.known(Key::Heads)?)?;
    s.f32("attention.layer_norm_epsilon", s.config.real(&["layer_norm_epsilon"]).unwrap_or(1e-5))?;
    s.file_type()
}

fn gptneox(s: &mut Settings<'_>) -> Result<()> {
    s.whole("context_length", &["max_position_embeddings"])?;
    s.whole("embedding_length", &["hidden_size"])?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.whole("feed_forward_length", &["intermediate_size"])?;
    let head = s.head_dim()?;
    s.u32("rope.dimension_count", rotated(s, 0.25, head)?)?;
    s.u32("attention.head_count", s.known(Key::Heads)?)?;
    s.flag("use_parallel_residual", s.config.flag(&["use_parallel_residual"]).unwrap_or(true))?;
    s.f32("attention.layer_norm_epsilon", s.config.real(&["layer_norm_eps"]).unwrap_or(1e-5))
}

fn bloom(s: &mut Settings<'_>) -> Result<()> {
    let (width, heads) =
        (s.config.need(&["hidden_size", "n_embed"])?, s.config.need(&["n_head", "num_attention_heads"])?);
    s.u32("context_length", s.config.whole(&["seq_length"]).unwrap_or(width))?;
    s.u32("embedding_length", width)?;
    s.u32("feed_forward_length", 4 * width)?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.u32("attention.head_count", heads)?;
    s.u32("attention.head_count_kv", heads)?;
    s.f32("attention.layer_norm_epsilon", s.config.real(&["layer_norm_epsilon"]).unwrap_or(1e-5))?;
    s.file_type()
}

fn falcon(s: &mut Settings<'_>) -> Result<()> {
    let width = s.config.need(&["hidden_size"])?;
    s.u32("context_length", 2048)?;
    s.text("tensor_data_layout", "jploski")?;
    s.u32("embedding_length", width)?;
    s.u32("feed_forward_length", 4 * width)?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.u32("attention.head_count", s.known(Key::Heads)?)?;
    s.u32("attention.head_count_kv", s.known(Key::KvHeads)?)?;
    s.f32("attention.layer_norm_epsilon", s.config.real(&["layer_norm_epsilon"]).unwrap_or(1e-5))?;
    s.file_type()
}

fn stablelm(s: &mut Settings<'_>) -> Result<()> {
    s.whole("context_length", &["max_position_embeddings"])?;
    s.whole("embedding_length", &["hidden_size"])?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.whole("feed_forward_length", &["intermediate_size"])?;
    let head = s.head_dim()?;
    s.u32("rope.dimension_count", rotated(s, 0.25, head)?)?;
    s.u32("attention.head_count", s.known(Key::Heads)?)?;
    s.u32("attention.head_count_kv", s.known(Key::KvHeads)?)?;
    s.flag("use_parallel_residual", s.config.flag(&["use_parallel_residual"]).unwrap_or(false))?;
    s.f32("attention.layer_norm_epsilon", s.config.real(&["layer_norm_eps", "norm_eps"]).unwrap_or(1e-5))?;
    s.file_type()
}

/// How sentences' states become one vector, as the pipeline beside the model says.
fn pooling(s: &mut Settings<'_>) -> Result<()> {
    let meta = &s.numbers.model().metadata;
    let module = |i: usize| {
        let kind = meta.string(&format!("modules.{i}.type"))?;
        kind.ends_with("Pooling").then(|| meta.string(&format!("modules.{i}.path"))).flatten()
    };
    if let Some(path) = (0..32).find_map(module) {
        let says = |key: &str| meta.boolean(&format!("module.{path}.{key}")) == Some(true);
        let named = meta.string(&format!("module.{path}.pooling_mode"));
        let number = match named {
            _ if says("pooling_mode_mean_tokens") => 1,
            _ if says("pooling_mode_cls_token") => 2,
            _ if says("pooling_mode_lasttoken") => 3,
            Some("mean") => 1,
            Some("cls") => 2,
            Some("lasttoken") => 3,
            _ => {
                return Err(Fault::unsupported(
                    "the pooling of modules.json is none of mean, cls and last token, which GGUF has",
                ));
            }
        };
        s.u32("pooling_type", number)?;
    }
    match s.config.text(&["classifier_pooling"]) {
        None => Ok(()),
        Some("mean") => s.u32("classifier.pooling_type", 1),
        Some("cls") => s.u32("classifier.pooling_type", 2),
        Some(other) => Err(Fault::unsupported(format!("classifier_pooling {other:?} has no number in GGUF"))),
    }
}

fn command_r(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.whole("context_length", &["model_max_length", "max_position_embeddings"])?;
    s.f32("logit_scale", s.config.real(&["logit_scale"]).unwrap_or(0.0625))?;
    s.text("rope.scaling.type", "none")
}

fn cohere2(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.f32("logit_scale", s.config.real(&["logit_scale"]).unwrap_or(0.0625))?;
    s.u32("attention.sliding_window", s.config.whole(&["sliding_window"]).unwrap_or(4096))?;
    s.whole("vocab_size", &["vocab_size"])?;
    let head = s.head_dim()?;
    s.u32("rope.dimension_count", rotated(s, 1.0, head)?)?;
    s.text("rope.scaling.type", "none")
}

fn olmo(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.f32("attention.layer_norm_epsilon", 1e-5)?;
    s.real("attention.clamp_kqv", &["clip_qkv"])
}

fn olmo2(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    let Some(window) = s.config.whole(&["sliding_window"]) else { return Ok(()) };
    s.u32("attention.sliding_window", window)?;
    let layers = s.known(Key::Layers)?.min(1 << 16);
    let kinds = s.config.layers_of_kind("sliding_attention");
    s.flags("attention.sliding_window_pattern", &kinds.unwrap_or_else(|| (1..=layers).map(|l| l % 4 != 0).collect()))
}

fn olmoe(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.f32("attention.layer_norm_rms_epsilon", 1e-5)
}

fn granite(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.whole("vocab_size", &["vocab_size"])?;
    s.u32("rope.dimension_count", s.known(Key::HiddenSize)? / s.known(Key::Heads)?.max(1))?;
    for (key, spelt) in [
        ("attention.scale", "attention_multiplier"),
        ("embedding_scale", "embedding_multiplier"),
        ("residual_scale", "residual_multiplier"),
        ("logit_scale", "logits_scaling"),
    ] {
        s.real(key, &[spelt])?;
    }
    Ok(())
}

fn granite_moe(s: &mut Settings<'_>) -> Result<()> {
    granite(s)?;
    s.whole("expert_shared_feed_forward_length", &["shared_intermediate_size"])
}

fn exaone4(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.whole("vocab_size", &["vocab_size"])?;
    let Some(window) = s.config.whole(&["sliding_window"]) else { return Ok(()) };
    s.u32("attention.sliding_window", window)?;
    let layers = s.known(Key::Layers)?.min(1 << 16);
    let spelt = ["sliding_window_pattern"];
    let by_letter = |letters: &str| {
        (0..layers as usize).map(|l| letters.as_bytes().get(l % letters.len().max(1)) == Some(&b'L')).collect()
    };
    let pattern: Option<Vec<bool>> = s
        .config
        .layers_of_kind("sliding_attention")
        .or_else(|| s.config.text(&spelt).map(by_letter))
        .or_else(|| s.config.whole(&spelt).filter(|n| *n > 0).map(|n| (1..=layers).map(|l| l % n != 0).collect()));
    pattern.map_or(Ok(()), |pattern| s.flags("attention.sliding_window_pattern", &pattern))
}

fn glm4(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    let head = s.head_dim()?;
    s.u32("rope.dimension_count", rotated(s, 0.5, head)?)
}

fn nemotron(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.whole("vocab_size", &["vocab_size"])?;
    let eps = s.config.real(&["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"]);
    s.f32("attention.layer_norm_epsilon", eps.unwrap_or(1e-5))?;
    let (width, heads) = (s.known(Key::HiddenSize)?, s.known(Key::Heads)?);
    s.u32("rope.dimension_count", rotated(s, 0.5, width)? / heads.max(1))?;
    match s.config.real(&["factor"]).or_else(|| s.config.rope_real("factor")) {
        None => s.text("rope.scaling.type", "none"),
        Some(factor) => {
            s.text("rope.scaling.type", "linear")?;
            s.f32("rope.scaling.factor", factor)
        }
    }
}

fn hunyuan(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    // A base that is larger at any length (transformers "dynamic" with an alpha).
    if let (Some("dynamic"), Some(alpha)) = (s.config.rope_kind(), s.config.rope_real("alpha").filter(|a| *a > 0.0)) {
        let (base, dim) = (s.config.rope_base().unwrap_or(1e4), s.head_dim()? as f64);
        s.f32("rope.freq_base", base * alpha.powf(dim / (dim - 2.0)))?;
        s.text("rope.scaling.type", "none")?;
        s.f32("rope.scaling.factor", 1.0)?;
        s.u32("rope.scaling.original_context_length", 256 * 1024)?;
        s.u32("context_length", 256 * 1024)?;
    }
    Ok(())
}

fn gpt_oss(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.u32("attention.sliding_window", s.config.whole(&["sliding_window"]).unwrap_or(128))?;
    s.u32("expert_feed_forward_length", s.known(Key::IntermediateSize)?)
}

fn deepseek2(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    // Latent attention is one group of wide heads.
    s.u32("attention.head_count_kv", 1)?;
    s.f32("attention.layer_norm_rms_epsilon", s.config.real(&["rms_norm_eps"]).unwrap_or(1e-6))?;
    let layers = s.known(Key::Layers)?;
    let without = if s.config.whole(&["n_routed_experts"]).is_some() { 0 } else { layers };
    s.u32("leading_dense_block_count", s.config.whole(&["first_k_dense_replace"]).unwrap_or(without))?;
    s.whole("vocab_size", &["vocab_size"])?;
    s.whole("attention.q_lora_rank", &["q_lora_rank"])?;
    let rank = s.config.whole(&["kv_lora_rank"]).unwrap_or(512);
    let (turned, still) = (s.config.need(&["qk_rope_head_dim"])?, s.config.need(&["qk_nope_head_dim"])?);
    s.u32("attention.kv_lora_rank", rank)?;
    s.u32("attention.key_length", rank + turned)?;
    s.u32("attention.value_length", rank)?;
    s.u32("attention.key_length_mla", still + turned)?;
    s.u32("attention.value_length_mla", s.config.need(&["v_head_dim"])?)?;
    s.u32("expert_feed_forward_length", s.config.need(&["moe_intermediate_size", "intermediate_size"])?)?;
    s.whole("expert_count", &["n_routed_experts"])?;
    s.u32("expert_shared_count", s.config.whole(&["n_shared_experts"]).unwrap_or(0))?;
    s.real("expert_weights_scale", &["routed_scaling_factor"])?;
    if s.config.flag(&["norm_topk_prob"]) == Some(true) {
        s.flag("expert_weights_norm", true)?;
    }
    s.u32("rope.dimension_count", turned)?;
    s.config.rope_real("mscale_all_dim").map_or(Ok(()), |x| s.f32("rope.scaling.yarn_log_multiplier", 0.1 * x))
}
