//! Q2_K: 256 weights in 16 groups of 16, a 4-bit scale and a 4-bit minimum per group, 2 bits each.
//!
//! ```text
//! byte 0                             16         80       82          84
//!      | 16 x (scale low, min high) | qs: 64 b | d: f16 | dmin: f16 |      w = d * scale * q - dmin * min
//! ```
//! Each half of `qs` (32 bytes) holds 128 weights: weight l + 32 k at bits 2k of byte l.

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, crossed_two_bits, put_bytes, put_two_bits, word_at};
use super::{QK_K, Words, decode_blocks, encode_blocks, fit::TwoLevel, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    scales: [u8; 16],
    qs: [[u8; 32]; 2],
    d: [u8; 2],
    dmin: [u8; 2],
}

const _: () = assert!(size_of::<Block>() == 84);

pub(in crate::tensor) const WORDS: &[Words] = &[words(80, 2, 2)];

/// On a GPU: the quants in order, small scales and offsets, then d and dmin.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[16, 4], scale: Scale::Pair, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    put_two_bits(&crossed_two_bits(&block[16..80]), planes[0]);
    put_bytes(&block[..16], planes[1]);
    word_at(block, 80)
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let (d, dmin) = (f16_le(b.d), f16_le(b.dmin));
        for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = b.scales[group];
            let (step, min) = (d * f32::from(scale & 15), dmin * f32::from(scale >> 4));
            let (half, shift, first) = (group / 8, group % 8 / 2 * 2, group % 2 * 16);
            for (l, out) in out.iter_mut().enumerate() {
                *out = step * f32::from(b.qs[half][first + l] >> shift & 3) - min;
            }
        }
    });
}

/// Each group's range (with zero) spans the four levels.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; QK_K]| {
        let fit = TwoLevel::<16>::fit(x, 3, 15);
        let mut qs = [[0; 32]; 2];
        for (i, v) in x.iter().enumerate() {
            qs[i / 128][i % 32] |= fit.level(i / 16, *v, 3) << (i % 128 / 32 * 2);
        }
        let scales = std::array::from_fn(|i| fit.scales[i] | fit.mins[i] << 4);
        Block { scales, qs, d: fit.d, dmin: fit.dmin }
    });
}
