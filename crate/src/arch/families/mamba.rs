//! State space models, and short convolutions between attention layers.

use super::{
    super::{
        Architecture, Dim, Form, Hparams, Key, Net, Numbers, Role, Row, Rule, Ssm,
        tensors::{CONVOLVED, INNER, SSM_HEADS, SSM_SHARED, TAPS, WIDTH, needed, optional},
    },
    BASE, ENDS, GATED_MLP, usual,
};
use crate::{fault::Result, ir::Tensor};

/// The first version's (transformers `modeling_mamba.py`; llama.cpp `models/mamba-base.cpp`).
const FIRST: &[Row] = &[
    needed(Role::AttnNorm),
    needed(Role::SsmIn).shape(&[Dim::Times(2, Key::SsmInner), WIDTH]),
    needed(Role::SsmConv).shape(&[INNER, TAPS]).flat(),
    needed(Role::SsmX).shape(&[Dim::Sum(&[Dim::Of(Key::SsmRank), Dim::Times(2, Key::SsmSize)]), INNER]),
    needed(Role::SsmDt).shape(&[INNER, Dim::Of(Key::SsmRank)]),
    needed(Role::SsmA).shape(&[INNER, Dim::Of(Key::SsmSize)]),
    needed(Role::SsmD).shape(&[INNER]),
    needed(Role::SsmOut).shape(&[WIDTH, INNER]),
];

/// The second version's; hybrids have it in layers without attention.
pub(super) const SECOND: &[Row] = &[
    needed(Role::AttnNorm),
    needed(Role::SsmIn)
        .shape(&[Dim::Sum(&[INNER, INNER, SSM_SHARED, SSM_SHARED, SSM_HEADS]), WIDTH])
        .unless(Role::AttnOutput),
    needed(Role::SsmConv).shape(&[CONVOLVED, TAPS]).flat().unless(Role::AttnOutput),
    optional(Role::SsmDt).shape(&[SSM_HEADS]),
    needed(Role::SsmDtBias).shape(&[SSM_HEADS]).unless(Role::AttnOutput),
    needed(Role::SsmA).shape(&[SSM_HEADS]).flat().unless(Role::AttnOutput),
    needed(Role::SsmD).shape(&[SSM_HEADS]).flat().unless(Role::AttnOutput),
    needed(Role::SsmNorm).shape(&[INNER]).flat().unless(Role::AttnOutput),
    needed(Role::SsmOut).shape(&[WIDTH, INNER]).unless(Role::AttnOutput),
];

/// What stands before and behind the layers, by the names that the first authors gave.
pub(super) const BACKBONE: &[Row] = &[
    needed(Role::TokenEmbedding).in_folders(&["embeddings", "embedding", "embed_tokens"]),
    needed(Role::OutputNorm).in_folders(&["norm_f"]),
];

/// Channels are a multiple of the width.
pub(super) const EXPANDED: Rule =
    Rule { form: Some(Form::Folder), value: Dim::By(Key::SsmExpand, Key::HiddenSize), ..usual(Key::SsmInner) };

pub(super) static MAMBA: Architecture = Architecture {
    name: "mamba",
    gguf: &["mamba"],
    model_types: &["mamba", "falcon_mamba"],
    tensors: &[BACKBONE, ENDS, FIRST],
    closed: false,
    rotary: false,
    recurrent: true,
    rules: &[ANY_LENGTH, EXPANDED],
    adjust: Some(mamba_numbers),
    forward: Some(mamba),
    ..BASE
};

/// No length is stated, because none is special; what llama.cpp's converter writes.
pub(super) const ANY_LENGTH: Rule =
    Rule { form: Some(Form::Folder), value: Dim::Exactly(1 << 20), ..usual(Key::Context) };

