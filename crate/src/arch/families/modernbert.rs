//! ModernBERT: rotation, GeGLU, local and global layers.

use super::{
    super::{
        Architecture, Role,
        tensors::{needed, optional},
    },
    BASE,
};
use crate::ir::Unary;

pub(super) static MODERN_BERT: Architecture = Architecture {
    name: "modern-bert",
    gguf: &["modern-bert"],
    model_types: &["modernbert"],
    tensors: &[&[
        needed(Role::TokenEmbedding),
        needed(Role::EmbeddingNorm),
        needed(Role::OutputNorm),
        // The first layer has none.
        optional(Role::AttnNorm),
        needed(Role::AttnQkv),
        needed(Role::AttnOutput),
        needed(Role::FfnNorm),
        needed(Role::FfnGateUp),
        needed(Role::FfnDown),
    ]],
    extras: &["head.dense", "head.norm", "decoder"],
    closed: false,
    layer_norm: true,
    encoder: true,
    activation: Unary::Gelu,
    lacks: "windows that reach both ways",
    ..BASE
};
