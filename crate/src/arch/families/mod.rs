//! The architectures, one file a family; groups of tensors that several share.

mod bert;
mod cohere;
mod deepseek;
mod falcon;
mod gemma;
mod gemma3n;
mod gpt2;
mod gptneox;
mod granite;
mod hybrid;
mod llama;
mod mamba;
mod mixtures;
mod modernbert;
mod olmo;
mod phi;
mod qwen;
mod rwkv;
mod t5;

pub(super) use rwkv::RWKV;

use super::{
    Architecture, Dim, Form, Hparams, Key, Net, Numbers, Role, Row, Rule,
    tensors::{needed, optional},
};
use crate::{
    fault::{Fault, Result},
    ir::{Gating, Pairing, Tensor, Unary},
};

/// All architectures.
pub static ARCHITECTURES: &[&Architecture] = &[
    &llama::LLAMA,
    &qwen::QWEN2,
    &qwen::QWEN3,
    &gemma::GEMMA3,
    &phi::PHI3,
    &gpt2::GPT2,
    &gptneox::GPTNEOX,
    &bert::BERT,
    &bert::NOMIC_BERT,
    &modernbert::MODERN_BERT,
    &t5::T5_ENCODER,
    &gemma::GEMMA,
    &gemma::GEMMA2,
    &gemma3n::GEMMA3N,
    &gemma3n::GEMMA4,
    &gemma::GEMMA_EMBEDDING,
    &phi::PHI2,
    &qwen::QWEN2_MOE,
    &qwen::QWEN3_MOE,
    &qwen::QWEN3_NEXT,
    &qwen::QWEN35,
    &llama::SMOLLM3,
    &llama::SEED_OSS,
    &llama::ERNIE4_5,
    &llama::HUNYUAN,
    &llama::EXAONE4,
    &llama::GLM4,
    &llama::NEMOTRON,
    &llama::STARCODER2,
    &llama::STABLELM,
    &llama::GPT_OSS,
    &granite::GRANITE,
    &granite::GRANITE_MOE,
    &granite::GRANITE_HYBRID,
    &olmo::OLMO,
    &olmo::OLMO2,
    &olmo::OLMOE,
    &cohere::COMMAND_R,
    &cohere::COHERE2,
    &falcon::FALCON,
    &gpt2::BLOOM,
    &gpt2::MPT,
    &gpt2::GPTJ,
    &deepseek::DEEPSEEK2,
    &mixtures::DOTS1,
    &mixtures::GLM4_MOE,
    &mixtures::MINIMAX_M2,
    &mixtures::ERNIE4_5_MOE,
    &mixtures::HUNYUAN_MOE,
    &mixtures::BAILING_MOE,
    &mixtures::BAILING_MOE2,
    &mamba::MAMBA,
    &mamba::MAMBA2,
    &mamba::LFM2,
    &RWKV,
    &hybrid::BAMBA,
    &hybrid::NEMOTRON_H,
];

/// What an architecture is where its row says nothing: a decoder with RMSNorm, rotary positions and SiLU.
const BASE: Architecture = Architecture {
    name: "",
    gguf: &[],
    model_types: &[],
    tensors: &[],
    extras: &[],
    closed: true,
    rules: &[],
    worked_out: |_, _, _| None,
    layer_norm: false,
    encoder: false,
    recurrent: false,
    rotary: true,
    gguf_pairing: Pairing::Halves,
    folder_pairing: Pairing::Halves,
    rotary_part: 1.0,
    routing: (Gating::Softmax, true),
    slopes: None,
    local_rope: false,
    activation: Unary::Silu,
    window_pattern: None,
    full_layer_first: false,
    both_ways: None,
    asks_for_window: false,
    adjust: None,
    forward: None,
    lacks: "its forward pass to be written",
};

/// What stands before and behind the layers.
const ENDS: &[Row] = &[
    needed(Role::TokenEmbedding),
    needed(Role::OutputNorm),
    optional(Role::Output),
    optional(Role::RopeFactors),
    optional(Role::RopeFactorsLong),
    optional(Role::RopeFactorsShort),
];

/// Attention with its norm before it.
const ATTENTION: &[Row] =
    &[needed(Role::AttnNorm), needed(Role::AttnQ), needed(Role::AttnK), needed(Role::AttnV), needed(Role::AttnOutput)];