fn mamba_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    h.ssm = Some(Ssm::first(numbers)?);
    norm_eps(h, numbers)?;
    // Falcon's norms have no weights (transformers `rms_forward`); llama.cpp gives them the other norms' number.
    h.scan_eps = match numbers.form() {
        Form::Folder if numbers.name() == "falcon_mamba" => Some(numbers.need(Key::ScanEps)? as f32),
        Form::Gguf if numbers.flag(Key::ScanNorms)? == Some(true) => Some(h.norm_eps),
        _ => None,
    };
    Ok(())
}

/// The name that LayerNorm's has elsewhere.
pub(super) fn norm_eps(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    if numbers.form() == Form::Folder && numbers.find(Key::RmsEps).is_none() {
        h.norm_eps = numbers.need(Key::LayerNormEps)? as f32;
    }
    Ok(())
}

fn mamba<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.mamba(l.rms_norm(x, Role::AttnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

pub(super) static MAMBA2: Architecture = Architecture {
    name: "mamba2",
    gguf: &["mamba2"],
    model_types: &["mamba2"],
    tensors: &[BACKBONE, ENDS, SECOND],
    closed: false,
    rotary: false,
    recurrent: true,
    rules: &[ANY_LENGTH, EXPANDED],
    adjust: Some(mamba2_numbers),
    forward: Some(mamba2),
    ..BASE
};

fn mamba2_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    h.ssm = Some(Ssm::second(numbers)?);
    norm_eps(h, numbers)
}

fn mamba2<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.mamba2(l.rms_norm(x, Role::AttnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

pub(super) static LFM2: Architecture = Architecture {
    name: "lfm2",
    gguf: &["lfm2"],
    model_types: &["lfm2"],
    tensors: &[
        &[needed(Role::OutputNorm).in_gguf(&["token_embd_norm", "output_norm"]).in_folders(&["embedding_norm"])],
        ENDS,
        &[
            needed(Role::AttnNorm),
            needed(Role::AttnQ).unless(Role::ShortConvIn),
            needed(Role::AttnK).unless(Role::ShortConvIn),
            needed(Role::AttnV).unless(Role::ShortConvIn),
            needed(Role::AttnOutput).in_folders(&["layers.{l}.self_attn.out_proj"]).unless(Role::ShortConvIn),
            needed(Role::QNorm).in_folders(&["layers.{l}.self_attn.q_layernorm"]).unless(Role::ShortConvIn),
            needed(Role::KNorm).in_folders(&["layers.{l}.self_attn.k_layernorm"]).unless(Role::ShortConvIn),
            needed(Role::ShortConv).shape(&[WIDTH, TAPS]).flat().unless(Role::AttnOutput),
            needed(Role::ShortConvIn).unless(Role::AttnOutput),
            needed(Role::ShortConvOut).unless(Role::AttnOutput),
        ],
        GATED_MLP,
    ],
    worked_out: lfm2_width,
    closed: false,
    recurrent: true,
    adjust: Some(lfm2_numbers),
    forward: Some(lfm2),
    ..BASE
};

fn lfm2_numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    h.conv_taps = numbers.count(Key::ConvKernel, 0)?;
    Ok(())
}

/// A feed-forward layer is narrower than stated, where nothing says otherwise (transformers `Lfm2MLP`).
fn lfm2_width(numbers: &Numbers<'_>, key: Key, layer: u32) -> Option<u64> {
    let adjusts = || numbers.flag(Key::AdjustFfn).ok().flatten().unwrap_or(true);
    if key != Key::IntermediateSize || numbers.form() != Form::Folder || !adjusts() {
        return None;
    }
    let (multiple, factor) = (numbers.stated(Key::FfnMultiple).unwrap_or(256).max(1), numbers.positive(Key::FfnFactor));
    let width = numbers.stated_at(key, layer)?.checked_mul(2)? / 3;
    let width = (width as f64 * factor.ok().flatten().unwrap_or(1.0)) as u64;
    width.div_ceil(multiple).checked_mul(multiple)
}

fn lfm2<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        let h = l.rms_norm(x, Role::AttnNorm);
        x += if l.has(Role::ShortConvIn) { l.short_conv(h) } else { l.normed_attention(h) };
        x += l.gated_mlp(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}
