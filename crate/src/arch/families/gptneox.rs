//! GPT-NeoX (Pythia): rotation of a part of each head, attention and feed-forward layer side by side or in turn.

use super::{
    super::{Architecture, Net, Role, tensors::needed},
    BASE, ENDS, FUSED_ATTENTION, MLP, ONE_KV_HEAD_EACH,
};
use crate::ir::{Tensor, Unary};

/// GPT-NeoX (transformers `modeling_gpt_neox.py`, where each head has its query, key and value behind each other).
pub(super) static GPTNEOX: Architecture = Architecture {
    name: "gptneox",
    gguf: &["gptneox"],
    model_types: &["gpt_neox"],
    tensors: &[
        &[needed(Role::TokenEmbedding).in_folders(&["embed_in"]), needed(Role::AttnQkv).by_head()],
        ENDS,
        FUSED_ATTENTION,
        MLP,
    ],
    // Configurations that came through other programs state a number of key heads that nothing reads.
    rules: &[ONE_KV_HEAD_EACH],
    layer_norm: true,
    rotary_part: 0.25,
    activation: Unary::Gelu,
    forward: Some(gptneox),
    ..BASE
};

fn gptneox<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let attention = l.rotary_attention(l.layer_norm(x, Role::AttnNorm));
        if m.hparams().parallel_residual {
            x = x + attention + l.mlp(l.layer_norm(x, Role::FfnNorm));
        } else {
            x += attention;
            x += l.mlp(l.layer_norm(x, Role::FfnNorm));
        }
    }
    m.end();
    m.logits(m.layer_norm(x.wanted_rows(), Role::OutputNorm))
}
