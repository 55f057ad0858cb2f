//! What the encoders share: finding scales, rounding to levels.

use crate::tensor::float::{f16_le, to_f16_le};

/// The value of largest magnitude, with its sign; 0 for no finite value.
pub(super) fn extreme(values: &[f32]) -> f32 {
    values.iter().filter(|v| v.is_finite()).fold(0.0, |most: f32, v| if v.abs() > most.abs() { *v } else { most })
}

/// Smallest and largest finite value; 0 and 0 for none.
pub(super) fn ends(values: &[f32]) -> (f32, f32) {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    finite().next().map_or((0.0, 0.0), |first| (finite().fold(first, f32::min), finite().fold(first, f32::max)))
}

/// 1 / `scale`, or 0 where that is no number.
pub(super) fn inverse(scale: f32) -> f32 {
    let inverse = 1.0 / scale;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// Nearest whole number (halves away from zero) between `low` and `high`; 0 or the nearer end for NaN.
pub(super) fn level(value: f32, low: i32, high: i32) -> i32 {
    (value.round() as i32).clamp(low, high)
}

/// A scale as its two bytes and as the float that a decoder will read from them.
pub(super) fn half(value: f32) -> ([u8; 2], f32) {
    let bytes = to_f16_le(value);
    (bytes, f16_le(bytes))
}

/// Puts the low halves of 32 five-bit or four-bit levels into nibbles: j below, j + 16 above.
pub(super) fn nibbles(levels: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|j| levels[j] & 15 | levels[j + 16] << 4)
}

/// The fifth bits of 32 levels, level j at bit j.
pub(super) fn fifth_bits(levels: &[u8; 32]) -> [u8; 4] {
    let bits = levels.iter().enumerate().fold(0u32, |bits, (j, q)| bits | u32::from(q >> 4 & 1) << j);
    bits.to_le_bytes()
}

/// Scales and offsets of `N` sub-blocks, themselves quantised against one scale each: what Q2_K, Q4_K, Q5_K store.
pub(super) struct TwoLevel<const N: usize> {
    pub(super) d: [u8; 2],
    pub(super) dmin: [u8; 2],
    pub(super) scales: [u8; N],
    pub(super) mins: [u8; N],
    /// 1 / step and offset of each sub-block, from what a decoder computes.
    inverses: [(f32, f32); N],
}

impl<const N: usize> TwoLevel<N> {
    /// Fits each sub-block's range to levels 0 to `levels`; scales and offsets to 0 to `top`.
    pub(super) fn fit(values: &[f32], levels: u8, top: u8) -> Self {
        let mut ranges = [(0.0, 0.0); N];
        for (range, part) in ranges.iter_mut().zip(values.chunks_exact((values.len() / N).max(1))) {
            // The stored offset cannot be negative, so the range always takes in zero.
            let (min, max) = ends(part);
            let min = min.min(0.0);
            *range = ((max.max(0.0) - min) / f32::from(levels), -min);
        }
        let most = ranges.iter().fold((0f32, 0f32), |m, r| (m.0.max(r.0), m.1.max(r.1)));
        let ((d, scale_of), (dmin, min_of)) = (half(most.0 / f32::from(top)), half(most.1 / f32::from(top)));
        let round = |value: f32, of: f32| level(value * inverse(of), 0, i32::from(top)) as u8;
        let scales = ranges.map(|r| round(r.0, scale_of));
        let mins = ranges.map(|r| round(r.1, min_of));
        let inverses = std::array::from_fn(|i| (inverse(scale_of * f32::from(scales[i])), min_of * f32::from(mins[i])));
        Self { d, dmin, scales, mins, inverses }
    }
    /// Level of a value in sub-block `part`.
    pub(super) fn level(&self, part: usize, value: f32, levels: u8) -> u8 {
        let (inverse, min) = self.inverses[part];
        level((value + min) * inverse, 0, i32::from(levels)) as u8
    }
}

/// Signed scales of `N` sub-blocks against one scale: what Q3_K and Q6_K store.
pub(super) struct Symmetric<const N: usize> {
    pub(super) d: [u8; 2],
    pub(super) scales: [i8; N],
    /// 1 / step of each sub-block.
    inverses: [f32; N],
}

impl<const N: usize> Symmetric<N> {
    /// Puts the extreme of each sub-block on level -`levels`; scales to -`top` to `top` - 1.
    pub(super) fn fit(values: &[f32], levels: i8, top: u8) -> Self {
        let mut wanted = [0.0; N];
        for (scale, part) in wanted.iter_mut().zip(values.chunks_exact((values.len() / N).max(1))) {
            *scale = extreme(part) / -f32::from(levels);
        }
        let (d, scale_of) = half(extreme(&wanted) / -f32::from(top));
        let top = i32::from(top);
        let scales = wanted.map(|s| level(s * inverse(scale_of), -top, top - 1) as i8);
        Self { d, scales, inverses: scales.map(|s| inverse(scale_of * f32::from(s))) }
    }
    /// Level of a value in sub-block `part`, raised by `levels` so that it is not negative.
    pub(super) fn level(&self, part: usize, value: f32, levels: i8) -> u8 {
        let levels = i32::from(levels);
        (level(value * self.inverses[part], -levels, levels - 1) + levels) as u8
    }
}
