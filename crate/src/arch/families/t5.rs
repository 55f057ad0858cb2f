//! T5's encoder: relative positions, no scaling of scores.

use super::{
    super::{
        Architecture, Role,
        tensors::{needed, optional},
    },
    BASE,
};
use crate::ir::Unary;

pub(super) static T5_ENCODER: Architecture = Architecture {
    name: "t5encoder",
    gguf: &["t5encoder"],
    model_types: &["t5"],
    tensors: &[&[
        needed(Role::TokenEmbedding),
        needed(Role::OutputNorm),
        optional(Role::Output),
        needed(Role::AttnNorm),
        needed(Role::AttnQ),
        needed(Role::AttnK),
        needed(Role::AttnV),
        needed(Role::AttnOutput),
        optional(Role::RelativeBias),
        needed(Role::FfnNorm),
        // Version 1.1 has two maps instead.
        optional(Role::FfnUp),
        needed(Role::FfnDown),
    ]],
    closed: false,
    encoder: true,
    rotary: false,
    activation: Unary::Relu,
    lacks: "relative positions in buckets",
    ..BASE
};