/// The same with queries, keys and values in one tensor.
const FUSED_ATTENTION: &[Row] = &[needed(Role::AttnNorm), needed(Role::AttnQkv), needed(Role::AttnOutput)];

/// Norms of each head of queries and keys.
const HEAD_NORMS: &[Row] = &[needed(Role::QNorm), needed(Role::KNorm)];

/// A gated feed-forward layer with its norm before it.
const GATED_MLP: &[Row] = &[needed(Role::FfnNorm), needed(Role::FfnGate), needed(Role::FfnUp), needed(Role::FfnDown)];

/// A feed-forward layer of two maps with its norm before it.
const MLP: &[Row] = &[needed(Role::FfnNorm), needed(Role::FfnUp), needed(Role::FfnDown)];

/// What a layer with experts has.
const MIXED: &[Role] = &[Role::Router, Role::DownExperts, Role::DownBlocks];
/// What a layer without experts has.
const DENSE: &[Role] = &[Role::FfnUp, Role::FfnDown];

/// A gated feed-forward layer where there are not experts, and the experts.
const EXPERTS: &[Row] = &[
    needed(Role::FfnNorm),
    needed(Role::FfnGate).unless_any(MIXED),
    needed(Role::FfnUp).unless_any(MIXED),
    needed(Role::FfnDown).unless_any(MIXED),
    needed(Role::Router).unless_any(DENSE),
    needed(Role::GateExperts).unless_any(&[Role::FfnDown, Role::FfnUp, Role::GateUpExperts, Role::GateUpBlocks]),
    needed(Role::UpExperts).unless_any(&[Role::FfnDown, Role::FfnUp, Role::GateUpExperts, Role::GateUpBlocks]),
    needed(Role::GateUpExperts).unless_any(&[
        Role::FfnDown,
        Role::FfnUp,
        Role::GateExperts,
        Role::UpExperts,
        Role::GateUpBlocks,
    ]),
    needed(Role::DownExperts).unless_any(&[Role::FfnDown, Role::FfnUp, Role::DownBlocks]),
];

/// The expert that all tokens share, behind a gate of its own.
const SHARED_EXPERT: &[Row] = &[
    needed(Role::SharedGate).unless_any(DENSE),
    needed(Role::SharedUp).unless_any(DENSE),
    needed(Role::SharedDown).unless_any(DENSE),
    needed(Role::SharedRouter).unless_any(DENSE),
];

/// As many key heads as query heads, whatever a configuration says.
const ONE_KV_HEAD_EACH: Rule =
    Rule { key: Key::KvHeads, form: None, value: Dim::Of(Key::Heads), always: true, when: None };

/// A feed-forward layer four times as wide as the model, where nothing is stated.
const FOUR_TIMES: Rule =
    Rule { form: Some(Form::Folder), value: Dim::Times(4, Key::HiddenSize), ..usual(Key::IntermediateSize) };

/// A number where none is stated.
const fn usual(key: Key) -> Rule {
    Rule { key, form: None, value: Dim::Exactly(1), always: false, when: None }
}

/// Refuses norms of heads of queries and keys, which larger models of some kinds have.
fn no_head_norms(_: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    let is = |name: &str| name.contains("q_norm") || name.contains("q_layernorm");
    match numbers.model().tensors.iter().any(|t| is(&t.name)) {
        true => Err(Fault::unsupported("norms of heads of queries and keys cannot be run yet in this architecture")),
        false => Ok(()),
    }
}

/// Attention and feed-forward layer in turn, a LayerNorm before each.
fn serial<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.rotary_attention(l.layer_norm(x, Role::AttnNorm));
        x += l.mlp(l.layer_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.layer_norm(x.wanted_rows(), Role::OutputNorm))
}

/// Attention and feed-forward layer side by side behind one LayerNorm.
fn parallel<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.layer_norm(x, Role::AttnNorm);
        let mlp = if l.has(Role::FfnGate) { l.gated_mlp(h) } else { l.mlp(h) };
        x = x + l.rotary_attention(h) + mlp;
    }
    m.end();
    m.logits(m.layer_norm(x.wanted_rows(), Role::OutputNorm))
}
