//! IQ4_NL and IQ4_XS: 16 unequal levels, the scale found by trying. Layouts: `tensor/quant/`.

use super::arith::{LEAST, QK_K, blocks, extreme, half_bytes, inverse, nearest_in};

/// The levels, denser around zero.
const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
/// Scales tried to either side of the one that puts the extreme on the lowest level.
const TRIES: i32 = 7;

/// Index of the nearest level, the upper one of equals; 15 for NaN.
fn nearest_level(value: f32) -> u8 {
    let level = |i: usize| f32::from(LEVELS[i]);
    if value <= level(0) {
        return 0;
    }
    let above = 1 + LEVELS[1..15].iter().position(|l| value < f32::from(*l)).unwrap_or(14);
    if value - level(above - 1) < level(above) - value { above as u8 - 1 } else { above as u8 }
}

/// The scale of 32 values: of all that were tried the one of least squared error, weighted by the values' squares.
fn scale(x: &[f32; 32]) -> f32 {
    let max = extreme(x);
    if max.abs() < LEAST {
        return 0.0;
    }
    let sums = |inverse: f32| {
        let (mut along, mut square) = (0.0f32, 0.0f32);
        for v in x {
            let (q, w) = (f32::from(LEVELS[usize::from(nearest_level(inverse * v))]), v * v);
            along += w * q * v;
            square += w * q * q;
        }
        (along, square)
    };
    let first = sums(1.0 / (-max / f32::from(LEVELS[0])));
    let mut d = if first.1 > 0.0 { first.0 / first.1 } else { 0.0 };
    let mut best = d * first.0;
    for i in -TRIES..=TRIES {
        let (along, square) = sums((i + i32::from(LEVELS[0])) as f32 / max);
        if square > 0.0 && along * along > best * square {
            d = along / square;
            best = d * along;
        }
    }
    d
}

/// Levels of 32 values, value j in the low nibble of byte j and value j + 16 in the high one.
fn put(x: &[f32; 32], inverse: f32, bytes: &mut [u8]) {
    for (j, b) in bytes.iter_mut().take(16).enumerate() {
        *b = nearest_level(inverse * x[j]) | nearest_level(inverse * x[j + 16]) << 4;
    }
}

pub(super) fn iq4_nl(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; 32], b: &mut [u8; 18]| {
        let d = scale(x);
        b[..2].copy_from_slice(&half_bytes(d));
        put(x, inverse(d), &mut b[2..]);
    });
}

pub(super) fn iq4_xs(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; QK_K], b: &mut [u8; 136]| {
        let parts = x.as_chunks::<32>().0;
        let mut scales = [0.0; 8];
        for (s, part) in scales.iter_mut().zip(parts) {
            *s = scale(part);
        }
        // The largest magnitude, the first of equals.
        let d = -extreme(&scales) / 32.0;
        b[..2].copy_from_slice(&half_bytes(d));
        let of_scale = inverse(d);
        let mut high = 0u16;
        b[4..8].fill(0);
        for (i, part) in parts.iter().enumerate() {
            let l = nearest_in(of_scale * scales[i], -32, 31);
            put(part, inverse(d * l as f32), &mut b[8 + 16 * i..]);
            let raised = (l + 32) as u8;
            b[4 + i / 2] |= (raised & 15) << (4 * (i % 2));
            high |= u16::from(raised >> 4) << (2 * i);
        }
        b[2..4].copy_from_slice(&high.to_le_bytes());
    });
}
