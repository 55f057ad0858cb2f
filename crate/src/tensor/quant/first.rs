//! The block layouts of ggml before May 2023, which only files before GGUF hold.
//!
//! ```text
//! Q4_0: d f32 | 16 bytes of nibbles          Q4_1: d f32 | m f32 | 16 bytes          Q8_0: d f32 | 32 bytes i8
//! Q4_2: d f16 | 8 bytes (16 weights)         Q4_3: d f16 | m f16 | 8 bytes (16 weights)
//! Q5_0: d f16 | 32 high bits | 16 bytes      Q5_1: d f16 | m f16 | 32 high bits | 16 bytes
//! ```
//! In the first layout byte j holds weights 2j (low nibble) and 2j + 1; in the second (Q4_0_V2, Q4_1_V2) weights j and
//! j + 16, as today. High bit i belongs to weight i.

use bytemuck::{Pod, Zeroable};

use super::{Words, decode_blocks, words};
use crate::tensor::float::f16_le;

macro_rules! block {
    ($name:ident { $($field:ident: $n:literal),* }, $size:literal) => {
        #[derive(Clone, Copy, Pod, Zeroable)]
        #[repr(C)]
        struct $name {
            $($field: [u8; $n],)*
        }
        const _: () = assert!(size_of::<$name>() == $size);
    };
}

block!(B40 { d: 4, qs: 16 }, 20);
block!(B41 { d: 4, m: 4, qs: 16 }, 24);
block!(B42 { d: 2, qs: 8 }, 10);
block!(B43 { d: 2, m: 2, qs: 8 }, 12);
block!(B50 { d: 2, qh: 4, qs: 16 }, 22);
block!(B51 { d: 2, m: 2, qh: 4, qs: 16 }, 24);
block!(B80 { d: 4, qs: 32 }, 36);

pub(in crate::tensor) const ONE_F32: &[Words] = &[words(0, 4, 1)];
pub(in crate::tensor) const TWO_F32: &[Words] = &[words(0, 4, 2)];
pub(in crate::tensor) const ONE_F16: &[Words] = &[words(0, 2, 1)];
pub(in crate::tensor) const TWO_F16: &[Words] = &[words(0, 2, 2)];

/// Weight `i`'s nibble where neighbours share a byte.
fn paired(qs: &[u8], i: usize) -> u8 {
    qs.get(i / 2).map_or(0, |q| if i % 2 == 0 { q & 15 } else { q >> 4 })
}

/// Weight `i`'s nibble where the halves of the block share bytes.
fn halved(qs: &[u8; 16], i: usize) -> u8 {
    qs.get(i % 16).map_or(0, |q| if i < 16 { q & 15 } else { q >> 4 })
}

fn high(qh: [u8; 4], i: usize) -> u8 {
    ((u32::from_le_bytes(qh) >> i & 1) as u8) << 4
}

pub(in crate::tensor) fn q4_0_v1(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &B40, out: &mut [f32; 32]| {
        let d = f32::from_le_bytes(b.d);
        for (i, out) in out.iter_mut().enumerate() {
            *out = f32::from(paired(&b.qs, i) as i8 - 8) * d;
        }
    });
}

pub(in crate::tensor) fn q4_0_v2(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &B40, out: &mut [f32; 32]| {
        let d = f32::from_le_bytes(b.d);
        for (i, out) in out.iter_mut().enumerate() {
            *out = f32::from(halved(&b.qs, i) as i8 - 8) * d;
        }
    });
}

pub(in crate::tensor) fn q4_1_v1(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &B41, out: &mut [f32; 32]| {
        let (d, m) = (f32::from_le_bytes(b.d), f32::from_le_bytes(b.m));
        for (i, out) in out.iter_mut().enumerate() {
            *out = f32::from(paired(&b.qs, i)) * d + m;
        }
    });
}

pub(in crate::tensor) fn q4_1_v2(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &B41, out: &mut [f32; 32]| {
        let (d, m) = (f32::from_le_bytes(b.d), f32::from_le_bytes(b.m));
        for (i, out) in out.iter_mut().enumerate() {
            *out = f32::from(halved(&b.qs, i)) * d + m;
        }
    });
}

