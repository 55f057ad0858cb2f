//! Encodings whose blocks have one scale: Q1_0, Q2_0, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and MXFP4. Layouts: `tensor/quant/`.

use super::arith::{blocks, cut, ends, extreme, half_bytes, inverse};

/// 32 levels of 4 bits whose zero is raised by 8, the extreme at level -8.
pub(super) fn q4_0(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; 32], b: &mut [u8; 18]| {
        let d = extreme(x) / -8.0;
        let inverse = inverse(d);
        let level = |v: f32| (cut(v * inverse + 8.5) as i8).min(15) as u8;
        b[..2].copy_from_slice(&half_bytes(d));
        for j in 0..16 {
            b[2 + j] = level(x[j]) | level(x[j + 16]) << 4;
        }
    });
}

/// 32 levels of 4 bits between the smallest and the largest value.
pub(super) fn q4_1(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; 32], b: &mut [u8; 20]| {
        let (min, max) = ends(x);
        let d = (max - min) / 15.0;
        let inverse = inverse(d);
        let level = |v: f32| (cut((v - min) * inverse + 0.5) as i8).min(15) as u8;
        b[..2].copy_from_slice(&half_bytes(d));
        b[2..4].copy_from_slice(&half_bytes(min));
        for j in 0..16 {
            b[4 + j] = level(x[j]) | level(x[j + 16]) << 4;
        }
    });
}

/// Nibbles of 32 levels, and their fifth bits as a word of 32.
fn five_bits(x: &[f32; 32], high: &mut [u8], low: &mut [u8], level: impl Fn(f32) -> u8) {
    let mut word = 0u32;
    for j in 0..16 {
        let (a, b) = (level(x[j]), level(x[j + 16]));
        low[j] = a & 15 | (b & 15) << 4;
        word |= u32::from(a >> 4 & 1) << j | u32::from(b >> 4 & 1) << (j + 16);
    }
    high.copy_from_slice(&word.to_le_bytes());
}

/// 32 levels of 5 bits whose zero is raised by 16, the extreme at level -16.
pub(super) fn q5_0(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; 32], b: &mut [u8; 22]| {
        let d = extreme(x) / -16.0;
        let inverse = inverse(d);
        let (head, low) = b.split_at_mut(6);
        head[..2].copy_from_slice(&half_bytes(d));
        five_bits(x, &mut head[2..], low, |v| (cut(v * inverse + 16.5) as i8).min(31) as u8);
    });
}

/// 32 levels of 5 bits between the smallest and the largest value.
pub(super) fn q5_1(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; 32], b: &mut [u8; 24]| {
        let (min, max) = ends(x);
        let d = (max - min) / 31.0;
        let inverse = inverse(d);
        let (head, low) = b.split_at_mut(8);
        head[..2].copy_from_slice(&half_bytes(d));
        head[2..4].copy_from_slice(&half_bytes(min));
        five_bits(x, &mut head[4..], low, |v| cut((v - min) * inverse + 0.5) as u8);
    });
}

/// 32 signed levels of 8 bits, halves rounded away from zero.
pub(super) fn q8_0(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; 32], b: &mut [u8; 34]| {
        let d = extreme(x).abs() / 127.0;
        let inverse = inverse(d);
        b[..2].copy_from_slice(&half_bytes(d));
        for (b, v) in b[2..].iter_mut().zip(x) {
            *b = cut((v * inverse).round()) as u8;
        }
    });
}

/// 128 signs under the mean magnitude.
pub(super) fn q1_0(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; 128], b: &mut [u8; 18]| {
        let mut sum = 0.0;
        for v in x {
            sum += v.abs();
        }
        b[..2].copy_from_slice(&half_bytes(sum / 128.0));
        for (b, eight) in b[2..].iter_mut().zip(x.as_chunks::<8>().0) {
            *b = eight.iter().enumerate().fold(0, |byte, (j, v)| byte | u8::from(*v >= 0.0) << j);
        }
    });
}

/// 64 levels from -1 to 2 times the largest magnitude.
pub(super) fn q2_0(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; 64], b: &mut [u8; 18]| {
        let d = extreme(x).abs();
        let inverse = if d > 0.0 { 1.0 / d } else { 0.0 };
        b[..2].copy_from_slice(&half_bytes(d));
        for (b, four) in b[2..].iter_mut().zip(x.as_chunks::<4>().0) {
            let level = |v: f32| cut((v * inverse).round()).wrapping_add(1).clamp(0, 3) as u8;
            *b = four.iter().enumerate().fold(0, |byte, (j, v)| byte | level(*v) << (2 * j));
        }
    });
}

/// Twice the values of the 4-bit float E2M1, in the order of its codes.
const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// 32 floats of 4 bits under a power of two: that of the largest magnitude, less two.
pub(super) fn mxfp4(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; 32], b: &mut [u8; 17]| {
        let most = extreme(x).abs();
        b[0] = if most > 0.0 { cut(exponent(most) - 2.0 + 127.0) as u8 } else { 0 };
        // Half the power, as the levels are doubled.
        let d = f32::from_bits(if b[0] < 2 { 0x0020_0000 << b[0] } else { u32::from(b[0] - 1) << 23 });
        for j in 0..16 {
            b[1 + j] = nearest_code(x[j], d) | nearest_code(x[j + 16], d) << 4;
        }
    });
}

/// The exponent of a positive number, by a logarithm that was rounded to f32 first: numbers a little below a power of
/// two count as that power.
fn exponent(value: f32) -> f32 {
    (f64::from(value).log2() as f32).floor()
}

/// The first of the nearest codes.
fn nearest_code(value: f32, d: f32) -> u8 {
    let mut best = (0, (f32::from(DOUBLED[0]) * d - value).abs());
    for (code, doubled) in DOUBLED.iter().enumerate().skip(1) {
        let error = (f32::from(*doubled) * d - value).abs();
        if error < best.1 {
            best = (code as u8, error);
        }
    }
    best.0
}
