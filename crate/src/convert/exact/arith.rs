//! Arithmetic as C compiled for x86-64 does it, also where C leaves the result open: what libggml's bytes come from.

use crate::tensor::float;

/// Elements of a super-block.
pub(super) const QK_K: usize = 256;
/// Blocks whose largest magnitude is below are taken for zeros.
pub(super) const LEAST: f32 = 1e-15;

/// The nearest whole number, halves to even, by the trick of adding 1.5 * 2^23: exact up to 4,194,303 in magnitude, and
/// beyond that the low bits that libggml sees. NaN gives 0, an infinity -4,194,304.
pub(super) fn nearest(value: f32) -> i32 {
    let shifted = value + 12_582_912.0;
    if shifted.is_nan() { 0 } else { (shifted.to_bits() & 0x007f_ffff) as i32 - 0x0040_0000 }
}

/// As [`nearest`], held between two ends.
pub(super) fn nearest_in(value: f32, low: i32, high: i32) -> i32 {
    nearest(value).min(high).max(low)
}

/// A float cut to a whole number as `cvttss2si` does: what does not fit, NaN included, is `i32::MIN`.
pub(super) fn cut(value: f32) -> i32 {
    if (-2_147_483_648.0..2_147_483_648.0).contains(&value) { value as i32 } else { i32::MIN }
}

/// The two bytes of the nearest half; NaNs become the one quiet NaN of their sign.
pub(super) fn half_bytes(value: f32) -> [u8; 2] {
    let bits =
        if value.is_nan() { if value.is_sign_negative() { 0xfe00 } else { 0x7e00 } } else { float::to_f16(value) };
    bits.to_le_bytes()
}

/// What a decoder reads from the two bytes of a half.
pub(super) fn half(bytes: [u8; 2]) -> f32 {
    float::f16(u16::from_le_bytes(bytes))
}

/// 1 / `value`, and 0 for 0.
pub(super) fn inverse(value: f32) -> f32 {
    if value == 0.0 { 0.0 } else { 1.0 / value }
}

/// The value of largest magnitude with its sign, the first of equals; 0 for none above 0.
pub(super) fn extreme(values: &[f32]) -> f32 {
    let mut most = (0.0, 0.0);
    for v in values {
        if v.abs() > most.0 {
            most = (v.abs(), *v);
        }
    }
    most.1
}

/// Smallest and largest value, from the ends of f32 inwards.
pub(super) fn ends(values: &[f32]) -> (f32, f32) {
    let (mut min, mut max) = (f32::MAX, -f32::MAX);
    for v in values {
        if *v < min {
            min = *v;
        }
        if *v > max {
            max = *v;
        }
    }
    (min, max)
}

/// Gives each whole block of `LEN` values and its `SIZE` bytes to `one`; what is left of either is left alone.
pub(super) fn blocks<const LEN: usize, const SIZE: usize>(
    values: &[f32],
    bytes: &mut [u8],
    one: impl Fn(&[f32; LEN], &mut [u8; SIZE]),
) {
    for (values, bytes) in values.as_chunks::<LEN>().0.iter().zip(bytes.as_chunks_mut::<SIZE>().0) {
        one(values, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_and_cutting_do_what_x86_does_with_what_does_not_fit() {
        assert_eq!([2.5, 3.5, -2.5, 0.49].map(nearest), [2, 4, -2, 0]);
        assert_eq!([f32::NAN, f32::INFINITY].map(nearest), [0, -4_194_304]);
        assert_eq!([-1.9, 300.7, 3e9, f32::NAN, f32::NEG_INFINITY].map(cut), [-1, 300, i32::MIN, i32::MIN, i32::MIN]);
        assert_eq!([1.0, -f32::NAN, 1e9].map(half_bytes), [[0, 0x3c], [0, 0xfe], [0, 0x7c]]);
    }
}
