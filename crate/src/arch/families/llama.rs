//! Llama and its nearest kin: Mistral; Mixtral's tensors; and others that differ in a norm, a bias or a rotation.

use super::{
    super::{
        Architecture, Hparams, Key, Net, Numbers, Role, Row,
        tensors::{needed, optional},
    },
    ATTENTION, BASE, ENDS, EXPERTS, GATED_MLP, HEAD_NORMS, MLP,
};
use crate::{
    fault::{Fault, Result},
    ir::{Pairing, Tensor},
};

/// Llama (transformers `modeling_llama.py`; llama.cpp `src/models/llama.cpp`).
pub(super) static LLAMA: Architecture = Architecture {
    name: "llama",
    gguf: &["llama"],
    model_types: &["llama", "mistral", "mixtral"],
    tensors: &[ENDS, ATTENTION, EXPERTS],
    gguf_pairing: Pairing::Interleaved,
    adjust: Some(no_experts),
    forward: Some(forward),
    ..BASE
};

pub(super) fn forward<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.rotary_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// Mixtures share a name with models that have none.
pub(super) fn no_experts(_: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    match numbers.optional(Key::Experts, 0)? {
        Some(_) => Err(Fault::unsupported("mixtures of experts cannot be run yet")),
        None => Ok(()),
    }
}

pub(super) static SMOLLM3: Architecture = Architecture {
    name: "smollm3",
    gguf: &["smollm3"],
    model_types: &["smollm3"],
    tensors: &[ENDS, ATTENTION, GATED_MLP],
    gguf_pairing: Pairing::Interleaved,
    lacks: "layers without rotation",
    ..BASE
};

pub(super) static SEED_OSS: Architecture = Architecture {
    name: "seed_oss",
    gguf: &["seed_oss"],
    model_types: &["seed_oss"],
    tensors: &[POST_ATTENTION_NAMED, ENDS, ATTENTION, GATED_MLP],
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
    ..BASE
};

pub(super) static HUNYUAN: Architecture = Architecture {
    name: "hunyuan-dense",
    gguf: &["hunyuan-dense"],
    model_types: &["hunyuan_v1_dense"],
    tensors: &[ENDS, ATTENTION, HEAD_NORMS, GATED_MLP],
    ..BASE
};

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
    lacks: "layers without rotation",
    ..BASE
};

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
    closed: false,
    ..BASE
};

pub(super) static NEMOTRON: Architecture = Architecture {
    name: "nemotron",
    gguf: &["nemotron"],
    model_types: &["nemotron"],
    tensors: &[ENDS, ATTENTION, MLP],
    layer_norm: true,
    ..BASE
};

pub(super) static STARCODER2: Architecture = Architecture {
    name: "starcoder2",
    gguf: &["starcoder2"],
    model_types: &["starcoder2"],
    tensors: &[ENDS, ATTENTION, MLP],
    layer_norm: true,
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
    ..BASE
};

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
            optional(Role::GateExperts),
            optional(Role::UpExperts),
            optional(Role::GateUpExperts),
            // Folders keep it turned.
            needed(Role::DownExperts).shape(&[]),
            optional(Role::GateUpExpertsBias),
            optional(Role::DownExpertsBias),
        ],
    ],
    closed: false,
    lacks: "experts, attention sinks and a clamped SwiGLU",
    ..BASE
};
