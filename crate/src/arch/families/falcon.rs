//! Falcon: one or few key heads, attention and feed-forward layer side by side.

use super::{
    super::{
        Architecture, Role,
        tensors::{needed, optional},
    },
    BASE, ENDS, FOUR_TIMES, FUSED_ATTENTION,
};
use crate::ir::Unary;

pub(super) static FALCON: Architecture = Architecture {
    name: "falcon",
    gguf: &["falcon"],
    model_types: &["falcon"],
    tensors: &[
        // What the number of key heads is depends on three settings.
        &[needed(Role::AttnQkv).shape(&[]), optional(Role::AttnNorm)],
        ENDS,
        FUSED_ATTENTION,
        &[optional(Role::FfnNorm), needed(Role::FfnUp), needed(Role::FfnDown)],
    ],
    // Larger ones have a norm for each of the two.
    extras: &["blk.{l}.attn_norm_2", "h.{l}.ln_attn", "h.{l}.ln_mlp"],
    rules: &[FOUR_TIMES],
    layer_norm: true,
    activation: Unary::Gelu,
    ..BASE
};
