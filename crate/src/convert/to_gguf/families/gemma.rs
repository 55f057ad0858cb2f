//! Gemma: what it states beside others, and the numbers that its full layers have apart.

use super::pooling;
use crate::{
    arch::Key,
    convert::to_gguf::{config::missing, settings::Settings},
    fault::{Fault, Result},
};

/// What Gemma 1 and 2 state.
pub(super) fn gemma(s: &mut Settings<'_>) -> Result<()> {
    s.whole("context_length", &["max_position_embeddings"])?;
    s.whole("embedding_length", &["hidden_size"])?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.whole("feed_forward_length", &["intermediate_size"])?;
    s.u32("attention.head_count", s.known(Key::Heads)?)?;
    s.u32("attention.head_count_kv", s.known(Key::KvHeads)?)?;
    s.f32("attention.layer_norm_rms_epsilon", s.config.real(&["rms_norm_eps"]).unwrap_or(1e-6))?;
    let head = s.config.whole(&["head_dim"]).unwrap_or(256);
    s.u32("attention.key_length", head)?;
    s.u32("attention.value_length", head)?;
    s.file_type()
}

pub(super) fn gemma2(s: &mut Settings<'_>) -> Result<()> {
    gemma(s)?;
    s.f32("attn_logit_softcapping", s.config.real(&["attn_logit_softcapping"]).unwrap_or(50.0))?;
    s.f32("final_logit_softcapping", s.config.real(&["final_logit_softcapping"]).unwrap_or(30.0))?;
    s.u32("attention.sliding_window", s.config.whole(&["sliding_window"]).unwrap_or(4096))
}

pub(super) fn gemma3(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.u32("context_length", s.config.whole(&["max_position_embeddings"]).unwrap_or(131_072))?;
    s.u32("attention.head_count", s.config.whole(&["num_attention_heads"]).unwrap_or(8))?;
    s.f32("attention.layer_norm_rms_epsilon", s.config.real(&["rms_norm_eps"]).unwrap_or(1e-6))?;
    let head = s.config.whole(&["head_dim"]).unwrap_or(256);
    s.u32("attention.key_length", head)?;
    s.u32("attention.value_length", head)?;
    s.f32("rope.freq_base", s.config.rope_base().unwrap_or(1e6))?;
    s.real("final_logit_softcapping", &["final_logit_softcapping"])?;
    if s.config.whole(&["sliding_window_pattern", "_sliding_window_pattern"]) != Some(1) {
        s.u32("attention.sliding_window", s.config.whole(&["sliding_window"]).unwrap_or(4096))?;
    }
    s.u32("attention.head_count_kv", s.config.whole(&["num_key_value_heads"]).unwrap_or(4))
}

/// The first layer without a window, whose heads are wider.
pub(in crate::convert::to_gguf) fn full_layer(s: &Settings<'_>) -> Result<u32> {
    let windowed = s.config.layers_of_kind("sliding_attention").ok_or_else(|| missing(&["layer_types"]))?;
    let full = windowed.iter().position(|w| !w);
    full.map(|l| l as u32)
        .ok_or_else(|| Fault::unsupported("Gemma 4 without a layer that sees everything cannot be converted"))
}

pub(super) fn gemma4(s: &mut Settings<'_>) -> Result<()> {
    if s.config.flag(&["enable_moe_block"]) == Some(true) || s.config.flag(&["use_double_wide_mlp"]) == Some(true) {
        return Err(Fault::unsupported(
            "Gemma 4 with experts, or with layers of twice the width, cannot be converted to GGUF yet",
        ));
    }
    gemma3(s)?;
    let full = full_layer(s)?;
    s.u32("attention.shared_kv_layers", s.config.whole(&["num_kv_shared_layers"]).unwrap_or(0))?;
    s.u32("embedding_length_per_layer_input", s.config.whole(&["hidden_size_per_layer_input"]).unwrap_or(0))?;
    let windowed = s.config.layers_of_kind("sliding_attention").unwrap_or_default();
    s.flags("attention.sliding_window_pattern", &windowed)?;
    let wide = s.numbers.at(Key::HeadDim, full).ok_or_else(|| s.numbers.missing(Key::HeadDim))?;
    let narrow = s.config.need(&["head_dim"])?;
    for (key, n) in [
        ("attention.key_length", wide),
        ("attention.value_length", wide),
        ("attention.key_length_swa", narrow),
        ("attention.value_length_swa", narrow),
    ] {
        s.u32(key, n)?;
    }
    let heads = |layer: u32| s.numbers.at(Key::KvHeads, layer).ok_or_else(|| s.numbers.missing(Key::KvHeads));
    let all = (0..windowed.len() as u32).map(heads).collect::<Result<Vec<u64>>>()?;
    if all.windows(2).any(|pair| pair[0] != pair[1]) {
        s.i32s("attention.head_count_kv", &all.iter().map(|n| *n as i64).collect::<Vec<_>>())?;
    }
    s.u32("rope.dimension_count", wide)?;
    s.u32("rope.dimension_count_swa", narrow)
}

pub(super) fn gemma_embedding(s: &mut Settings<'_>) -> Result<()> {
    gemma3(s)?;
    s.u32("attention.sliding_window", s.config.need(&["sliding_window"])?)?;
    pooling(s)
}
