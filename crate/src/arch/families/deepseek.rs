//! DeepSeek V2 and V3: latent attention, shared and routed experts.

use super::{
    super::{
        Architecture, Dim, Form, Hparams, Key, Latent, Net, Numbers, Role, Row, Rule,
        tensors::{LATENT_MIXED, LATENT_QUERIES, WIDTH, needed},
    },
    BASE, ENDS, EXPERTS,
    mixtures::{SHARED_EXPERTS, SHARED_WIDTH},
    usual,
};
use crate::{
    fault::{Fault, Result},
    ir::{Gating, Pairing, Tensor},
};

/// Attention whose keys and values are made from a narrow row.
const LATENT_ATTENTION: &[Row] = &[
    needed(Role::AttnNorm),
    needed(Role::AttnQ).shape(&[LATENT_QUERIES, WIDTH]).unless_any(&[Role::QLow, Role::QHigh]),
    needed(Role::QLow).unless(Role::AttnQ),
    needed(Role::QLowNorm).unless(Role::AttnQ),
    needed(Role::QHigh).unless(Role::AttnQ),
    needed(Role::KvLow),
    needed(Role::KvLowNorm),
    needed(Role::KvHigh).unless_any(&[Role::KHigh, Role::VHigh]),
    needed(Role::KHigh).unless(Role::KvHigh),
    needed(Role::VHigh).unless(Role::KvHigh),
    needed(Role::AttnOutput).shape(&[WIDTH, LATENT_MIXED]),
];

/// A number of folders that follows others.
const fn follows(key: Key, value: Dim) -> Rule {
    Rule { form: Some(Form::Folder), value, always: true, ..usual(key) }
}

/// A number of GGUF files where none is stated.
const fn else_of(key: Key, other: Key) -> Rule {
    Rule { form: Some(Form::Gguf), value: Dim::Of(other), ..usual(key) }
}

/// DeepSeek V2 and V3 (transformers `modeling_deepseek_v2.py`, `modeling_deepseek_v3.py`; llama.cpp `deepseek2.cpp`).
pub(super) static DEEPSEEK2: Architecture = Architecture {
    name: "deepseek2",
    gguf: &["deepseek2"],
    model_types: &["deepseek_v2", "deepseek_v3"],
    tensors: &[ENDS, LATENT_ATTENTION, SHARED_EXPERTS, EXPERTS],
    rules: &[
        follows(Key::LatentKeyDim, Dim::Sum(&[Dim::Of(Key::UnrotatedDim), Dim::Of(Key::RotatedDim)])),
        follows(Key::HeadDim, Dim::Of(Key::LatentKeyDim)),
        follows(Key::RopeDims, Dim::Of(Key::RotatedDim)),
        // Older files have keys and values of whole heads, and say no other widths.
        else_of(Key::LatentKeyDim, Key::HeadDim),
        else_of(Key::LatentValueDim, Key::ValueDim),
        Rule {
            form: Some(Form::Gguf),
            value: Dim::Beyond(Key::LatentKeyDim, Key::RotatedDim),
            always: true,
            ..usual(Key::UnrotatedDim)
        },
        SHARED_WIDTH,
    ],
    closed: false,
    gguf_pairing: Pairing::Interleaved,
    folder_pairing: Pairing::Interleaved,
    routing: (Gating::Softmax, false),
    adjust: Some(numbers),
    forward: Some(forward),
    ..BASE
};

fn forward<'g>(m: &Net<'g>) -> Tensor<'g> {
    let mut x = m.embed();
    for l in m.layers() {
        x += l.latent_attention(l.rms_norm(x, Role::AttnNorm));
        x += l.mixture(l.rms_norm(x, Role::FfnNorm));
    }
    m.end();
    m.logits(m.rms_norm(x.wanted_rows(), Role::OutputNorm))
}

fn numbers(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    let count = |key| numbers.count(key, 0);
    h.latent = Some(Latent {
        rank: count(Key::KvRank)?,
        plain: count(Key::UnrotatedDim)?,
        rotated: count(Key::RotatedDim)?,
        value: count(Key::LatentValueDim)?,
    });
    h.score_scale = Some(score_scale(numbers)?);
    if numbers.model().metadata.get("config.attention_bias").is_some_and(|v| *v == crate::model::MetaValue::Bool(true))
    {
        return Err(Fault::unsupported("biases on latent attention cannot be run yet"));
    }
    if numbers.form() == Form::Folder {
        if numbers.flag(Key::RotatesPairs)? == Some(false) {
            h.pairing = Pairing::Halves;
        }
        folder_routing(h, numbers)?;
    }
    Ok(())
}

/// One over the root of a head's width, times the square of YaRN's magnitude.
fn score_scale(numbers: &Numbers<'_>) -> Result<f32> {
    let plain = f64::from(numbers.count(Key::LatentKeyDim, 0)?).powf(-0.5);
    let yarn = match numbers.form() {
        Form::Gguf => numbers.text(Key::ScalingType)? == Some("yarn"),
        Form::Folder => numbers.text(Key::ScalingType)?.is_some_and(|t| t != "default"),
    };
    if !yarn {
        return Ok(plain as f32);
    }
    let factor = numbers.need(Key::ScalingFactor)?;
    let magnitude = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * factor.ln() + 1.0 };
    let magnitude = match numbers.form() {
        // The file's multiplier has a tenth in it already.
        Form::Gguf => match numbers.positive(Key::YarnLogMultiplier)? {
            Some(tenth) => magnitude(10.0 * tenth),
            None => magnitude(1.0),
        },
        Form::Folder => match numbers.find(Key::MscaleAllDim) {
            Some(_) => magnitude(numbers.need(Key::MscaleAllDim)?),
            None => 1.0,
        },
    };
    Ok((plain * magnitude * magnitude) as f32)
}

/// V2 weighs experts by softmax and groups by their best expert; V3 by sigmoid and by the two best.
fn folder_routing(h: &mut Hparams, numbers: &Numbers<'_>) -> Result<()> {
    let Some(routing) = &mut h.routing else { return Ok(()) };
    if numbers.name() == "deepseek_v3" {
        routing.gating = Gating::Sigmoid;
        routing.normalise = numbers.flag(Key::NormalisedWeights)?.unwrap_or(true);
        return Ok(());
    }
    (routing.gating, routing.normalise, routing.two_of_group) = (Gating::Softmax, false, false);
    let method = numbers.model().metadata.string("config.topk_method");
    match method {
        Some("group_limited_greedy") => {}
        None | Some("greedy") => (routing.groups, routing.groups_used) = (1, 1),
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            return Err(Fault::unsupported(format!("a choice of experts by {other:?} cannot be run yet")));
        }
    }
    Ok(())
}
