//! GPT-2: learned positions, LayerNorm, one fused map for queries, keys and values; and others of its kind.

use super::{
    super::{
        Architecture, Dim, Form, Hparams, Key, Net, Numbers, Role, Rule,
        tensors::{needed, optional},
    },
    BASE, ENDS, FOUR_TIMES, FUSED_ATTENTION, MLP, ONE_KV_HEAD_EACH, parallel, usual,
};
use crate::{
    fault::{Fault, Result},
    ir::{Pairing, Tensor, Unary},
    model::MetaValue,
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
    tensors: &[
        &[
            needed(Role::TokenEmbedding).in_folders(&["word_embeddings"]),
            needed(Role::EmbeddingNorm),
            needed(Role::AttnQkv).by_head(),
        ],
        ENDS,
        FUSED_ATTENTION,
        MLP,
    ],
    rules: &[ONE_KV_HEAD_EACH, FOUR_TIMES, BLOOM_CONTEXT],
    layer_norm: true,
    rotary: false,
    activation: Unary::GeluTanh,
    slopes: Some(8.0),
    adjust: Some(bloom_numbers),
    forward: Some(bloom),
    ..BASE
};

/// What the models were trained with; only some configurations say it.
const BLOOM_CONTEXT: Rule = Rule { form: Some(Form::Folder), value: Dim::Exactly(2048), ..usual(Key::Context) };

/// BLOOM (transformers `modeling_bloom.py`).
fn bloom<'g>(m: &Net<'g>) -> Tensor<'g> {
    layers(m, m.layer_norm(m.embed(), Role::EmbeddingNorm))
}

/// Layers of attention by distance and a feed-forward layer, and the head.
fn layers<'g>(m: &Net<'g>, mut x: Tensor<'g>) -> Tensor<'g> {
    for l in m.layers() {
        x += l.plain_attention(l.layer_norm(x, Role::AttnNorm));
        x += l.mlp(l.layer_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.layer_norm(x.wanted_rows(), Role::OutputNorm))
}

fn bloom_numbers(_: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    match numbers.model().metadata.boolean("config.apply_residual_connection_post_layernorm") {
        Some(true) => Err(Fault::unsupported("residuals taken after the norm cannot be run yet")),
        _ => Ok(()),
    }
}

/// MPT (transformers `modeling_mpt.py`; llama.cpp `mpt.cpp`).
pub(super) static MPT: Architecture = Architecture {
    name: "mpt",
    gguf: &["mpt"],
    model_types: &["mpt"],
    tensors: &[
        &[
            needed(Role::TokenEmbedding).in_folders(&["wte"]),
            needed(Role::OutputNorm).in_folders(&["norm_f"]),
            optional(Role::PositionEmbedding),
            optional(Role::QNorm).shape(&[]),
            optional(Role::KNorm).shape(&[]),
        ],
        ENDS,
        FUSED_ATTENTION,
        MLP,
    ],
    rules: &[
        Rule { value: Dim::Exactly(4), ..usual(Key::Expansion) },
        Rule {
            form: Some(Form::Folder),
            value: Dim::By(Key::Expansion, Key::HiddenSize),
            ..usual(Key::IntermediateSize)
        },
    ],
    closed: false,
    layer_norm: true,
    rotary: false,
    activation: Unary::Gelu,
    slopes: Some(8.0),
    adjust: Some(mpt_numbers),
    forward: Some(mpt),
    ..BASE
};

fn mpt<'g>(m: &Net<'g>) -> Tensor<'g> {
    layers(m, m.embed())
}

fn mpt_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    let meta = &numbers.model().metadata;
    let learned = numbers
        .model()
        .tensors
        .iter()
        .any(|t| ["position_embd.weight", "transformer.wpe.weight"].contains(&t.name.as_str()));
    if learned || meta.boolean("config.attn_config.alibi") == Some(false) {
        return Err(Fault::unsupported("learned positions cannot be run yet in this architecture"));
    }
    if numbers.model().tensors.iter().any(|t| t.name.contains("q_ln") || t.name.contains("attn_q_norm")) {
        return Err(Fault::unsupported("norms of queries and keys cannot be run yet in this architecture"));
    }
    if let Some((key, value)) =
        meta.get("config.attn_config.softmax_scale").map(|v| ("config.attn_config.softmax_scale", v))
    {
        let MetaValue::Float(scale, _) = value else {
            return Err(Fault::unsupported(format!("{key}: a number expected")));
        };
        h.score_scale = Some(*scale as f32);
    }
    Ok(())
}

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
