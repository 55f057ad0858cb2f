//! Gemma: embeddings scaled by the root of the width, norms stored as `w - 1`, GeGLU; from 2 on norms before and after,
//! windows, caps.

use super::{
    super::{
        Architecture, Form, Hparams, Key, Net, Numbers, Role, Row,
        tensors::{needed, optional},
    },
    BASE, ENDS, llama,
};
use crate::{
    fault::{Fault, Result},
    ir::{Tensor, Unary},
};

/// Before the first layer and behind the last.
const GEMMA_ENDS: &[Row] = &[needed(Role::OutputNorm).plus_one()];

/// One norm before attention, one before the feed-forward layer.
const LAYER: &[Row] = &[
    needed(Role::AttnNorm).plus_one(),
    needed(Role::AttnQ),
    needed(Role::AttnK),
    needed(Role::AttnV),
    needed(Role::AttnOutput),
    needed(Role::FfnNorm).plus_one(),
    needed(Role::FfnGate),
    needed(Role::FfnUp),
    needed(Role::FfnDown),
];

/// Norms after both as well.
const SANDWICH: &[Row] = &[
    needed(Role::FfnNorm).plus_one().in_folders(&["layers.{l}.pre_feedforward_layernorm"]),
    needed(Role::PostAttnNorm).plus_one(),
    needed(Role::PostFfnNorm).plus_one(),
];

const HEAD_NORMS: &[Row] = &[needed(Role::QNorm).plus_one(), needed(Role::KNorm).plus_one()];

/// Gemma (transformers `modeling_gemma.py`): Llama's forward pass.
pub(super) static GEMMA: Architecture = Architecture {
    name: "gemma",
    gguf: &["gemma"],
    model_types: &["gemma"],
    tensors: &[GEMMA_ENDS, ENDS, LAYER],
    activation: Unary::GeluTanh,
    adjust: Some(gemma_numbers),
    forward: Some(llama::forward),
    ..BASE
};

/// Gemma 2 (transformers `modeling_gemma2.py`; llama.cpp `src/models/gemma2.cpp`).
pub(super) static GEMMA2: Architecture = Architecture {
    name: "gemma2",
    gguf: &["gemma2"],
    model_types: &["gemma2"],
    tensors: &[GEMMA_ENDS, ENDS, SANDWICH, LAYER],
    activation: Unary::GeluTanh,
    window_pattern: Some(2),
    adjust: Some(gemma2_numbers),
    forward: Some(gemma2),
    ..BASE
};

fn gemma2<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.rotary_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.rms_norm(h, Role::PostAttnNorm);
        let h = l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
        x += l.rms_norm(h, Role::PostFfnNorm);
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// Gemma 3's text model (transformers `modeling_gemma3.py`; llama.cpp `src/models/gemma3.cpp`).
pub(super) static GEMMA3: Architecture = Architecture {
    name: "gemma3",
    gguf: &["gemma3"],
    model_types: &["gemma3_text", "gemma3"],
    tensors: &[GEMMA_ENDS, ENDS, SANDWICH, HEAD_NORMS, LAYER],
    activation: Unary::GeluTanh,
    window_pattern: Some(6),
    local_rope: true,
    both_ways: Some(&GEMMA_EMBEDDING),
    adjust: Some(gemma3_numbers),
    forward: Some(gemma3),
    ..BASE
};

fn gemma3<'g>(m: &Net<'g>) -> Tensor<'g> {
    m.logits(m.rms_norm(gemma3_layers(m).wanted_rows(), Role::OutputNorm))
}

fn gemma3_layers<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.normed_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.rms_norm(h, Role::PostAttnNorm);
        let h = l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
        x += l.rms_norm(h, Role::PostFfnNorm);
    }
    m.end();
    x
}

/// Layers of the sizes whose scores are scaled by another head width than they have.
const LAYERS_OF_27B: [u32; 2] = [46, 62];

fn gemma_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    // Configurations of 2024 say "gelu" and mean it by tanh.
    h.activation = Unary::GeluTanh;
    gemma_scales(h, numbers, None)
}

fn gemma2_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    gemma_scales(h, numbers, Some(LAYERS_OF_27B[0]))
}

fn gemma3_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    gemma_scales(h, numbers, Some(LAYERS_OF_27B[1]))
}

fn gemma_scales(h: &mut Hparams, numbers: &Numbers<'_>, layers_of_27b: Option<u32>) -> Result<()> {
    if h.causal && numbers.flag(Key::Bidirectional)? == Some(true) {
        return Err(Fault::unsupported("Gemma that looks at what comes after a token cannot be run yet"));
    }
    h.embedding_scale = Some(f64::from(h.hidden_size).sqrt() as f32);
    // GGUF has no key for it; llama.cpp goes by the number of layers.
    if numbers.form() == Form::Gguf && h.score_scale.is_none() && Some(h.layers) == layers_of_27b {
        h.score_scale = Some((f64::from(h.hidden_size) / f64::from(h.heads.at(0))).powf(-0.5) as f32);
    }
    Ok(())
}

/// EmbeddingGemma: Gemma 3 without a causal mask; folders name it as Gemma 3 with `use_bidirectional_attention`.
pub(super) static GEMMA_EMBEDDING: Architecture = Architecture {
    name: "gemma-embedding",
    gguf: &["gemma-embedding"],
    model_types: &[],
    tensors: &[&[optional(Role::Output)], GEMMA_ENDS, ENDS, SANDWICH, HEAD_NORMS, LAYER],
    // Dense layers behind the pooling may follow.
    closed: false,
    encoder: true,
    activation: Unary::GeluTanh,
    window_pattern: Some(6),
    local_rope: true,
    adjust: Some(gemma3_numbers),
    forward: Some(embedding),
    ..BASE
};

fn embedding<'g>(m: &Net<'g>) -> Tensor<'g> {
    m.rms_norm(gemma3_layers(m), Role::OutputNorm)
}
