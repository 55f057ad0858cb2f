//! Falcon: one or few key heads, attention and feed-forward layer side by side.

use super::{
    super::{
        Architecture, Dim, Form, Hparams, Key, Net, Numbers, Role, Rule,
        tensors::{needed, optional},
    },
    BASE, ENDS, FOUR_TIMES, FUSED_ATTENTION, usual,
};
use crate::{
    fault::{Fault, Result},
    ir::{Tensor, Unary},
    model::ModelFile,
};

/// Falcon (transformers `modeling_falcon.py`; llama.cpp `src/models/falcon.cpp`).
pub(super) static FALCON: Architecture = Architecture {
    name: "falcon",
    gguf: &["falcon"],
    model_types: &["falcon"],
    tensors: &[
        // Larger ones have a norm for each of the two.
        &[
            needed(Role::TokenEmbedding).in_folders(&["word_embeddings"]),
            needed(Role::AttnQkv).by_head(),
            optional(Role::AttnOwnNorm),
        ],
        ENDS,
        FUSED_ATTENTION,
        &[optional(Role::FfnNorm), needed(Role::FfnUp), needed(Role::FfnDown)],
    ],
    rules: &[
        FOUR_TIMES,
        Rule { form: Some(Form::Folder), value: Dim::Exactly(2048), ..usual(Key::Context) },
        // Older ones have one key head, or as many as query heads, whatever number is stated.
        Rule { form: Some(Form::Folder), always: true, when: Some(one_key_head), ..usual(Key::KvHeads) },
        Rule {
            form: Some(Form::Folder),
            value: Dim::Of(Key::Heads),
            always: true,
            when: Some(a_key_head_each),
            ..usual(Key::KvHeads)
        },
    ],
    layer_norm: true,
    activation: Unary::Gelu,
    adjust: Some(numbers),
    forward: Some(falcon),
    ..BASE
};

fn stated(model: &ModelFile, key: &str) -> Option<bool> {
    model.metadata.boolean(&format!("config.{key}"))
}

fn one_key_head(model: &ModelFile) -> bool {
    !stated(model, "new_decoder_architecture").unwrap_or(false) && stated(model, "multi_query").unwrap_or(true)
}

fn a_key_head_each(model: &ModelFile) -> bool {
    !stated(model, "new_decoder_architecture").unwrap_or(false) && !stated(model, "multi_query").unwrap_or(true)
}

fn falcon<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.layer_norm(x, Role::AttnNorm);
        let own = if l.has(Role::AttnOwnNorm) { l.layer_norm(x, Role::AttnOwnNorm) } else { h };
        if m.hparams().parallel_residual {
            x = x + l.rotary_attention(own) + l.mlp(h);
        } else {
            x += l.rotary_attention(own);
            x += l.mlp(l.layer_norm(x, Role::FfnNorm));
        }
    }
    m.end();
    m.logits(m.layer_norm(x.wanted_rows(), Role::OutputNorm))
}

fn numbers(_: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    match stated(numbers.model(), "alibi") {
        Some(true) => Err(Fault::unsupported("positions as slopes of scores (ALiBi) cannot be run yet")),
        _ => Ok(()),
    }
}
