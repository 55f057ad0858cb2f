//! Rotary angles from a model's metadata and tensors.
//!
//! Sources: transformers `modeling_rope_utils.py`; llama.cpp `llama-model.cpp` (load_hparams), `llama-context.cpp`.

use std::rc::Rc;

use super::{Form, Hparams, Key, Numbers, Role, weights::Weights};
use crate::{
    fault::{Blame, Fault, Result},
    ir::{Factors, Rotation, Scaling},
};

/// The angles of layers without a window, and those of layers with one where the architecture keeps them apart.
pub(super) fn read(
    numbers: &Numbers<'_>,
    weights: &Weights<'_>,
    h: &Hparams,
    rotary_part: f64,
    local: bool,
) -> Result<(Rotation, Option<Rotation>)> {
    // Layers with a window may have heads of another width.
    let full = (0..h.layers).find(|l| !h.windowed.at(*l)).unwrap_or(0);
    let part = numbers.positive(Key::RotaryPart)?;
    let proportional = numbers.text(Key::ScalingType)? == Some("proportional");
    let dims = rotated(numbers, h, full, if proportional { 1.0 } else { part.unwrap_or(rotary_part) })?;
    let mut base = numbers.need(Key::RopeBase)?;
    let mut scaling = match proportional {
        true => share(dims, part.unwrap_or(1.0), numbers.positive(Key::ScalingFactor)?.unwrap_or(1.0)),
        false => scaling(numbers, weights, h, dims)?,
    };
    // HunYuan's: a base that is larger at any length.
    if let (Scaling::Dynamic { .. }, Some(alpha)) = (&scaling, numbers.positive(Key::RopeAlpha)?) {
        base *= alpha.powf(f64::from(dims) / (f64::from(dims) - 2.0));
        scaling = Scaling::None;
    }
    let windowed = (0..h.layers).find(|l| h.windowed.at(*l));
    let near = match (local, windowed) {
        (true, Some(near)) => {
            let part = if proportional { 1.0 } else { part.unwrap_or(rotary_part) };
            let dims = rotated(numbers, h, near, part)?;
            Some(Rotation { dims, base: numbers.need(Key::RopeBaseLocal)?, scaling: Scaling::None })
        }
        _ => None,
    };
    Ok((Rotation { dims, base, scaling }, near))
}

/// Values of a layer's heads that are rotated.
fn rotated(numbers: &Numbers<'_>, h: &Hparams, layer: u32, part: f64) -> Result<u32> {
    let head_dim = h.head_dim.at(layer);
    let stated = numbers.optional(Key::RopeDims, layer)?;
    let dims = stated.unwrap_or((f64::from(head_dim) * part) as u32);
    if dims == 0 || dims % 2 != 0 || dims > head_dim {
        let what = format!("{dims} rotated values in heads of {head_dim}: an even number up to it expected");
        return Err(Fault::new(Blame::File, what));
    }
    Ok(dims)
}

/// Divides a frequency to zero, as llama.cpp's converter writes it.
const STILL: f32 = 1e30;

/// Gemma 4's "proportional": frequencies of whole heads, of which only the first part turns.
fn share(dims: u32, part: f64, factor: f64) -> Scaling {
    let turning = (f64::from(dims) * part / 2.0) as u32;
    let factors = (0..dims / 2).map(|i| if i < turning { factor as f32 } else { STILL });
    Scaling::Factors(Factors::Values(factors.collect()))
}

fn scaling(numbers: &Numbers<'_>, weights: &Weights<'_>, h: &Hparams, dims: u32) -> Result<Scaling> {
    let factor = || numbers.need(Key::ScalingFactor);
    let stated = match numbers.text(Key::ScalingType)? {
        // Older files say it in one key.
        None => match (numbers.form(), numbers.positive(Key::ScalingFactor)?) {
            (Form::Gguf, Some(factor)) => Scaling::Linear(factor),
            _ => Scaling::None,
        },
        // Texts have one position a token in models that rotate by several.
        Some("none" | "default" | "mrope") => Scaling::None,
        Some("linear") => Scaling::Linear(factor()?),
        Some("dynamic") => Scaling::Dynamic { factor: factor()?, original: h.context },
        Some("llama3") => llama3(numbers)?,
        Some("yarn") => yarn(numbers, h)?,
        Some("longrope" | "su") if numbers.form() == Form::Folder => long(numbers, h)?,
        // GGUF files keep the factors in tensors.
        Some("longrope") => Scaling::None,
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            let known = "linear, dynamic, llama3, yarn, longrope";
            return Err(Fault::unsupported(format!("rotary scaling {other:?} cannot be run yet (known: {known})")));
        }
    };
    from_tensors(numbers, weights, h, dims, stated)
}

