//! RWKV: recurrence in time, and a mixture of each channel with the token before.

use super::{
    super::{Architecture, Hparams, Layer, Net, Numbers, Role, Row, tensors::needed},
    BASE,
    mamba::ANY_LENGTH,
};
use crate::{
    fault::Result,
    ir::{Binary, Rule, Tensor, Unary},
    model::FormatId,
};

/// Names that training gave, and those of transformers.
const TENSORS: &[Row] = &[
    needed(Role::TokenEmbedding).in_folders(&["emb", "embeddings"]),
    needed(Role::EmbeddingNorm).in_folders(&["blocks.0.ln0", "blocks.0.pre_ln"]),
    needed(Role::AttnNorm).in_folders(&["blocks.{l}.ln1"]),
    needed(Role::TimeDecay),
    needed(Role::TimeFirst),
    needed(Role::TimeMixK),
    needed(Role::TimeMixV),
    needed(Role::TimeMixR),
    needed(Role::Receptance),
    needed(Role::AttnK).in_folders(&["blocks.{l}.att.key", "blocks.{l}.attention.key"]).shape(&[]),
    needed(Role::AttnV).in_folders(&["blocks.{l}.att.value", "blocks.{l}.attention.value"]).shape(&[]),
    needed(Role::AttnOutput).in_folders(&["blocks.{l}.att.output", "blocks.{l}.attention.output"]).shape(&[]),
    needed(Role::FfnNorm).in_folders(&["blocks.{l}.ln2"]),
    needed(Role::ChannelMixK),
    needed(Role::ChannelMixR),
    needed(Role::ChannelReceptance),
    needed(Role::FfnUp).in_folders(&["blocks.{l}.ffn.key", "blocks.{l}.feed_forward.key"]).shape(&[]),
    needed(Role::FfnDown).in_folders(&["blocks.{l}.ffn.value", "blocks.{l}.feed_forward.value"]).shape(&[]),
    needed(Role::OutputNorm).in_folders(&["ln_out"]),
    needed(Role::Output).in_folders(&["head", "lm_head"]),
];

/// RWKV 4 (transformers `modeling_rwkv.py`; rwkv.cpp `rwkv_graph.inc`).
pub(in super::super) static RWKV: Architecture = Architecture {
    name: "rwkv",
    gguf: &[],
    model_types: &["rwkv"],
    tensors: &[TENSORS],
    layer_norm: true,
    rotary: false,
    recurrent: true,
    rules: &[ANY_LENGTH],
    adjust: Some(numbers),
    forward: Some(rwkv),
    ..BASE
};

fn numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    // rwkv.cpp's converter has made the decay of its logarithm.
    h.decay_log = numbers.model().format != FormatId::Ggml;
    // The norm of the embedding and the head stand apart, whatever a configuration says.
    h.tied = None;
    Ok(())
}

fn rwkv<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.layer_norm(m.embed(), Role::EmbeddingNorm);
    for l in m.layers() {
        x += time_mix(&l, l.layer_norm(x, Role::AttnNorm));
        x += channel_mix(&l, l.layer_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.layer_norm(x.wanted_rows(), Role::OutputNorm))
}

/// A share of each value, the rest of that of the token before.
fn mixed<'g>(l: &Layer<'_, 'g>, x: Tensor<'g>, before: Tensor<'g>, share: Role) -> Tensor<'g> {
    x.with(Binary::Sub, before) * l.vector_of(share, x.width()) + before
}

fn time_mix<'g>(l: &Layer<'_, 'g>, x: Tensor<'g>) -> Tensor<'g> {
    let (before, n) = (l.before("att_before", x), l.rows_of(Role::AttnK));
    let k = l.map(mixed(l, x, before, Role::TimeMixK), Role::AttnK, n);
    let v = l.map(mixed(l, x, before, Role::TimeMixV), Role::AttnV, n);
    let r = l.map(mixed(l, x, before, Role::TimeMixR), Role::Receptance, n);
    let u = l.joined(&[(Role::TimeDecay, n), (Role::TimeFirst, n)]);
    let y = l.carried("wkv", k, Rule::Wkv4 { channels: n, log: l.h().decay_log }, &[v, u]);
    l.map(r.map(Unary::Sigmoid) * y, Role::AttnOutput, x.width())
}

fn channel_mix<'g>(l: &Layer<'_, 'g>, x: Tensor<'g>) -> Tensor<'g> {
    let before = l.before("ffn_before", x);
    let k = l.map(mixed(l, x, before, Role::ChannelMixK), Role::FfnUp, l.rows_of(Role::FfnUp));
    let r = l.map(mixed(l, x, before, Role::ChannelMixR), Role::ChannelReceptance, x.width());
    r.map(Unary::Sigmoid) * l.map(k.map(Unary::ReluSquared), Role::FfnDown, x.width())
}
