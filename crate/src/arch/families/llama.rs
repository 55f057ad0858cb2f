//! Llama and its nearest kin: Mistral; Mixtral's tensors; and others that differ in a norm, a bias or a rotation.

use super::{
    super::{
        Architecture, Hparams, Key, Net, Numbers, PerLayer, Role, Row,
        tensors::{needed, optional},
    },
    ATTENTION, BASE, ENDS, EXPERTS, GATED_MLP, HEAD_NORMS, MLP, no_head_norms, parallel, serial,
};
use crate::{
    fault::{Fault, Result},
    ir::{Gating, Pairing, Tensor, Unary},
};

/// Llama (transformers `modeling_llama.py`; llama.cpp `src/models/llama.cpp`).
pub(super) static LLAMA: Architecture = Architecture {
    name: "llama",
    gguf: &["llama"],
    model_types: &["llama", "mistral", "mixtral"],
    tensors: &[ENDS, ATTENTION, EXPERTS],
    gguf_pairing: Pairing::Interleaved,
    forward: Some(mixtral),
    ..BASE
};

/// Llama, and with experts Mixtral (transformers `modeling_mixtral.py`).
pub(super) fn mixtral<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.rotary_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.mixture(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

pub(super) fn forward<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.rotary_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// SmolLM 3 (transformers `modeling_smollm3.py`): Llama with layers that do not rotate.
pub(super) static SMOLLM3: Architecture = Architecture {
    name: "smollm3",
    gguf: &["smollm3"],
    model_types: &["smollm3"],
    tensors: &[ENDS, ATTENTION, GATED_MLP],
    gguf_pairing: Pairing::Interleaved,
    asks_for_window: true,
    adjust: Some(smollm3_numbers),
    forward: Some(forward),
    ..BASE
};

/// Every how many layers one does not rotate, where nothing is said; GGUF has no key for it.
const SMOLLM3_INTERVAL: u32 = 4;

fn smollm3_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    let every = numbers.optional(Key::UnrotatedInterval, 0)?.unwrap_or(SMOLLM3_INTERVAL);
    let stated = numbers.find(Key::RotatedLayers).is_some();
    h.rotated = PerLayer::collect(h.layers, |l| match stated {
        true => Ok(numbers.optional(Key::RotatedLayers, l)?.is_some()),
        false => Ok((l + 1) % every != 0),
    })?;
    Ok(())
}

/// Seed-OSS (transformers `modeling_seed_oss.py`): Llama with biases on queries, keys and values.
pub(super) static SEED_OSS: Architecture = Architecture {
    name: "seed_oss",
    gguf: &["seed_oss"],
    model_types: &["seed_oss"],
    tensors: &[POST_ATTENTION_NAMED, ENDS, ATTENTION, GATED_MLP],
    forward: Some(forward),
    ..BASE
};

/// The norm before the feed-forward layer by the name of the one after attention.
const POST_ATTENTION_NAMED: &[Row] = &[needed(Role::FfnNorm).in_gguf(&["blk.{l}.post_attention_norm"])];

pub(super) static ERNIE4_5: Architecture = Architecture {
    name: "ernie4_5",
    gguf: &["ernie4_5"],
    model_types: &["ernie4_5"],
    tensors: &[ENDS, ATTENTION, GATED_MLP],
    gguf_pairing: Pairing::Interleaved,
    folder_pairing: Pairing::Interleaved,
    forward: Some(forward),
    ..BASE
};

/// HunYuan (transformers `modeling_hunyuan_v1_dense.py`): heads are normed behind the rotation.
pub(super) static HUNYUAN: Architecture = Architecture {
    name: "hunyuan-dense",
    gguf: &["hunyuan-dense"],
    model_types: &["hunyuan_v1_dense"],
    tensors: &[ENDS, ATTENTION, HEAD_NORMS, GATED_MLP],
    forward: Some(hunyuan),
    ..BASE
};

fn hunyuan<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let [q, k, v] = l.qkv(l.rms_norm(x, Role::AttnNorm));
        let q = l.head_norm(l.rope(q), Role::QNorm);
        let k = l.head_norm(l.rope(k), Role::KNorm);
        x += l.linear(l.attention(q, k, v), Role::AttnOutput);
        x += l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// EXAONE 4 (transformers `modeling_exaone4.py`): norms behind attention and feed-forward layer.
pub(super) static EXAONE4: Architecture = Architecture {
    name: "exaone4",
    gguf: &["exaone4"],
    model_types: &["exaone4"],
    tensors: &[
        ENDS,
        HEAD_NORMS,
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
    closed: false,
    window_pattern: Some(4),
    adjust: Some(exaone4_numbers),
    forward: Some(exaone4),
    ..BASE
};

fn exaone4<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.rms_norm(l.normed_attention(x), Role::PostAttnNorm);
        x += l.rms_norm(l.gated_mlp(x), Role::PostFfnNorm);
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

fn exaone4_numbers(h: &mut Hparams, _: &Numbers<'_>) -> Result<()> {
    h.rotate_in_windows();
    Ok(())
}

/// GLM 4 (transformers `modeling_glm4.py`): norms before and behind attention and feed-forward layer.
pub(super) static GLM4: Architecture = Architecture {
    name: "glm4",
    gguf: &["glm4"],
    model_types: &["glm4"],
    tensors: &[
        ENDS,
        ATTENTION,
        &[
            needed(Role::FfnNorm),
            needed(Role::FfnGateUp),
            needed(Role::FfnDown),
            needed(Role::PostAttnNorm),
            needed(Role::PostFfnNorm),
        ],
    ],
    gguf_pairing: Pairing::Interleaved,
    folder_pairing: Pairing::Interleaved,
    rotary_part: 0.5,
    closed: false,
    forward: Some(glm4),
    ..BASE
};

fn glm4<'g>(m: &Net<'g>) -> Tensor<'g> {
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