fn llama3(numbers: &Numbers<'_>) -> Result<Scaling> {
    let (low, high) = (numbers.need(Key::LowFreqFactor)?, numbers.need(Key::HighFreqFactor)?);
    if high <= low {
        let key = numbers.spelling(Key::HighFreqFactor);
        return Err(Fault::new(Blame::File, format!("{key}: above {low} expected, {high} found")));
    }
    let (factor, original) = (numbers.need(Key::ScalingFactor)?, numbers.need(Key::OriginalContext)?);
    Ok(Scaling::Llama3 { factor, low, high, original })
}

fn yarn(numbers: &Numbers<'_>, h: &Hparams) -> Result<Scaling> {
    let original = numbers.positive(Key::OriginalContext)?.unwrap_or(f64::from(h.context));
    let factor = numbers.positive(Key::ScalingFactor)?.unwrap_or(f64::from(h.context) / original);
    let scale = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
    let given = numbers.positive(Key::AttentionFactor)?;
    let magnitude = match (numbers.form(), given) {
        // The file's factor comes on top of the paper's.
        // A multiplier stands for factors that cancel each other out (llama.cpp `llama-context.cpp`, deepseek2).
        (Form::Gguf, given) if numbers.find(Key::YarnLogMultiplier).is_some() => given.unwrap_or(1.0),
        (Form::Gguf, given) => given.unwrap_or(1.0) * scale(1.0),
        (Form::Folder, Some(given)) => given,
        (Form::Folder, None) => {
            let stated = |key| numbers.find(key).map(|_| numbers.positive(key)).transpose();
            match (stated(Key::Mscale)?.flatten(), stated(Key::MscaleAllDim)?.flatten()) {
                (Some(one), Some(all)) => scale(one) / scale(all),
                _ => scale(1.0),
            }
        }
    };
    let truncate = numbers.flag(Key::Truncate)?.unwrap_or(true);
    let (beta_fast, beta_slow) = (numbers.need(Key::BetaFast)?, numbers.need(Key::BetaSlow)?);
    Ok(Scaling::Yarn { factor, original, beta_fast, beta_slow, truncate, magnitude })
}

/// config.json's longrope.
fn long(numbers: &Numbers<'_>, h: &Hparams) -> Result<Scaling> {
    let list = |key| -> Result<Factors> {
        let values = numbers.list(key)?.ok_or_else(|| numbers.missing(key))?;
        Ok(Factors::Values(Rc::from(values)))
    };
    let original = numbers.optional(Key::OriginalContext, 0)?.unwrap_or(h.context);
    let factor = f64::from(h.context) / f64::from(original);
    let factor = numbers.positive(Key::ScalingFactor)?.unwrap_or(factor);
    let worked_out = if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / f64::from(original).ln()).sqrt() };
    let both = numbers.positive(Key::AttentionFactor)?.unwrap_or(worked_out);
    let magnitude =
        [numbers.positive(Key::ShortMscale)?.unwrap_or(both), numbers.positive(Key::LongMscale)?.unwrap_or(both)];
    Ok(Scaling::Long { short: list(Key::ShortFactors)?, long: list(Key::LongFactors)?, original, magnitude })
}

/// GGUF's tensors of factors.
fn from_tensors(
    numbers: &Numbers<'_>,
    weights: &Weights<'_>,
    h: &Hparams,
    dims: u32,
    stated: Scaling,
) -> Result<Scaling> {
    if numbers.form() == Form::Folder {
        return Ok(stated);
    }
    let tensor = |role| weights.plain(role, &[dims / 2]);
    let both = (tensor(Role::RopeFactorsShort)?, tensor(Role::RopeFactorsLong)?);
    let found = match (both, tensor(Role::RopeFactors)?) {
        ((Some(short), Some(long)), _) => {
            let original = numbers.optional(Key::OriginalContext, 0)?.unwrap_or(h.context);
            let magnitude = [numbers.positive(Key::AttentionFactor)?.unwrap_or(1.0); 2];
            Scaling::Long { short: Factors::Tensor(short), long: Factors::Tensor(long), original, magnitude }
        }
        (_, Some(factors)) => Scaling::Factors(Factors::Tensor(factors)),
        _ => return Ok(stated),
    };
    match stated {
        Scaling::None => Ok(found),
        _ => Err(Fault::unsupported("rotary factors in a tensor together with rotary scaling cannot be run yet")),
    }
}
