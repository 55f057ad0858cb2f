//! Phi: attention and feed-forward layer side by side (2); Llama with fused tensors (3).

use super::{
    super::{
        Architecture, Role,
        tensors::{needed, optional},
    },
    ATTENTION, BASE, ENDS, llama, no_head_norms, parallel,
};
use crate::ir::Unary;

/// Phi 3 and 4 (transformers `modeling_phi3.py`): Llama's forward pass on fused tensors.
pub(super) static PHI3: Architecture = Architecture {
    name: "phi3",
    gguf: &["phi3"],
    model_types: &["phi3"],
    tensors: &[
        ENDS,
        &[
            needed(Role::AttnNorm),
            needed(Role::AttnQkv).unless(Role::AttnQ),
            optional(Role::AttnQ),
            optional(Role::AttnK),
            optional(Role::AttnV),
            needed(Role::AttnOutput),
            needed(Role::FfnNorm),
            needed(Role::FfnGateUp),
            needed(Role::FfnDown),
        ],
    ],
    forward: Some(llama::forward),
    ..BASE
};

/// Phi 1 and 2 (transformers `modeling_phi.py`).
pub(super) static PHI2: Architecture = Architecture {
    name: "phi2",
    gguf: &["phi2"],
    model_types: &["phi"],
    tensors: &[
        &[
            needed(Role::AttnQ).unless(Role::AttnQkv),
            needed(Role::AttnK).unless(Role::AttnQkv),
            needed(Role::AttnV).unless(Role::AttnQkv),
            optional(Role::AttnQkv),
        ],
        ENDS,
        ATTENTION,
        &[needed(Role::FfnUp), needed(Role::FfnDown)],
    ],
    layer_norm: true,
    activation: Unary::GeluTanh,
    rotary_part: 0.5,
    adjust: Some(no_head_norms),
    forward: Some(parallel),
    ..BASE
};
