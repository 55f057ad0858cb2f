//! Tensors that no folder has: factors of rotary frequencies, which follow from the configuration.

use super::{config::missing, settings::Settings};
use crate::{
    arch::Key,
    fault::{Blame, Fault, Result},
};

/// Frequencies of a head that are more than any model has.
const MOST: u64 = 1 << 16;

/// Names and values; what they need beside is set.
///
/// # Errors
/// The configuration states a scaling without its numbers, or with others than it can have.
pub(super) fn tensors(s: &mut Settings<'_>) -> Result<Vec<(String, Vec<f32>)>> {
    match s.architecture {
        "phi3" => long(s),
        "gemma4" => Ok(vec![("rope_freqs.weight".into(), still(s)?)]),
        _ if s.config.rope_kind() == Some("llama3") => Ok(vec![("rope_freqs.weight".into(), llama3(s)?)]),
        _ => Ok(Vec::new()),
    }
}

/// Gemma 4's full layers turn the first part of a head alone: the frequencies of the rest are divided to nothing.
fn still(s: &Settings<'_>) -> Result<Vec<f32>> {
    let head = s.numbers.at(Key::HeadDim, super::families::full_layer(s)?).unwrap_or(0).min(MOST);
    let part = s.config.rope_real("partial_rotary_factor").unwrap_or(1.0);
    let turning = (head as f64 * part / 2.0) as u64;
    Ok((0..head / 2).map(|i| if i < turning { 1.0 } else { 1e30 }).collect())
}

/// Llama 3.1: low frequencies are divided, high ones are not, those between partly.
fn llama3(s: &Settings<'_>) -> Result<Vec<f32>> {
    let base = s.config.rope_base().unwrap_or(10_000.0);
    let dim = s.known(Key::HeadDim)?.min(MOST);
    let number = |key: &str, usual: f64| s.config.rope_real(key).unwrap_or(usual);
    let usual = if s.architecture == "exaone4" { 16.0 } else { 8.0 };
    let (factor, low, high) =
        (number("factor", usual), number("low_freq_factor", 1.0), number("high_freq_factor", 4.0));
    let original = number("original_max_position_embeddings", 8192.0);
    if !(factor > 0.0 && low > 0.0 && high > low && original > 0.0 && base > 0.0) {
        let what = format!(
            "llama3 rotary scaling by {factor} from {low} to {high} of {original}: numbers above zero expected, the second below the third"
        );
        return Err(Fault::new(Blame::File, what).in_file("config.json"));
    }
    Ok(llama3_factors(base, dim, [factor, low, high, original]))
}

/// The factors of a head of `dim` values: in single precision, as the converter computes them.
pub(in crate::convert) fn llama3_factors(base: f64, dim: u64, [factor, low, high, original]: [f64; 4]) -> Vec<f32> {
    let one = |i: u64| {
        let frequency = 1.0 / (base.powf(f64::from((2 * i) as f32 / dim as f32)) as f32);
        let wave = (2.0 * std::f64::consts::PI) as f32 / frequency;
        if wave < (original / high) as f32 {
            1.0
        } else if wave > (original / low) as f32 {
            factor as f32
        } else {
            let smooth = (original as f32 / wave - low as f32) / (high - low) as f32;
            1.0 / ((1.0 - smooth) / factor as f32 + smooth)
        }
    };
    (0..dim / 2).map(one).collect()
}

/// Phi 3's two lists of factors, for texts within the trained context and beyond it.
fn long(s: &mut Settings<'_>) -> Result<Vec<(String, Vec<f32>)>> {
    let Some(long) = s.config.rope_list("long_factor").filter(|l| !l.is_empty()) else { return Ok(Vec::new()) };
    let short = s.config.rope_list("short_factor").ok_or_else(|| missing(&["rope_parameters.short_factor"]))?;
    let width = s.config.need(&["hidden_size", "n_embd"])?;
    let heads = s.config.need(&["num_attention_heads", "n_head"])?.max(1);
    let rotated = (s.config.rotary_part().unwrap_or(1.0) * width as f64) as u64 / heads;
    if long.len() != short.len() || long.len() as u64 != rotated / 2 {
        let what =
            format!("{} long and {} short rotary factors: {} of each expected", long.len(), short.len(), rotated / 2);
        return Err(Fault::new(Blame::File, what).in_file("config.json"));
    }
    let context = s.config.need(&["n_positions", "max_position_embeddings"])? as f64;
    let original = s.config.rope_real("original_max_position_embeddings");
    let original = original.or_else(|| s.config.real(&["original_max_position_embeddings"])).unwrap_or(4096.0);
    let scale = context / original;
    let factor = match s.config.rope_kind() {
        _ if scale <= 1.0 => 1.0,
        Some("su" | "longrope") => (1.0 + scale.ln() / original.ln()).sqrt(),
        Some("yarn") => 0.1 * scale.ln() + 1.0,
        other => {
            let what = format!(
                "rotary scaling {:?} with long and short factors is not known",
                other.unwrap_or("without a name")
            );
            return Err(Fault::unsupported(what).in_file("config.json"));
        }
    };
    s.f32("rope.scaling.attn_factor", factor)?;
    let single = |all: Vec<f64>| all.into_iter().map(|x| x as f32).collect();
    Ok(vec![("rope_factors_long.weight".into(), single(long)), ("rope_factors_short.weight".into(), single(short))])
}
