//! BERT and its kin: encoders with norms after attention and feed-forward layer.

use super::{
    super::{
        Architecture, Form, Hparams, Key, Net, Numbers, Role, Row,
        tensors::{needed, optional},
    },
    BASE,
};
use crate::{
    fault::{Blame, Fault, Result},
    ir::{Tensor, Unary},
};

const LAYER: &[Row] = &[
    needed(Role::TokenEmbedding),
    optional(Role::TokenTypes),
    needed(Role::EmbeddingNorm),
    needed(Role::AttnQ).unless(Role::AttnQkv),
    needed(Role::AttnK).unless(Role::AttnQkv),
    needed(Role::AttnV).unless(Role::AttnQkv),
    optional(Role::AttnQkv),
    needed(Role::AttnOutput),
    needed(Role::AttnOutputNorm),
    optional(Role::FfnGate),
    needed(Role::FfnUp),
    needed(Role::FfnDown),
    needed(Role::LayerOutputNorm),
];

/// BERT, RoBERTa, DistilBERT (transformers `modeling_bert.py`, `modeling_roberta.py`, `modeling_distilbert.py`).
pub(super) static BERT: Architecture = Architecture {
    name: "bert",
    gguf: &["bert"],
    model_types: &["bert", "roberta", "xlm-roberta", "camembert", "distilbert"],
    tensors: &[&[needed(Role::PositionEmbedding)], LAYER],
    layer_norm: true,
    encoder: true,
    rotary: false,
    activation: Unary::Gelu,
    adjust: Some(numbers),
    forward: Some(bert),
    ..BASE
};

fn bert<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed() + m.positions();
    if let Some(kind) = m.token_types() {
        x += kind;
    }
    x = m.layer_norm(x, Role::EmbeddingNorm);
    for l in m.layers() {
        x = l.layer_norm(x + l.plain_attention(x), Role::AttnOutputNorm);
        x = l.layer_norm(x + l.mlp(x), Role::LayerOutputNorm);
    }
    m.end();
    x
}

fn numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    let meta = &numbers.model().metadata;
    if numbers.form() == Form::Gguf {
        return Ok(());
    }
    if let Some(kind) = meta.string("config.position_embedding_type").filter(|k| *k != "absolute") {
        let kind: String = kind.chars().take(40).collect();
        return Err(Fault::unsupported(format!("positions of kind {kind:?} cannot be run yet (known: absolute)")));
    }
    if numbers.find(Key::LayerNormEps).is_none() {
        h.norm_eps = 1e-12;
    }
    // RoBERTa counts positions from behind the one of padding.
    if matches!(numbers.name(), "roberta" | "xlm-roberta" | "camembert") {
        let pad = match numbers.find(Key::PadToken) {
            Some(_) => numbers.optional(Key::PadToken, 0)?.unwrap_or(0),
            None => 1,
        };
        let first = pad.saturating_add(1);
        h.first_position = first;
        h.context = h.context.checked_sub(first).filter(|n| *n > 0).ok_or_else(|| {
            let what = format!("{} positions, the first of which is {first}: none is left", h.context);
            Fault::new(Blame::File, what)
        })?;
    }
    Ok(())
}

/// Nomic's BERT (transformers `modeling_nomic_bert.py`): rotation and a gated feed-forward layer.
pub(super) static NOMIC_BERT: Architecture = Architecture {
    name: "nomic-bert",
    gguf: &["nomic-bert"],
    model_types: &["nomic_bert"],
    tensors: &[
        &[
            needed(Role::EmbeddingNorm).in_folders(&["emb_ln"]),
            needed(Role::AttnQkv).in_folders(&["layers.{l}.attn.Wqkv"]),
            optional(Role::AttnQ),
            optional(Role::AttnK),
            optional(Role::AttnV),
            needed(Role::FfnGate).in_folders(&["layers.{l}.mlp.fc12"]),
        ],
        LAYER,
    ],
    closed: false,
    layer_norm: true,
    encoder: true,
    forward: Some(nomic_bert),
    ..BASE
};

fn nomic_bert<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    if let Some(kind) = m.token_types() {
        x += kind;
    }
    x = m.layer_norm(x, Role::EmbeddingNorm);
    for l in m.layers() {
        x = l.layer_norm(x + l.rotary_attention(x), Role::AttnOutputNorm);
        x = l.layer_norm(x + l.gated_mlp(x), Role::LayerOutputNorm);
    }
    m.end();
    x
}
