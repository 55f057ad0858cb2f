//! Qwen: Llama with biases on queries, keys and values (2), or with norms of their heads (3); with experts; with
//! recurrent layers.

use super::{
    super::{
        Architecture, Form, Hparams, Key, Net, Numbers, Role, Row,
        tensors::{needed, optional},
    },
    ATTENTION, BASE, ENDS, EXPERTS, GATED_MLP, HEAD_NORMS, SHARED_EXPERT, llama,
};
use crate::{
    fault::Result,
    ir::{Gating, Tensor},
};

pub(super) static QWEN2: Architecture = Architecture {
    name: "qwen2",
    gguf: &["qwen2"],
    model_types: &["qwen2"],
    tensors: &[ENDS, ATTENTION, GATED_MLP],
    asks_for_window: true,
    forward: Some(llama::forward),
    ..BASE
};

pub(super) static QWEN3: Architecture = Architecture {
    name: "qwen3",
    gguf: &["qwen3"],
    model_types: &["qwen3"],
    tensors: &[ENDS, ATTENTION, HEAD_NORMS, GATED_MLP],
    asks_for_window: true,
    forward: Some(qwen3),
    ..BASE
};

fn qwen3<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.normed_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

pub(super) static QWEN2_MOE: Architecture = Architecture {
    name: "qwen2moe",
    gguf: &["qwen2moe"],
    model_types: &["qwen2_moe"],
    tensors: &[ENDS, ATTENTION, EXPERTS, SHARED_EXPERT],
    asks_for_window: true,
    routing: (Gating::Softmax, false),
    forward: Some(llama::mixtral),
    ..BASE
};

pub(super) static QWEN3_MOE: Architecture = Architecture {
    name: "qwen3moe",
    gguf: &["qwen3moe"],
    model_types: &["qwen3_moe"],
    tensors: &[ENDS, ATTENTION, HEAD_NORMS, EXPERTS],
    asks_for_window: true,
    adjust: Some(qwen3_moe_numbers),
    forward: Some(qwen3_moe),
    ..BASE
};

fn qwen3_moe<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.normed_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.mixture(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// A configuration that says nothing does not divide weights by their sum; the runner of GGUF files always does.
fn qwen3_moe_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    let stated = numbers.find(Key::NormalisedWeights).is_some();
    if let Some(routing) = h.routing.as_mut().filter(|_| !stated) {
        routing.normalise = numbers.form() == Form::Gguf;
    }
    Ok(())
}

/// Layers of attention with an output gate (queries are twice as many rows), others with a gated delta net.
const HYBRID: &[Row] = &[
    needed(Role::AttnNorm),
    needed(Role::FfnNorm).in_gguf(&["blk.{l}.post_attention_norm"]),
    needed(Role::AttnQ).shape(&[]).unless(Role::SsmOut),
    needed(Role::AttnK).unless(Role::SsmOut),
    needed(Role::AttnV).unless(Role::SsmOut),
    needed(Role::AttnOutput).unless(Role::SsmOut),
    needed(Role::QNorm).unless(Role::SsmOut),
    needed(Role::KNorm).unless(Role::SsmOut),
    optional(Role::AttnQkv).shape(&[]),
    optional(Role::AttnGate),
    optional(Role::SsmA),
    optional(Role::SsmDt),
    optional(Role::SsmDtBias),
    optional(Role::SsmConv),
    optional(Role::SsmIn),
    optional(Role::SsmAlpha),
    optional(Role::SsmBeta),
    optional(Role::SsmBetaAlpha),
    optional(Role::SsmNorm),
    optional(Role::SsmOut),
];

pub(super) static QWEN3_NEXT: Architecture = Architecture {
    name: "qwen3next",
    gguf: &["qwen3next"],
    model_types: &["qwen3_next"],
    tensors: &[HYBRID, ENDS, EXPERTS, SHARED_EXPERT],
    closed: false,
    lacks: "experts and gated delta nets",
    ..BASE
};

pub(super) static QWEN35: Architecture = Architecture {
    name: "qwen35",
    gguf: &["qwen35"],
    model_types: &["qwen3_5_text", "qwen3_5"],
    tensors: &[HYBRID, ENDS, GATED_MLP],
    closed: false,
    lacks: "gated delta nets",
    ..BASE
};
