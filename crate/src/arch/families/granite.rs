//! Granite: Llama with multipliers; with experts; with recurrent layers.

use super::{
    super::{
        Architecture, Role,
        tensors::{needed, optional},
    },
    ATTENTION, BASE, ENDS, EXPERTS, GATED_MLP,
};
use crate::ir::Pairing;

pub(super) static GRANITE: Architecture = Architecture {
    name: "granite",
    gguf: &["granite"],
    model_types: &["granite"],
    tensors: &[ENDS, ATTENTION, GATED_MLP],
    gguf_pairing: Pairing::Interleaved,
    lacks: "multipliers on residuals and logits",
    ..BASE
};

pub(super) static GRANITE_MOE: Architecture = Architecture {
    name: "granitemoe",
    gguf: &["granitemoe"],
    model_types: &["granitemoe"],
    tensors: &[ENDS, ATTENTION, EXPERTS, &[optional(Role::GateUpExperts)]],
    gguf_pairing: Pairing::Interleaved,
    closed: false,
    lacks: "experts",
    ..BASE
};

pub(super) static GRANITE_HYBRID: Architecture = Architecture {
    name: "granitehybrid",
    gguf: &["granitehybrid"],
    model_types: &["granitemoehybrid"],
    tensors: &[
        ENDS,
        &[
            needed(Role::AttnNorm),
            needed(Role::AttnQ).unless(Role::SsmIn),
            needed(Role::AttnK).unless(Role::SsmIn),
            needed(Role::AttnV).unless(Role::SsmIn),
            needed(Role::AttnOutput).unless(Role::SsmIn),
            optional(Role::SsmIn),
            optional(Role::SsmConv),
            optional(Role::SsmDt),
            optional(Role::SsmDtBias),
            optional(Role::SsmA),
            optional(Role::SsmD),
            optional(Role::SsmNorm),
            optional(Role::SsmOut),
            needed(Role::FfnNorm),
            optional(Role::FfnGateUp).shape(&[]).in_gguf(&[]),
            optional(Role::FfnGate).shape(&[]),
            optional(Role::FfnUp).shape(&[]),
            optional(Role::FfnDown).shape(&[]),
            optional(Role::SharedGate),
            optional(Role::SharedUp),
            optional(Role::SharedDown),
            optional(Role::GateUpExperts),
        ],
        EXPERTS,
    ],
    closed: false,
    lacks: "recurrent layers (Mamba-2)",
    ..BASE
};
