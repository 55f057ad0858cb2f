//! Models with layers that carry a state from token to token.

use super::{granite_moe, qwen_moe, rotated};
use crate::{
    arch::Key,
    convert::to_gguf::{config::missing, settings::Settings},
    fault::{Fault, Result},
    model::MetaValue,
};

pub(super) fn granite_hybrid(s: &mut Settings<'_>) -> Result<()> {
    granite_moe(s)?;
    let kinds = s.config.list(&["layer_types"]).ok_or_else(|| missing(&["layer_types"]))?;
    let attends = |kind: &MetaValue| matches!(kind, MetaValue::String(k) if k == "attention" || k == "full_attention");
    let recurrent: Vec<bool> = kinds.iter().map(|kind| !attends(kind)).collect();
    if !recurrent.contains(&true) {
        return Err(Fault::unsupported(
            "a hybrid Granite without recurrent layers is a Granite, and cannot be converted to GGUF yet",
        ));
    }
    s.u32("ssm.conv_kernel", s.known(Key::ConvKernel)?)?;
    s.u32("ssm.state_size", s.known(Key::SsmSize)?)?;
    s.u32("ssm.group_count", s.known(Key::SsmGroups)?)?;
    s.u32("ssm.inner_size", s.known(Key::SsmInner)?)?;
    s.u32("ssm.time_step_rank", s.known(Key::SsmHeads)?)?;
    let heads = s.config.need(&["num_key_value_heads"])? as i64;
    s.i32s("attention.head_count_kv", &recurrent.iter().map(|r| if *r { 0 } else { heads }).collect::<Vec<_>>())?;
    // Positions are told by the recurrence; the context is arbitrary then.
    s.flag("rope.scaling.finetuned", false)?;
    s.u32("context_length", 1 << 20)
}

pub(super) fn qwen3_next(s: &mut Settings<'_>) -> Result<()> {
    qwen_moe(s)?;
    s.u32("ssm.conv_kernel", s.known(Key::ConvKernel)?)?;
    s.u32("ssm.state_size", s.config.need(&["linear_key_head_dim"])?)?;
    s.u32("ssm.group_count", s.config.need(&["linear_num_key_heads"])?)?;
    let (heads, width) = (s.config.need(&["linear_num_value_heads"])?, s.config.need(&["linear_value_head_dim"])?);
    s.u32("ssm.time_step_rank", heads)?;
    s.u32("ssm.inner_size", heads.saturating_mul(width))?;
    if let Some(recurrent) = s.config.layers_of_kind("linear_attention") {
        s.flags("attention.recurrent_layers", &recurrent)?;
    }
    s.u32("full_attention_interval", s.config.whole(&["full_attention_interval"]).unwrap_or(4))?;
    let head = s.head_dim()?;
    s.u32("rope.dimension_count", rotated(s, 0.25, head)?)
}

/// What a recurrence states where a model has no attention: an arbitrary context, and zeros that loaders ask for.
fn recurrent(s: &mut Settings<'_>, state: u64) -> Result<()> {
    s.u32("context_length", 1 << 20)?;
    s.u32("embedding_length", s.known(Key::HiddenSize)?)?;
    s.u32("feed_forward_length", 0)?;
    s.u32("attention.head_count", 0)?;
    s.u32("block_count", s.known(Key::Layers)?)?;
    s.u32("ssm.conv_kernel", s.config.whole(&["conv_kernel", "d_conv"]).unwrap_or(4))?;
    s.u32("ssm.inner_size", s.known(Key::SsmInner)?)?;
    s.u32("ssm.state_size", s.config.whole(&["state_size", "d_state"]).unwrap_or(state))
}

pub(super) fn mamba(s: &mut Settings<'_>) -> Result<()> {
    recurrent(s, 16)?;
    s.u32("ssm.time_step_rank", s.known(Key::SsmRank)?)?;
    let eps = s.config.real(&["layer_norm_epsilon", "rms_norm_eps"]);
    s.f32("attention.layer_norm_rms_epsilon", eps.unwrap_or(1e-5))?;
    s.flag("ssm.dt_b_c_rms", s.numbers.name() == "falcon_mamba")?;
    s.file_type()
}

pub(super) fn mamba2(s: &mut Settings<'_>) -> Result<()> {
    recurrent(s, 128)?;
    s.u32("ssm.time_step_rank", s.known(Key::SsmHeads)?)?;
    s.u32("ssm.group_count", s.config.whole(&["n_groups"]).unwrap_or(1))?;
    let eps = s.config.real(&["layer_norm_epsilon", "rms_norm_eps"]);
    s.f32("attention.layer_norm_rms_epsilon", eps.unwrap_or(1e-5))?;
    s.file_type()
}

pub(super) fn lfm2(s: &mut Settings<'_>) -> Result<()> {
    s.base()?;
    let heads = s.config.need(&["num_key_value_heads"])? as i64;
    let plain = s.config.layers_of_kind("conv").ok_or_else(|| missing(&["layer_types"]))?;
    s.i32s("attention.head_count_kv", &plain.iter().map(|conv| if *conv { 0 } else { heads }).collect::<Vec<_>>())?;
    s.whole("vocab_size", &["vocab_size"])?;
    s.u32("shortconv.l_cache", s.config.need(&["conv_L_cache"])?)?;
    s.f32("attention.layer_norm_rms_epsilon", s.config.real(&["norm_eps"]).unwrap_or(1e-5))?;
    s.u32("feed_forward_length", s.known(Key::IntermediateSize)?)
}

pub(super) fn qwen35(s: &mut Settings<'_>) -> Result<()> {
    qwen3_next(s)?;
    // What the class has where a configuration states none.
    match s.config.rope("mrope_section") {
        None => s.i32s("rope.dimension_sections", &[11, 11, 10, 0]),
        Some(_) => Ok(()),
    }
}
