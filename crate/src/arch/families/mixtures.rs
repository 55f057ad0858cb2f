//! Models with experts whose attention is that of others: dots.llm1, GLM 4.5, MiniMax M2, HunYuan, ERNIE 4.5.

use super::{
    super::{
        Architecture, Dim, Form, Hparams, Key, Net, Numbers, Role, Row, Rule,
        tensors::{KEYS, QUERIES, needed, optional},
    },
    ATTENTION, BASE, DENSE, ENDS, EXPERTS, FUSED_ATTENTION, HEAD_NORMS, llama, usual,
};
use crate::{
    fault::Result,
    ir::{Gating, Pairing, Tensor},
};

/// Experts that all tokens share, as one of their width together, and what is added to scores for the choice alone.
pub(super) const SHARED_EXPERTS: &[Row] = &[
    needed(Role::SharedGate).unless_any(DENSE),
    needed(Role::SharedUp).unless_any(DENSE),
    needed(Role::SharedDown).unless_any(DENSE),
    optional(Role::RouterBias),
];

/// The shared experts' width together.
pub(super) const SHARED_WIDTH: Rule =
    Rule { value: Dim::By(Key::SharedExperts, Key::ExpertSize), ..usual(Key::SharedExpertSize) };

/// Head by head normed attention, then experts.
fn normed<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.rms_norm(x, Role::AttnNorm);
        x += if l.has(Role::QNorm) { l.normed_attention(h) } else { l.rotary_attention(h) };
        x += l.mixture(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// dots.llm1 (transformers `modeling_dots1.py`; llama.cpp `dots1.cpp`).
pub(super) static DOTS1: Architecture = Architecture {
    name: "dots1",
    gguf: &["dots1"],
    model_types: &["dots1"],
    tensors: &[ENDS, ATTENTION, HEAD_NORMS, SHARED_EXPERTS, EXPERTS],
    rules: &[SHARED_WIDTH],
    closed: false,
    routing: (Gating::Sigmoid, false),
    adjust: Some(dots1_numbers),
    forward: Some(normed),
    ..BASE
};

fn dots1_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    // transformers reads no function of scores.
    if let (Some(routing), Form::Folder) = (&mut h.routing, numbers.form()) {
        routing.gating = Gating::Sigmoid;
    }
    Ok(())
}

/// GLM 4.5 (transformers `modeling_glm4_moe.py`; llama.cpp `glm4-moe.cpp`).
pub(super) static GLM4_MOE: Architecture = Architecture {
    name: "glm4moe",
    gguf: &["glm4moe"],
    model_types: &["glm4_moe"],
    tensors: &[
        &[
            needed(Role::FfnNorm).in_gguf(&["blk.{l}.post_attention_norm"]),
            optional(Role::QNorm),
            optional(Role::KNorm),
        ],
        ENDS,
        ATTENTION,
        SHARED_EXPERTS,
        EXPERTS,
    ],
    rules: &[SHARED_WIDTH],
    closed: false,
    rotary_part: 0.5,
    routing: (Gating::Sigmoid, true),
    adjust: Some(without_predictors),
    forward: Some(normed),
    ..BASE
};

/// GGUF files count layers that predict further tokens among the others; they come last.
fn without_predictors(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    if numbers.form() == Form::Gguf
        && let Some(extra) = numbers.optional(Key::PredictingLayers, 0)?
    {
        h.layers = h.layers.saturating_sub(extra).max(1);
    }
    Ok(())
}

/// MiniMax M2 (transformers `modeling_minimax_m2.py`; llama.cpp `minimax-m2.cpp`): norms of whole rows of queries and keys.
pub(super) static MINIMAX_M2: Architecture = Architecture {
    name: "minimax-m2",
    gguf: &["minimax-m2"],
    model_types: &["minimax_m2"],
    tensors: &[
        &[
            needed(Role::QNorm).shape(&[QUERIES]),
            needed(Role::KNorm).shape(&[KEYS]),
            needed(Role::RouterBias).in_folders(&["layers.{l}.block_sparse_moe.e_score_correction_bias"]),
        ],
        ENDS,
        ATTENTION,
        EXPERTS,
    ],
    closed: false,
    routing: (Gating::Sigmoid, true),
    forward: Some(minimax_m2),
    ..BASE
};

