//! TQ1_0 and TQ2_0: levels -1, 0 and 1 under the largest magnitude. Layouts: `tensor/quant/`.

use super::arith::{QK_K, blocks, extreme, half_bytes, inverse};

/// A level raised by one: 0, 1 or 2. What is no number counts as 0.
fn raised(value: f32) -> u8 {
    let rounded = value.round();
    if rounded.is_finite() { (rounded as i64).wrapping_add(1) as u8 } else { 1 }
}

/// Values `first`, `first + step`, ... as digits of base 3, written as a fraction of 256, rounded up.
fn fraction(x: &[f32], first: usize, step: usize, digits: usize, inverse: f32) -> u8 {
    let mut q = 0u8;
    for n in 0..5 {
        let digit = if n < digits { raised(x[first + n * step] * inverse) } else { 0 };
        q = q.wrapping_mul(3).wrapping_add(digit);
    }
    (u16::from(q).wrapping_mul(256).wrapping_add(242) / 243) as u8
}

/// Five digits in a byte: over 32 bytes, over 16, then four digits in each of 4 bytes.
pub(super) fn tq1_0(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; QK_K], b: &mut [u8; 54]| {
        let d = extreme(x).abs();
        let inverse = inverse(d);
        for (m, b) in b[..32].iter_mut().enumerate() {
            *b = fraction(x, m, 32, 5, inverse);
        }
        for (m, b) in b[32..48].iter_mut().enumerate() {
            *b = fraction(&x[160..], m, 16, 5, inverse);
        }
        for (m, b) in b[48..52].iter_mut().enumerate() {
            *b = fraction(&x[240..], m, 4, 4, inverse);
        }
        b[52..].copy_from_slice(&half_bytes(d));
    });
}

/// Two bits each: weight l + 32 k of a half at bits 2k of byte l.
pub(super) fn tq2_0(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; QK_K], b: &mut [u8; 66]| {
        let d = extreme(x).abs();
        let inverse = inverse(d);
        for (i, b) in b[..64].iter_mut().enumerate() {
            let first = i / 32 * 128 + i % 32;
            *b = (0..4).fold(0, |byte, k| byte | (raised(x[first + 32 * k] * inverse) & 3) << (2 * k));
        }
        b[64..].copy_from_slice(&half_bytes(d));
    });
}
