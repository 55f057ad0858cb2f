//! OLMo: norms without weights (1), norms after and of whole queries and keys (2), with experts.

use super::{
    super::{
        Architecture, Net, Role, Row,
        tensors::{KEYS, QUERIES, needed, optional},
    },
    ATTENTION, BASE, ENDS, EXPERTS, GATED_MLP,
};
use crate::ir::{Gating, Pairing, Tensor};

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

/// OLMo 2 (transformers `modeling_olmo2.py`).
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
    forward: Some(olmo2),
    ..BASE
};

fn olmo2<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let [q, k, v] = l.qkv(x);
        let q = l.rope(l.rms_norm(q, Role::QNorm));
        let k = l.rope(l.rms_norm(k, Role::KNorm));
        let h = l.linear(l.attention(q, k, v), Role::AttnOutput);
        x += l.rms_norm(h, Role::PostAttnNorm);
        x += l.rms_norm(l.gated_mlp(x), Role::PostFfnNorm);
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

pub(super) static OLMOE: Architecture = Architecture {
    name: "olmoe",
    gguf: &["olmoe"],
    model_types: &["olmoe"],
    tensors: &[ENDS, ROW_NORMS, ATTENTION, EXPERTS],
    routing: (Gating::Softmax, false),
    forward: Some(olmoe),
    ..BASE
};

/// OLMoE (transformers `modeling_olmoe.py`).
fn olmoe<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let [q, k, v] = l.unbounded_qkv(l.rms_norm(x, Role::AttnNorm));
        let q = l.rope(l.bounded(l.rms_norm(q, Role::QNorm)));
        let k = l.rope(l.bounded(l.rms_norm(k, Role::KNorm)));
        x += l.linear(l.attention(q, k, l.bounded(v)), Role::AttnOutput);
        x += l.mixture(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}
