//! Q5_1: 32 weights, one scale and one minimum, 5 bits each.
//!
//! ```text
//! byte 0        2        4                         8                                24
//!      | d: f16 | m: f16 | qh: bit j = top of w[j] | 16 bytes: w[j] low, w[j+16] high |      w = d * q + m
//! ```
//! `qh` is four bytes, not a word: it keeps its order in big-endian files.

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, halves, put_nibbles, word_at};
use super::{Words, decode_blocks, encode_blocks, fit, words};
use crate::tensor::float::{f16_le, to_f16_le};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    m: [u8; 2],
    qh: [u8; 4],
    qs: [u8; 16],
}

const _: () = assert!(size_of::<Block>() == 24);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 2)];

/// On a GPU: the low four bits in order, the fifth bits, then scales and offsets.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[4, 1], scale: Scale::Pair, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[8..24]), planes[0]);
    planes[1][0] = word_at(block, 4);
    word_at(block, 0)
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 32]| {
        let (d, m, qh) = (f16_le(b.d), f16_le(b.m), u32::from_le_bytes(b.qh));
        for j in 0..16 {
            let low = u32::from(b.qs[j] & 15) | (qh >> j & 1) << 4;
            let high = u32::from(b.qs[j] >> 4) | (qh >> (j + 16) & 1) << 4;
            out[j] = low as f32 * d + m;
            out[j + 16] = high as f32 * d + m;
        }
    });
}

/// Levels 0 and 31 become the smallest and the largest value, as in ggml.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; 32]| {
        let (min, max) = fit::ends(x);
        let d = (max - min) / 31.0;
        let inverse = fit::inverse(d);
        let levels = x.map(|v| (((v - min) * inverse + 0.5) as u8).min(31));
        Block { d: to_f16_le(d), m: to_f16_le(min), qh: fit::fifth_bits(&levels), qs: fit::nibbles(&levels) }
    });
}
