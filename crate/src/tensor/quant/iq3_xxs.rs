//! IQ3_XXS: 256 weights in 8 groups of 32, a 4-bit scale per group, lattice points of 4 weights.
//!
//! ```text
//! byte 0        2               66               98
//!      | d: f16 | indices: 64 b | 8 x 32 bits    |      w = d * (scale + 1/2) / 2 * point * sign
//! 32 bits: 4 x 7 sign bits (8 weights each), 4 bits of scale
//! ```
//! ggml declares all but `d` as bytes: they keep their order in big-endian files.

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, grids, signs, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    points: [[u8; 8]; 8],
    rest: [[u8; 4]; 8],
}

const _: () = assert!(size_of::<Block>() == 98);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 1)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f16_le(b.d);
        for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let rest = u32::from_le_bytes(b.rest[group]);
            let scale = d * (0.5 + (rest >> 28) as f32) * 0.5;
            for (l, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let signs = signs::of_seven_bits(rest >> (7 * l));
                let points = &b.points[group];
                signs::put(&mut out[..4], scale, &grids::IQ3_XXS[usize::from(points[2 * l])], signs);
                signs::put(&mut out[4..], scale, &grids::IQ3_XXS[usize::from(points[2 * l + 1])], signs >> 4);
            }
        }
    });
}
