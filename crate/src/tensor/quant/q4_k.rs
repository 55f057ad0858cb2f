//! Q4_K: 256 weights in 8 groups of 32, a 6-bit scale and a 6-bit minimum per group, 4 bits each.
//!
//! ```text
//! byte 0        2           4                       16          144
//!      | d: f16 | dmin: f16 | scales, minima: 12 b | qs: 128 b |      w = d * scale * q - dmin * min
//! ```
//! Each 32 bytes of `qs` hold two groups: the even one in the low nibbles, the odd one in the high.

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, crossed_nibbles, put_bytes, put_nibbles, scales_and_offsets, word_at};
use super::{QK_K, Words, decode_blocks, encode_blocks, fit::TwoLevel, k_scales, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: [u8; 12],
    qs: [[u8; 32]; 4],
}

const _: () = assert!(size_of::<Block>() == 144);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 2)];

/// On a GPU: the quants in order, small scales and offsets as bytes, then d and dmin.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[32, 4], scale: Scale::Pair, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&crossed_nibbles(&block[16..144]), planes[0]);
    put_bytes(&scales_and_offsets(&block[4..16]), planes[1]);
    word_at(block, 0)
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let (d, dmin) = (f16_le(b.d), f16_le(b.dmin));
        let (scales, mins) = k_scales::unpack(&b.scales);
        for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let (step, min) = (d * f32::from(scales[group]), dmin * f32::from(mins[group]));
            let shift = group % 2 * 4;
            for (out, q) in out.iter_mut().zip(b.qs[group / 2]) {
                *out = step * f32::from(q >> shift & 15) - min;
            }
        }
    });
}

/// Each group's range (with zero) spans the 16 levels.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; QK_K]| {
        let fit = TwoLevel::<8>::fit(x, 15, 63);
        let mut qs = [[0; 32]; 4];
        for (i, v) in x.iter().enumerate() {
            qs[i / 64][i % 32] |= fit.level(i / 32, *v, 15) << (i / 32 % 2 * 4);
        }
        Block { d: fit.d, dmin: fit.dmin, scales: k_scales::pack(&fit.scales, &fit.mins), qs }
    });
}
