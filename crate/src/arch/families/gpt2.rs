//! GPT-2: learned positions, LayerNorm, one fused map for queries, keys and values; and others of its kind.

use super::{
    super::{
        Architecture, Hparams, Net, Numbers, Role,
        tensors::{needed, optional},
    },
    BASE, ENDS, FOUR_TIMES, FUSED_ATTENTION, MLP, ONE_KV_HEAD_EACH, parallel,
};
use crate::{
    fault::{Fault, Result},
    ir::{Pairing, Tensor, Unary},
};

/// GPT-2 (transformers `modeling_gpt2.py`, whose Conv1D keeps its weight as `[inputs, outputs]`).
pub(super) static GPT2: Architecture = Architecture {
    name: "gpt2",
    gguf: &["gpt2"],
    model_types: &["gpt2"],
    tensors: &[
        &[needed(Role::TokenEmbedding).in_folders(&["wte"])],
        ENDS,
        &[
            needed(Role::PositionEmbedding).in_folders(&["wpe"]),
            needed(Role::AttnNorm),
            needed(Role::AttnQkv).by_input(),
            needed(Role::AttnOutput).by_input(),
            needed(Role::FfnNorm),
            needed(Role::FfnUp).by_input(),
            needed(Role::FfnDown).by_input(),
        ],
    ],
    rules: &[ONE_KV_HEAD_EACH, FOUR_TIMES],
    layer_norm: true,
    rotary: false,
    activation: Unary::GeluTanh,
    adjust: Some(gpt2_numbers),
    forward: Some(gpt2),
    ..BASE
};

fn gpt2<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed() + m.positions();
    for l in m.layers() {
        x += l.plain_attention(l.layer_norm(x, Role::AttnNorm));
        x += l.mlp(l.layer_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.layer_norm(x.wanted_rows(), Role::OutputNorm))
}

fn gpt2_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    let stated = |key| numbers.model().metadata.boolean(key);
    if stated("config.scale_attn_by_inverse_layer_idx") == Some(true) {
        return Err(Fault::unsupported("scores that are scaled by the number of the layer cannot be run yet"));
    }
    if stated("config.scale_attn_weights") == Some(false) {
        h.score_scale = Some(1.0);
    }
    Ok(())
}

pub(super) static BLOOM: Architecture = Architecture {
    name: "bloom",
    gguf: &["bloom"],
    model_types: &["bloom"],
    tensors: &[&[needed(Role::EmbeddingNorm), needed(Role::AttnQkv).by_head()], ENDS, FUSED_ATTENTION, MLP],
    rules: &[ONE_KV_HEAD_EACH, FOUR_TIMES],
    layer_norm: true,
    rotary: false,
    activation: Unary::GeluTanh,
    lacks: "positions as slopes of scores (ALiBi)",
    ..BASE
};

pub(super) static MPT: Architecture = Architecture {
    name: "mpt",
    gguf: &["mpt"],
    model_types: &["mpt"],
    // The widths stand in keys of their own: expansion_ratio, attn_config.kv_n_heads.
    tensors: &[
        &[
            optional(Role::PositionEmbedding),
            optional(Role::QNorm).shape(&[]),
            optional(Role::KNorm).shape(&[]),
            needed(Role::AttnQkv).shape(&[]),
            needed(Role::FfnUp).shape(&[]),
            needed(Role::FfnDown).shape(&[]),
        ],
        ENDS,
        FUSED_ATTENTION,
        MLP,
    ],
    closed: false,
    layer_norm: true,
    rotary: false,
    activation: Unary::Gelu,
    lacks: "positions as slopes of scores (ALiBi)",
    ..BASE
};

/// GPT-J (transformers `modeling_gptj.py`).
pub(super) static GPTJ: Architecture = Architecture {
    name: "gptj",
    gguf: &["gptj"],
    model_types: &["gptj"],
    tensors: &[
        &[needed(Role::TokenEmbedding).in_folders(&["wte"]), needed(Role::FfnUp), needed(Role::FfnDown)],
        ENDS,
        super::ATTENTION,
    ],
    rules: &[ONE_KV_HEAD_EACH, FOUR_TIMES],
    closed: false,
    layer_norm: true,
    gguf_pairing: Pairing::Interleaved,
    folder_pairing: Pairing::Interleaved,
    activation: Unary::GeluTanh,
    forward: Some(parallel),
    ..BASE
};
