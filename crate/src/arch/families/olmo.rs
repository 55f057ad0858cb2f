//! OLMo: norms without weights (1), norms after and of whole queries and keys (2), with experts.

use super::{
    super::{
        Architecture, Role, Row,
        tensors::{KEYS, QUERIES, needed, optional},
    },
    ATTENTION, BASE, ENDS, EXPERTS, GATED_MLP,
};
use crate::ir::Pairing;

/// Norms of whole rows of queries and keys.
const ROW_NORMS: &[Row] = &[needed(Role::QNorm).shape(&[QUERIES]), needed(Role::KNorm).shape(&[KEYS])];

pub(super) static OLMO: Architecture = Architecture {
    name: "olmo",
    gguf: &["olmo"],
    model_types: &["olmo"],
    tensors: &[
        &[optional(Role::OutputNorm), optional(Role::AttnNorm), optional(Role::FfnNorm)],
        ENDS,
        ATTENTION,
        GATED_MLP,
    ],
    gguf_pairing: Pairing::Interleaved,
    lacks: "norms without weights",
    ..BASE
};

pub(super) static OLMO2: Architecture = Architecture {
    name: "olmo2",
    gguf: &["olmo2"],
    model_types: &["olmo2"],
    tensors: &[
        ENDS,
        ROW_NORMS,
        &[
            needed(Role::AttnQ),
            needed(Role::AttnK),
            needed(Role::AttnV),
            needed(Role::AttnOutput),
            needed(Role::PostAttnNorm),
            needed(Role::FfnGate),
            needed(Role::FfnUp),
            needed(Role::FfnDown),
            needed(Role::PostFfnNorm),
        ],
    ],
    ..BASE
};

pub(super) static OLMOE: Architecture = Architecture {
    name: "olmoe",
    gguf: &["olmoe"],
    model_types: &["olmoe"],
    tensors: &[ENDS, ROW_NORMS, ATTENTION, EXPERTS],
    lacks: "experts",
    ..BASE
};