/// Nemotron (transformers `modeling_nemotron.py`): norms are stored as `w - 1`.
pub(super) static NEMOTRON: Architecture = Architecture {
    name: "nemotron",
    gguf: &["nemotron"],
    model_types: &["nemotron"],
    tensors: &[
        &[needed(Role::OutputNorm).plus_one(), needed(Role::AttnNorm).plus_one(), needed(Role::FfnNorm).plus_one()],
        ENDS,
        ATTENTION,
        MLP,
    ],
    layer_norm: true,
    activation: Unary::ReluSquared,
    rotary_part: 0.5,
    forward: Some(serial),
    ..BASE
};

pub(super) static STARCODER2: Architecture = Architecture {
    name: "starcoder2",
    gguf: &["starcoder2"],
    model_types: &["starcoder2"],
    tensors: &[ENDS, ATTENTION, MLP],
    layer_norm: true,
    activation: Unary::GeluTanh,
    forward: Some(serial),
    ..BASE
};

pub(super) static STABLELM: Architecture = Architecture {
    name: "stablelm",
    gguf: &["stablelm"],
    model_types: &["stablelm"],
    // Those with a parallel residual have one norm a layer; larger ones have norms of heads.
    tensors: &[
        &[optional(Role::FfnNorm), optional(Role::QNorm).shape(&[]), optional(Role::KNorm).shape(&[])],
        ENDS,
        ATTENTION,
        GATED_MLP,
    ],
    closed: false,
    layer_norm: true,
    rotary_part: 0.25,
    adjust: Some(stablelm_numbers),
    forward: Some(stablelm),
    ..BASE
};

fn stablelm<'g>(m: &Net<'g>) -> Tensor<'g> {
    if m.hparams().parallel_residual {
        return parallel(m);
    }
    let mut x = m.embed();
    for l in m.layers() {
        x += l.rotary_attention(l.layer_norm(x, Role::AttnNorm));
        x += l.gated_mlp(l.layer_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.layer_norm(x.wanted_rows(), Role::OutputNorm))
}

fn stablelm_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    h.parallel_residual = numbers.flag(Key::ParallelResidual)?.unwrap_or(false);
    no_head_norms(h, numbers)
}

/// gpt-oss (transformers `modeling_gpt_oss.py`; llama.cpp `openai-moe.cpp`): sinks, windows on every other layer, experts with biases.
pub(super) static GPT_OSS: Architecture = Architecture {
    name: "gpt-oss",
    gguf: &["gpt-oss"],
    model_types: &["gpt_oss"],
    tensors: &[
        POST_ATTENTION_NAMED,
        ENDS,
        ATTENTION,
        &[
            needed(Role::AttnSinks),
            needed(Role::Router),
            needed(Role::GateExperts).unless_any(&[Role::GateUpExperts, Role::GateUpBlocks]),
            needed(Role::UpExperts).unless_any(&[Role::GateUpExperts, Role::GateUpBlocks]),
            // Folders keep it turned.
            needed(Role::GateUpExperts).by_input().unless_any(&[
                Role::GateExperts,
                Role::UpExperts,
                Role::GateUpBlocks,
            ]),
            needed(Role::DownExperts).by_input().unless(Role::DownBlocks),
            needed(Role::GateUpExpertsBias),
            needed(Role::DownExpertsBias),
            optional(Role::GateUpBlocks),
            optional(Role::GateUpScales),
            optional(Role::DownBlocks),
            optional(Role::DownScales),
        ],
    ],
    window_pattern: Some(2),
    routing: (Gating::SoftmaxOfChosen, false),
    adjust: Some(gpt_oss_numbers),
    forward: Some(gpt_oss),
    ..BASE
};

/// Values between the maps of an expert are kept below this where nothing is said; GGUF has no key for it.
const SWIGLU_LIMIT: f32 = 7.0;
/// What multiplies a gate before its sigmoid: QuickGelu's.
const SWIGLU_ALPHA: f64 = 1.702;

fn gpt_oss<'g>(m: &Net<'g>) -> Tensor<'g> {
    let limit = m.hparams().swiglu_limit.unwrap_or(SWIGLU_LIMIT);
    let gated = |gate: Tensor<'g>, up: Tensor<'g>| {
        let up = up.map(Unary::AtLeast(-limit)).map(Unary::AtMost(limit)).map(Unary::Shift(1.0));
        gate.map(Unary::AtMost(limit)).map(Unary::QuickGelu) * up
    };
    let mut x = m.embed();
    for l in m.layers() {
        x += l.rotary_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.experts_by(l.rms_norm(x, Role::FfnNorm), true, gated);
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

fn gpt_oss_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    h.swiglu_limit = numbers.positive(Key::SwigluLimit)?.map(|n| n as f32);
    match numbers.positive(Key::SwigluAlpha)? {
        Some(alpha) if (alpha - SWIGLU_ALPHA).abs() > 1e-6 => {
            Err(Fault::unsupported(format!("a gate of experts by {alpha} instead of {SWIGLU_ALPHA} cannot be run yet")))
        }
        _ => Ok(()),
    }
}
