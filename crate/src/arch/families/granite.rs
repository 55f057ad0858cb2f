//! Granite: Llama with multipliers; with experts; with recurrent layers.

use super::{
    super::{
        Architecture, Dim, Hparams, Key, Net, Numbers, Role, Row,
        tensors::{needed, optional},
    },
    ATTENTION, BASE, ENDS, EXPERTS, GATED_MLP,
};
use crate::{
    fault::Result,
    ir::{Gating, Pairing, Tensor, Unary},
};

/// Granite (transformers `modeling_granite.py`).
pub(super) static GRANITE: Architecture = Architecture {
    name: "granite",
    gguf: &["granite"],
    model_types: &["granite"],
    tensors: &[ENDS, ATTENTION, GATED_MLP],
    gguf_pairing: Pairing::Interleaved,
    adjust: Some(granite_numbers),
    forward: Some(granite),
    ..BASE
};

fn granite<'g>(m: &Net<'g>) -> Tensor<'g> {
    let scale = Unary::Scale(m.hparams().residual_scale.unwrap_or(1.0));
    let mut x = m.embed();
    for l in m.layers() {
        x += l.rotary_attention(l.rms_norm(x, Role::AttnNorm)).map(scale);
        x += l.mixture(l.rms_norm(x, Role::FfnNorm)).map(scale);
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

fn granite_numbers(h: &mut Hparams, _: &Numbers<'_>) -> Result<()> {
    // Logits are divided by it.
    h.logit_scale = h.logit_scale.map(f32::recip);
    Ok(())
}

pub(super) static GRANITE_MOE: Architecture = Architecture {
    name: "granitemoe",
    gguf: &["granitemoe"],
    model_types: &["granitemoe"],
    tensors: &[ENDS, ATTENTION, EXPERTS, SHARED],
    gguf_pairing: Pairing::Interleaved,
    closed: false,
    // As softmax of the chosen: all others are left out of the sum.
    routing: (Gating::SoftmaxOfChosen, false),
    adjust: Some(granite_numbers),
    forward: Some(granite),
    ..BASE
};

/// The layer that all tokens share beside the experts, where there is one; folders have gate and up in one tensor.
const SHARED: &[Row] = &[
    optional(Role::SharedGate),
    optional(Role::SharedUp),
    optional(Role::SharedGateUp).shape(&[Dim::Times(2, Key::SharedExpertSize), Dim::Of(Key::HiddenSize)]),
    optional(Role::SharedDown),
];

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