fn minimax_m2<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let [q, k, v] = l.qkv(l.rms_norm(x, Role::AttnNorm));
        let (q, k) = (l.rope(l.rms_norm(q, Role::QNorm)), l.rope(l.rms_norm(k, Role::KNorm)));
        x += l.linear(l.attention(q, k, v), Role::AttnOutput);
        x += l.mixture(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// ERNIE 4.5 with experts (transformers `modeling_ernie4_5_moe.py`; llama.cpp `ernie4-5-moe.cpp`).
pub(super) static ERNIE4_5_MOE: Architecture = Architecture {
    name: "ernie4_5-moe",
    gguf: &["ernie4_5-moe"],
    model_types: &["ernie4_5_moe"],
    tensors: &[
        &[
            optional(Role::RouterBias).in_folders(&["layers.{l}.mlp.moe_statics.e_score_correction_bias"]),
            optional(Role::SharedGate),
            optional(Role::SharedUp),
            optional(Role::SharedDown),
        ],
        ENDS,
        ATTENTION,
        EXPERTS,
    ],
    rules: &[SHARED_WIDTH],
    closed: false,
    gguf_pairing: Pairing::Interleaved,
    folder_pairing: Pairing::Interleaved,
    forward: Some(llama::mixtral),
    ..BASE
};

/// HunYuan with experts (transformers `modeling_hunyuan_v1_moe.py`; llama.cpp `hunyuan-moe.cpp`): heads are normed behind the rotation.
pub(super) static HUNYUAN_MOE: Architecture = Architecture {
    name: "hunyuan-moe",
    gguf: &["hunyuan-moe"],
    model_types: &["hunyuan_v1_moe"],
    tensors: &[
        &[
            needed(Role::Router).in_folders(&["layers.{l}.mlp.gate.wg"]),
            needed(Role::SharedGate).in_folders(&["layers.{l}.mlp.shared_mlp.gate_proj"]),
            needed(Role::SharedUp).in_folders(&["layers.{l}.mlp.shared_mlp.up_proj"]),
            needed(Role::SharedDown).in_folders(&["layers.{l}.mlp.shared_mlp.down_proj"]),
        ],
        ENDS,
        ATTENTION,
        HEAD_NORMS,
        EXPERTS,
    ],
    rules: &[Rule { value: Dim::Of(Key::IntermediateSize), ..usual(Key::SharedExpertSize) }],
    closed: false,
    forward: Some(hunyuan_moe),
    ..BASE
};

fn hunyuan_moe<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let [q, k, v] = l.qkv(l.rms_norm(x, Role::AttnNorm));
        let (q, k) = (l.head_norm(l.rope(q), Role::QNorm), l.head_norm(l.rope(k), Role::KNorm));
        x += l.linear(l.attention(q, k, v), Role::AttnOutput);
        x += l.mixture(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// Ling (llama.cpp `bailingmoe.cpp`).
pub(super) static BAILING_MOE: Architecture = Architecture {
    name: "bailingmoe",
    gguf: &["bailingmoe"],
    tensors: &[ENDS, ATTENTION, SHARED_EXPERTS, EXPERTS],
    rules: &[SHARED_WIDTH],
    closed: false,
    gguf_pairing: Pairing::Interleaved,
    routing: (Gating::Softmax, false),
    forward: Some(normed),
    ..BASE
};

/// Ling 2 (llama.cpp `bailingmoe2.cpp`): normed heads, experts by sigmoid and by group.
pub(super) static BAILING_MOE2: Architecture = Architecture {
    name: "bailingmoe2",
    gguf: &["bailingmoe2"],
    tensors: &[ENDS, FUSED_ATTENTION, HEAD_NORMS, SHARED_EXPERTS, EXPERTS],
    rules: &[SHARED_WIDTH],
    closed: false,
    routing: (Gating::Sigmoid, false),
    adjust: Some(without_predictors),
    forward: Some(normed),
    ..BASE
};
