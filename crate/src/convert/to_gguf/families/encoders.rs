//! Encoders: BERT and its kin, ModernBERT, T5's encoder.

use super::pooling;
use crate::{
    arch::{Key, Numbers},
    convert::to_gguf::{config::Config, settings::Settings},
    fault::Result,
};

pub(super) fn bert(s: &mut Settings<'_>) -> Result<()> {
    if s.numbers.name() == "distilbert" {
        s.f32("attention.layer_norm_epsilon", 1e-12)?;
    }
    s.base()?;
    // Spelt otherwise by DistilBERT, and counted from behind padding by RoBERTa.
    s.u32("context_length", s.known(Key::Context)?.saturating_sub(first_position(s.numbers, &s.config)))?;
    s.u32("embedding_length", s.known(Key::HiddenSize)?)?;
    s.u32("feed_forward_length", s.known(Key::IntermediateSize)?)?;
    s.u32("attention.head_count", s.known(Key::Heads)?)?;
    s.flag("attention.causal", false)?;
    pooling(s)
}

/// The first position that RoBERTa gives a token.
pub(in crate::convert::to_gguf) fn first_position(numbers: &Numbers<'_>, config: &Config<'_>) -> u64 {
    let counts = ["roberta", "xlm-roberta", "camembert"].contains(&numbers.name());
    if counts { config.whole(&["pad_token_id"]).unwrap_or(1).saturating_add(1) } else { 0 }
}

pub(super) fn modern_bert(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    s.flag("attention.causal", false)?;
    pooling(s)?;
    s.u32("attention.sliding_window", s.config.need(&["local_attention", "sliding_window"])?)?;
    s.whole("attention.sliding_window_pattern", &["global_attn_every_n_layers"])?;
    s.text("rope.scaling.type", "none")?;
    s.whole("vocab_size", &["vocab_size"])?;
    let activation = s.config.text(&["hidden_activation"]).map(str::to_owned);
    activation.map_or(Ok(()), |name| s.text("hidden_activation", &name))
}

pub(super) fn t5_encoder(s: &mut Settings<'_>) -> Result<()> {
    s.u32("context_length", s.config.whole(&["n_positions"]).unwrap_or(512))?;
    s.u32("embedding_length", s.config.need(&["d_model"])?)?;
    s.u32("feed_forward_length", s.config.need(&["d_ff"])?)?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.u32("attention.head_count", s.config.need(&["num_heads"])?)?;
    s.u32("attention.key_length", s.config.need(&["d_kv"])?)?;
    s.u32("attention.value_length", s.config.need(&["d_kv"])?)?;
    let eps = s.config.real(&["layer_norm_epsilon"]).unwrap_or(1e-6);
    s.f32("attention.layer_norm_epsilon", eps)?;
    s.u32("attention.relative_buckets_count", s.known(Key::RelativeBuckets)?)?;
    s.f32("attention.layer_norm_rms_epsilon", eps)?;
    s.file_type()
}
