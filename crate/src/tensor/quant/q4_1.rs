//! Q4_1: 32 weights, one scale and one minimum, 4 bits each.
//!
//! ```text
//! byte 0        2        4                                20
//!      | d: f16 | m: f16 | 16 bytes: w[j] low, w[j+16] high |      w = d * q + m
//! ```

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, halves, put_nibbles, word_at};
use super::{Words, decode_blocks, encode_blocks, fit, words};
use crate::tensor::float::{f16_le, to_f16_le};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    m: [u8; 2],
    qs: [u8; 16],
}

const _: () = assert!(size_of::<Block>() == 20);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 2)];

/// On a GPU: the quants in order, then scales and offsets.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[4], scale: Scale::Pair, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[4..20]), planes[0]);
    word_at(block, 0)
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 32]| {
        let (d, m) = (f16_le(b.d), f16_le(b.m));
        for j in 0..16 {
            out[j] = f32::from(b.qs[j] & 15) * d + m;
            out[j + 16] = f32::from(b.qs[j] >> 4) * d + m;
        }
    });
}

/// Levels 0 and 15 become the smallest and the largest value, as in ggml.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; 32]| {
        let (min, max) = fit::ends(x);
        let d = (max - min) / 15.0;
        let inverse = fit::inverse(d);
        let levels = x.map(|v| (((v - min) * inverse + 0.5) as u8).min(15));
        Block { d: to_f16_le(d), m: to_f16_le(min), qs: fit::nibbles(&levels) }
    });
}
