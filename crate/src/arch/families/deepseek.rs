//! DeepSeek V2 and V3: latent attention, shared and routed experts.

use super::{
    super::{
        Architecture, Role,
        tensors::{needed, optional},
    },
    BASE, ENDS, EXPERTS,
};
use crate::ir::Pairing;

pub(super) static DEEPSEEK2: Architecture = Architecture {
    name: "deepseek2",
    gguf: &["deepseek2"],
    model_types: &["deepseek_v2", "deepseek_v3"],
    tensors: &[
        ENDS,
        &[
            needed(Role::AttnNorm),
            optional(Role::AttnQ).shape(&[]),
            optional(Role::QLow),
            optional(Role::QLowNorm),
            optional(Role::QHigh),
            needed(Role::KvLow),
            needed(Role::KvLowNorm),
            optional(Role::KvHigh),
            optional(Role::KHigh),
            optional(Role::VHigh),
            needed(Role::AttnOutput).shape(&[]),
            optional(Role::SharedGate).shape(&[]),
            optional(Role::SharedUp).shape(&[]),
            optional(Role::SharedDown).shape(&[]),
        ],
        EXPERTS,
    ],
    closed: false,
    gguf_pairing: Pairing::Interleaved,
    lacks: "latent attention and experts",
    ..BASE
};
