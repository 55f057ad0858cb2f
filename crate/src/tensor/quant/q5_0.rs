//! Q5_0: 32 weights, one scale, 5 bits each.
//!
//! ```text
//! byte 0        2                      6                                22
//!      | d: f16 | qh: bit j = top of w[j] | 16 bytes: w[j] low, w[j+16] high |      w = d * (q - 16)
//! ```
//! `qh` is four bytes, not a word: it keeps its order in big-endian files.

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, half_at, halves, put_nibbles, word_at};
use super::{Words, decode_blocks, encode_blocks, fit, words};
use crate::tensor::float::{f16_le, to_f16_le};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    qh: [u8; 4],
    qs: [u8; 16],
}

const _: () = assert!(size_of::<Block>() == 22);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 1)];

/// On a GPU: the low four bits in order, the fifth bits, then the scales.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[4, 1], scale: Scale::Single, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[6..22]), planes[0]);
    planes[1][0] = word_at(block, 2);
    half_at(block, 0)
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 32]| {
        let (d, qh) = (f16_le(b.d), u32::from_le_bytes(b.qh));
        for j in 0..16 {
            let low = u32::from(b.qs[j] & 15) | (qh >> j & 1) << 4;
            let high = u32::from(b.qs[j] >> 4) | (qh >> (j + 16) & 1) << 4;
            out[j] = (low as i32 - 16) as f32 * d;
            out[j + 16] = (high as i32 - 16) as f32 * d;
        }
    });
}

/// The value of largest magnitude becomes level -16 exactly, as in ggml.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; 32]| {
        let d = fit::extreme(x) / -16.0;
        let inverse = fit::inverse(d);
        let levels = x.map(|v| ((v * inverse + 16.5) as u8).min(31));
        Block { d: to_f16_le(d), qh: fit::fifth_bits(&levels), qs: fit::nibbles(&levels) }
    });
}
