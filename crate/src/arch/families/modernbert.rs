//! ModernBERT: rotation, GeGLU, local and global layers.

use super::{
    super::{Architecture, Net, Role, tensors::needed},
    BASE,
};
use crate::ir::{Tensor, Unary};

/// ModernBERT (transformers `modeling_modernbert.py`; llama.cpp `src/models/modern-bert.cpp`).
pub(super) static MODERN_BERT: Architecture = Architecture {
    name: "modern-bert",
    gguf: &["modern-bert"],
    model_types: &["modernbert"],
    tensors: &[&[
        needed(Role::TokenEmbedding).in_folders(&["embeddings.tok_embeddings"]),
        needed(Role::EmbeddingNorm).in_folders(&["embeddings.norm"]),
        needed(Role::OutputNorm).in_folders(&["final_norm"]),
        // The first layer has none.
        needed(Role::AttnNorm).behind_first(),
        needed(Role::AttnQkv),
        needed(Role::AttnOutput),
        needed(Role::FfnNorm),
        needed(Role::FfnGateUp),
        needed(Role::FfnDown),
    ]],
    extras: &["head.dense", "head.norm", "decoder"],
    closed: false,
    layer_norm: true,
    encoder: true,
    activation: Unary::Gelu,
    local_rope: true,
    window_pattern: Some(3),
    full_layer_first: true,
    forward: Some(modern_bert),
    ..BASE
};

fn modern_bert<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.layer_norm(m.embed(), Role::EmbeddingNorm);
    for l in m.layers() {
        let h = if l.has(Role::AttnNorm) { l.layer_norm(x, Role::AttnNorm) } else { x };
        x += l.rotary_attention(h);
        x += l.gated_mlp(l.layer_norm(x, Role::FfnNorm));
    }
    m.end();
    m.layer_norm(x, Role::OutputNorm)
}
