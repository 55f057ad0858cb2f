//! Q2_K to Q6_K: scales of small groups by search, themselves rounded under one or two halves. Layouts: `tensor/quant/`.

use super::{
    arith::{LEAST, QK_K, blocks, extreme, half, half_bytes, nearest, nearest_in},
    search::{Tries, affine, by_turns, symmetric},
};

/// The largest value above 0, or 0.
fn most(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, v| if *v > most { *v } else { most })
}

/// Two bits of each level: level l + 32 k of a half at bits 2k of byte l.
fn two_bits(levels: &[u8; QK_K], bytes: &mut [u8]) {
    for (i, b) in bytes.iter_mut().take(64).enumerate() {
        let first = i / 32 * 128 + i % 32;
        *b = (0..4).fold(0, |byte, k| byte | levels[first + 32 * k] << (2 * k));
    }
}

pub(super) fn q2_k(values: &[f32], bytes: &mut [u8]) {
    const TRIES: Tries = Tries { top: 3, from: -0.5, count: 15, absolute: true };
    blocks(values, bytes, |x: &[f32; QK_K], b: &mut [u8; 84]| {
        let groups = x.as_chunks::<16>().0;
        let mut levels = [0u8; QK_K];
        let (mut scales, mut mins) = ([0.0; 16], [0.0; 16]);
        for (j, group) in groups.iter().enumerate() {
            let weights = group.map(f32::abs);
            (scales[j], mins[j]) = affine(group, &weights, &TRIES, &mut levels[16 * j..][..16]);
        }
        let (scale, min) = (most(&scales), most(&mins));
        let of_scale = if scale > 0.0 { 15.0 / scale } else { 0.0 };
        let of_min = if min > 0.0 { 15.0 / min } else { 0.0 };
        let (d, dmin) = (
            half_bytes(if scale > 0.0 { scale / 15.0 } else { 0.0 }),
            half_bytes(if min > 0.0 { min / 15.0 } else { 0.0 }),
        );
        for j in 0..16 {
            // Only the low bits count: a scale below zero wraps.
            let low = if scale > 0.0 { nearest(of_scale * scales[j]) as u8 } else { 0 };
            let high = if min > 0.0 { (nearest(of_min * mins[j]) as u8) << 4 } else { 0 };
            b[j] = low | high;
        }
        for (j, group) in groups.iter().enumerate() {
            let step = half(d) * f32::from(b[j] & 15);
            if step == 0.0 {
                continue;
            }
            let offset = half(dmin) * f32::from(b[j] >> 4);
            for (l, x) in levels[16 * j..].iter_mut().zip(group) {
                *l = nearest_in((x + offset) / step, 0, 3) as u8;
            }
        }
        two_bits(&levels, &mut b[16..80]);
        b[80..82].copy_from_slice(&d);
        b[82..].copy_from_slice(&dmin);
    });
}

pub(super) fn q3_k(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; QK_K], b: &mut [u8; 110]| {
        let groups = x.as_chunks::<16>().0;
        let mut levels = [0i8; QK_K];
        let mut scales = [0.0; 16];
        for (j, group) in groups.iter().enumerate() {
            scales[j] = by_turns(group, 4, &mut levels[16 * j..][..16]);
        }
        let most = extreme(&scales);
        let inverse = -32.0 / most;
        let d = half_bytes(if most == 0.0 { 0.0 } else { 1.0 / inverse });
        let mut small = [-32i8; 16];
        b[96..108].fill(0);
        if most != 0.0 {
            for (j, small) in small.iter_mut().enumerate() {
                // The low byte alone is held between the ends.
                *small = (nearest(inverse * scales[j]) as i8).clamp(-32, 31);
                let raised = (*small + 32) as u8;
                b[96 + j % 8] |= (raised & 15) << (4 * (j / 8));
                b[104 + j % 4] |= (raised >> 4) << (2 * (j / 4));
            }
        }
        for (j, group) in groups.iter().enumerate() {
            let step = half(d) * f32::from(small[j]);
            if step == 0.0 {
                continue;
            }
            for (l, x) in levels[16 * j..].iter_mut().zip(group) {
                *l = nearest_in(x / step, -4, 3) as i8 + 4;
            }
        }
        b[..32].fill(0);
        for (i, l) in levels.iter().enumerate() {
            b[i % 32] |= u8::from(*l > 3) << (i / 32);
        }
        two_bits(&levels.map(|l| if l > 3 { l - 4 } else { l } as u8), &mut b[32..96]);
        b[108..].copy_from_slice(&d);
    });
}

/// What Q4_K and Q5_K share: halves, the 12 bytes of scales and minima, levels.
struct Groups {
    d: [u8; 2],
    dmin: [u8; 2],
    small: [u8; 12],
    levels: [u8; QK_K],
}

