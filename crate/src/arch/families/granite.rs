//! Granite: Llama with multipliers; with experts; with recurrent layers.

use super::{
    super::{
        Architecture, Dim, Form, Hparams, Key, Layer, Net, Numbers, PerLayer, Role, Row, Rule, Ssm,
        tensors::{SHARED_FFN, WIDTH, needed, optional},
        weights::Part,
    },
    ATTENTION, BASE, ENDS, EXPERTS, GATED_MLP,
    mamba::{EXPANDED, SECOND},
    usual,
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
        SECOND,
        &[
            needed(Role::AttnQ).unless(Role::SsmOut),
            needed(Role::AttnK).unless(Role::SsmOut),
            needed(Role::AttnV).unless(Role::SsmOut),
            needed(Role::AttnOutput).unless(Role::SsmOut),
            needed(Role::FfnNorm),
            // What all tokens share: in folders in two tensors; in GGUF files named as an expert beside others.
            needed(Role::FfnGateUp).shape(&[Dim::Times(2, Key::SharedExpertSize), WIDTH]).in_gguf(&[]),
            needed(Role::FfnGate).shape(&[SHARED_FFN, WIDTH]).in_folders(&[]).unless(Role::SharedGate),
            needed(Role::FfnUp).shape(&[SHARED_FFN, WIDTH]).in_folders(&[]).unless(Role::SharedUp),
            needed(Role::FfnDown).shape(&[WIDTH, SHARED_FFN]).unless(Role::SharedDown),
            optional(Role::SharedGate),
            optional(Role::SharedUp),
            optional(Role::SharedDown),
            optional(Role::GateUpExperts),
        ],
        EXPERTS,
    ],
    gguf_pairing: Pairing::Interleaved,
    closed: false,
    recurrent: true,
    rules: &[EXPANDED, SHARED_WIDTH],
    routing: (Gating::SoftmaxOfChosen, false),
    adjust: Some(hybrid_numbers),
    forward: Some(hybrid),
    ..BASE
};

/// Without experts one width is stated.
const SHARED_WIDTH: Rule = Rule { value: Dim::Of(Key::IntermediateSize), ..usual(Key::SharedExpertSize) };

fn hybrid_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    granite_numbers(h, numbers)?;
    h.ssm = Some(Ssm::second(numbers)?);
    // Positions are in the order of the recurrence, and attention does without unless the model says otherwise.
    let rotates = match numbers.form() {
        Form::Gguf => numbers.flag(Key::RopeFinetuned)?.unwrap_or(true),
        Form::Folder => numbers.text(Key::PositionKind)? == Some("rope"),
    };
    h.rotated = PerLayer::Same(rotates);
    // Of models with experts the other width is that of an expert.
    h.intermediate_size = PerLayer::Same(numbers.count(Key::SharedExpertSize, 0)?);
    Ok(())
}

/// The feed-forward layer that all tokens share: in one tensor in folders; named as an expert beside others in GGUF files.
fn shared_mlp<'g>(l: &Layer<'_, 'g>, x: Tensor<'g>) -> Tensor<'g> {
    let n = l.h().intermediate_size.at(l.index);
    let [gate, up, down] = match l.has(Role::SharedGate) {
        true => [Role::SharedGate, Role::SharedUp, Role::SharedDown],
        false => [Role::FfnGate, Role::FfnUp, Role::FfnDown],
    };
    let half = |first| [Part::rows(first, n)];
    let [gate, up] = match l.has(Role::FfnGateUp) {
        true => [0, n].map(|first| l.map_parts(x, Role::FfnGateUp, 2 * n, &half(first))),
        false => [l.map(x, gate, n), l.map(x, up, n)],
    };
    l.map(gate.map(l.activation()) * up, down, x.width())
}

fn hybrid<'g>(m: &Net<'g>) -> Tensor<'g> {
    let scale = Unary::Scale(m.hparams().residual_scale.unwrap_or(1.0));
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.rms_norm(x, Role::AttnNorm);
        let h = if l.has(Role::SsmIn) { l.mamba2(h) } else { l.rotary_attention(h) };
        x += h.map(scale);
        let h = l.rms_norm(x, Role::FfnNorm);
        let shared = shared_mlp(&l, h);
        x += if l.has(Role::Router) { (l.experts(h) + shared).map(scale) } else { shared.map(scale) };
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}
