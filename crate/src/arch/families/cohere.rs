//! Command R: attention and feed-forward layer side by side, LayerNorm without bias.

use super::{
    super::{
        Architecture, Role,
        tensors::{needed, optional},
    },
    ATTENTION, BASE, ENDS,
};
use crate::ir::Pairing;

pub(super) static COMMAND_R: Architecture = Architecture {
    name: "command-r",
    gguf: &["command-r"],
    model_types: &["cohere"],
    tensors: &[
        ENDS,
        ATTENTION,
        &[
            optional(Role::QNorm).shape(&[]),
            optional(Role::KNorm).shape(&[]),
            needed(Role::FfnGate),
            needed(Role::FfnUp),
            needed(Role::FfnDown),
        ],
    ],
    layer_norm: true,
    gguf_pairing: Pairing::Interleaved,
    lacks: "a multiplier on logits",
    ..BASE
};

pub(super) static COHERE2: Architecture = Architecture {
    name: "cohere2",
    gguf: &["cohere2"],
    model_types: &["cohere2"],
    tensors: &[ENDS, ATTENTION, &[needed(Role::FfnGate), needed(Role::FfnUp), needed(Role::FfnDown)]],
    layer_norm: true,
    gguf_pairing: Pairing::Interleaved,
    lacks: "layers without rotation",
    ..BASE
};