pub(in crate::tensor) fn q4_2(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &B42, out: &mut [f32; 16]| {
        let d = f16_le(b.d);
        for (i, out) in out.iter_mut().enumerate() {
            *out = f32::from(paired(&b.qs, i) as i8 - 8) * d;
        }
    });
}

pub(in crate::tensor) fn q4_3(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &B43, out: &mut [f32; 16]| {
        let (d, m) = (f16_le(b.d), f16_le(b.m));
        for (i, out) in out.iter_mut().enumerate() {
            *out = f32::from(paired(&b.qs, i)) * d + m;
        }
    });
}

pub(in crate::tensor) fn q5_0_v1(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &B50, out: &mut [f32; 32]| {
        let d = f16_le(b.d);
        for (i, out) in out.iter_mut().enumerate() {
            *out = f32::from((paired(&b.qs, i) | high(b.qh, i)) as i8 - 16) * d;
        }
    });
}

pub(in crate::tensor) fn q5_1_v1(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &B51, out: &mut [f32; 32]| {
        let (d, m) = (f16_le(b.d), f16_le(b.m));
        for (i, out) in out.iter_mut().enumerate() {
            *out = f32::from(paired(&b.qs, i) | high(b.qh, i)) * d + m;
        }
    });
}

pub(in crate::tensor) fn q8_0_v2(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &B80, out: &mut [f32; 32]| {
        let d = f32::from_le_bytes(b.d);
        for (q, out) in b.qs.iter().zip(out) {
            *out = f32::from(*q as i8) * d;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks written by hand from the drawing above: weight i has level i % 16 (and high bit i / 16 where there is one).
    #[test]
    fn hand_made_blocks_of_each_old_layout_decode_to_their_weights() {
        let half = [0x00, 0x38]; // 0.5
        let pairs: Vec<u8> = (0..16).map(|j| (2 * j % 16) as u8 | (((2 * j + 1) % 16) as u8) << 4).collect();
        let halves: Vec<u8> = (0..16).map(|j| j as u8 | (j as u8) << 4).collect();
        let level = |i: usize| (i % 16) as f32;
        let (d, m) = (2.0f32.to_le_bytes(), (-3.0f32).to_le_bytes());
        let mut out = [0.0; 32];
        type Case = (fn(&[u8], &mut [f32]), Vec<u8>, usize, fn(f32, usize) -> f32);
        let cases: [Case; 9] = [
            (q4_0_v1, [&d[..], &pairs].concat(), 32, |q, _| (q - 8.0) * 2.0),
            (q4_0_v2, [&d[..], &halves].concat(), 32, |q, _| (q - 8.0) * 2.0),
            (q4_1_v1, [&d[..], &m, &pairs].concat(), 32, |q, _| q * 2.0 - 3.0),
            (q4_1_v2, [&d[..], &m, &halves].concat(), 32, |q, _| q * 2.0 - 3.0),
            (q4_2, [&half[..], &pairs[..8]].concat(), 16, |q, _| (q - 8.0) * 0.5),
            (q4_3, [&half[..], &half, &pairs[..8]].concat(), 16, |q, _| q * 0.5 + 0.5),
            (q5_0_v1, [&half[..], &[0, 0, 0xff, 0xff], &pairs].concat(), 32, |q, i| {
                (q + (i / 16 * 16) as f32 - 16.0) * 0.5
            }),
            (q5_1_v1, [&half[..], &half, &[0, 0, 0xff, 0xff], &pairs].concat(), 32, |q, i| {
                (q + (i / 16 * 16) as f32) * 0.5 + 0.5
            }),
            (q8_0_v2, [&d[..], &(0..32).map(|i| i as u8 % 16).collect::<Vec<_>>()].concat(), 32, |q, _| q * 2.0),
        ];
        for (n, (decode, bytes, len, expected)) in cases.into_iter().enumerate() {
            decode(&bytes, &mut out[..len]);
            for (i, found) in out[..len].iter().enumerate() {
                assert_eq!(*found, expected(level(i), i), "case {n}, weight {i}");
            }
        }
    }
}
