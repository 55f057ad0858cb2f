//! Hybrids of recurrent and attention layers that share all their blocks with others: Bamba, Nemotron-H.

use super::{
    super::{
        Architecture, Dim, Form, Hparams, Key, Net, Numbers, Role, Row, Rule, Ssm,
        tensors::{CONVOLVED, INNER, SSM_HEADS, SSM_SHARED, TAPS, WIDTH, needed, optional},
    },
    BASE, ENDS, GATED_MLP,
    mamba::{BACKBONE, EXPANDED, SECOND, norm_eps},
    usual,
};
use crate::{
    fault::{Fault, Result},
    ir::{Tensor, Unary},
    model::MetaValue,
};

/// Attention of layers that have no recurrence.
const ATTENTION: &[Row] = &[
    needed(Role::AttnQ).unless(Role::SsmOut),
    needed(Role::AttnK).unless(Role::SsmOut),
    needed(Role::AttnV).unless(Role::SsmOut),
    needed(Role::AttnOutput).unless(Role::SsmOut),
];

/// Bamba (transformers `modeling_bamba.py`); its GGUF files are Granite's hybrids that rotate.
pub(super) static BAMBA: Architecture = Architecture {
    name: "bamba",
    gguf: &[],
    model_types: &["bamba"],
    tensors: &[
        &[
            needed(Role::OutputNorm).in_folders(&["final_layernorm"]),
            needed(Role::FfnNorm).in_folders(&["layers.{l}.pre_ff_layernorm"]),
            needed(Role::FfnGate).in_folders(&["layers.{l}.feed_forward.gate_proj"]),
            needed(Role::FfnUp).in_folders(&["layers.{l}.feed_forward.up_proj"]),
            needed(Role::FfnDown).in_folders(&["layers.{l}.feed_forward.down_proj"]),
        ],
        ENDS,
        SECOND,
        ATTENTION,
        GATED_MLP,
    ],
    closed: false,
    recurrent: true,
    rules: &[EXPANDED],
    rotary_part: 0.5,
    adjust: Some(second),
    forward: Some(bamba),
    ..BASE
};

fn second(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    h.ssm = Some(Ssm::second(numbers)?);
    norm_eps(h, numbers)
}

fn bamba<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.rms_norm(x, Role::AttnNorm);
        x += if l.has(Role::SsmOut) { l.mamba2(h) } else { l.rotary_attention(h) };
        x += l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

/// Nemotron-H (transformers `modeling_nemotron_h.py`): each layer is one block, of one of three kinds. Those with experts are not here.
pub(super) static NEMOTRON_H: Architecture = Architecture {
    name: "nemotron_h",
    gguf: &["nemotron_h"],
    model_types: &["nemotron_h"],
    tensors: &[BACKBONE, ENDS, NEMOTRON],
    closed: false,
    rotary: false,
    recurrent: true,
    rules: &[ALL_HEADS],
    worked_out: counted_layers,
    activation: Unary::ReluSquared,
    adjust: Some(nemotron_numbers),
    forward: Some(nemotron_h),
    ..BASE
};

/// A layer has an output map of attention, of a recurrence, or of a feed-forward layer.
const NEMOTRON: &[Row] = &[
    needed(Role::AttnNorm),
    optional(Role::SsmIn).shape(&[Dim::Sum(&[INNER, INNER, SSM_SHARED, SSM_SHARED, SSM_HEADS]), WIDTH]),
    optional(Role::SsmConv).shape(&[CONVOLVED, TAPS]).flat(),
    optional(Role::SsmDt).shape(&[SSM_HEADS]),
    optional(Role::SsmDtBias).shape(&[SSM_HEADS]),
    optional(Role::SsmA).shape(&[SSM_HEADS]).flat(),
    optional(Role::SsmD).shape(&[SSM_HEADS]).flat(),
    optional(Role::SsmNorm).shape(&[INNER]).flat(),
    optional(Role::SsmOut).shape(&[WIDTH, INNER]),
    optional(Role::AttnQ).in_folders(&["layers.{l}.mixer.q_proj"]),
    optional(Role::AttnK).in_folders(&["layers.{l}.mixer.k_proj"]),
    optional(Role::AttnV).in_folders(&["layers.{l}.mixer.v_proj"]),
    optional(Role::AttnOutput).in_folders(&["layers.{l}.mixer.o_proj"]),
    optional(Role::FfnUp).in_folders(&["layers.{l}.mixer.up_proj"]),
    needed(Role::FfnDown).in_folders(&["layers.{l}.mixer.down_proj"]).unless_any(&[Role::SsmOut, Role::AttnOutput]),
];

/// Channels are those of all heads.
const ALL_HEADS: Rule =
    Rule { form: Some(Form::Folder), value: Dim::By(Key::SsmHeads, Key::SsmHeadDim), ..usual(Key::SsmInner) };

fn nemotron_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    if numbers.model().tensors.iter().any(|t| t.name.contains(".mixer.experts.")) {
        return Err(Fault::unsupported("experts of this architecture cannot be run yet"));
    }
    second(h, numbers)
}

/// Where no number of layers is stated, there are as many as kinds of them.
fn counted_layers(numbers: &Numbers<'_>, key: Key, _: u32) -> Option<u64> {
    if key != Key::Layers || numbers.stated(key).is_some() {
        return None;
    }
    match numbers.model().metadata.get("config.layers_block_type")? {
        MetaValue::Array(kinds) => Some(kinds.len),
        _ => None,
    }
}

fn nemotron_h<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.rms_norm(x, Role::AttnNorm);
        x += match (l.has(Role::SsmOut), l.has(Role::AttnOutput)) {
            (true, _) => l.mamba2(h),
            (_, true) => l.plain_attention(h),
            _ => l.mlp(h),
        };
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}