fn groups_of_32(x: &[f32; QK_K], tries: &Tries) -> Groups {
    let groups = x.as_chunks::<32>().0;
    let mut levels = [0u8; QK_K];
    let (mut scales, mut mins) = ([0.0; 8], [0.0; 8]);
    for (j, group) in groups.iter().enumerate() {
        let mut squares = 0.0f32;
        for x in group {
            squares += x * x;
        }
        let spread = (squares / 32.0).sqrt();
        let weights = group.map(|x| spread + x.abs());
        (scales[j], mins[j]) = affine(group, &weights, tries, &mut levels[32 * j..][..32]);
    }
    let (scale, min) = (most(&scales), most(&mins));
    let of_scale = if scale > 0.0 { 63.0 / scale } else { 0.0 };
    let of_min = if min > 0.0 { 63.0 / min } else { 0.0 };
    // The low byte alone is held to 63: a scale below zero wraps first.
    let scales = scales.map(|s| (nearest(of_scale * s) as u8).min(63));
    let mins = mins.map(|m| (nearest(of_min * m) as u8).min(63));
    let mut small = [0; 12];
    for j in 0..4 {
        small[j] = scales[j] | (scales[j + 4] >> 4) << 6;
        small[j + 4] = mins[j] | (mins[j + 4] >> 4) << 6;
        small[j + 8] = scales[j + 4] & 15 | (mins[j + 4] & 15) << 4;
    }
    let (d, dmin) = (half_bytes(scale / 63.0), half_bytes(min / 63.0));
    for (j, group) in groups.iter().enumerate() {
        let step = half(d) * f32::from(scales[j]);
        if step == 0.0 {
            continue;
        }
        let offset = half(dmin) * f32::from(mins[j]);
        for (l, x) in levels[32 * j..].iter_mut().zip(group) {
            *l = nearest_in((x + offset) / step, 0, i32::from(tries.top)) as u8;
        }
    }
    Groups { d, dmin, small, levels }
}

/// Low nibbles of two groups in 32 bytes: the even group below, the odd one above.
fn low_nibbles(levels: &[u8; QK_K], bytes: &mut [u8]) {
    for (i, b) in bytes.iter_mut().take(128).enumerate() {
        let first = i / 32 * 64 + i % 32;
        *b = levels[first] & 15 | (levels[first + 32] & 15) << 4;
    }
}

pub(super) fn q4_k(values: &[f32], bytes: &mut [u8]) {
    const TRIES: Tries = Tries { top: 15, from: -1.0, count: 20, absolute: false };
    blocks(values, bytes, |x: &[f32; QK_K], b: &mut [u8; 144]| {
        let found = groups_of_32(x, &TRIES);
        b[..2].copy_from_slice(&found.d);
        b[2..4].copy_from_slice(&found.dmin);
        b[4..16].copy_from_slice(&found.small);
        low_nibbles(&found.levels, &mut b[16..]);
    });
}

pub(super) fn q5_k(values: &[f32], bytes: &mut [u8]) {
    const TRIES: Tries = Tries { top: 31, from: -0.5, count: 15, absolute: false };
    blocks(values, bytes, |x: &[f32; QK_K], b: &mut [u8; 176]| {
        let found = groups_of_32(x, &TRIES);
        b[..2].copy_from_slice(&found.d);
        b[2..4].copy_from_slice(&found.dmin);
        b[4..16].copy_from_slice(&found.small);
        b[16..48].fill(0);
        for (i, l) in found.levels.iter().enumerate() {
            b[16 + i % 32] |= (l >> 4) << (i / 32);
        }
        low_nibbles(&found.levels, &mut b[48..]);
    });
}

pub(super) fn q6_k(values: &[f32], bytes: &mut [u8]) {
    blocks(values, bytes, |x: &[f32; QK_K], b: &mut [u8; 210]| {
        let groups = x.as_chunks::<16>().0;
        let mut levels = [0i8; QK_K];
        let mut scales = [0.0; 16];
        for (j, group) in groups.iter().enumerate() {
            scales[j] = symmetric(group, 32, &mut levels[16 * j..][..16]);
        }
        let most = extreme(&scales);
        if most.abs() < LEAST {
            b.fill(0);
            return;
        }
        let inverse = -128.0 / most;
        let d = half_bytes(1.0 / inverse);
        for (j, group) in groups.iter().enumerate() {
            let small = nearest(inverse * scales[j]).min(127) as i8;
            b[192 + j] = small as u8;
            let step = half(d) * f32::from(small);
            if step == 0.0 {
                continue;
            }
            for (l, x) in levels[16 * j..].iter_mut().zip(group) {
                *l = nearest_in(x / step, -32, 31) as i8 + 32;
            }
        }
        for n in 0..64 {
            // Runs of 32: nibbles of runs 0 and 2, then of 1 and 3; top bits of all four in a byte.
            let (half, l) = (n / 32, n % 32);
            let run = |r: usize| levels[128 * half + 32 * r + l] as u8;
            b[64 * half + l] = run(0) & 15 | (run(2) & 15) << 4;
            b[64 * half + 32 + l] = run(1) & 15 | (run(3) & 15) << 4;
            b[128 + n] = (0..4).fold(0, |byte, r| byte | (run(r) >> 4) << (2 * r));
        }
        b[208..].copy_from_slice(&d);
    });
}
