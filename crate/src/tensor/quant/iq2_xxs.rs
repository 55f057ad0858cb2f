//! IQ2_XXS: 256 weights in 8 groups of 32, a 4-bit scale per group, lattice points of 8 weights.
//!
//! ```text
//! byte 0        2                          66
//!      | d: f16 | 8 groups of 4 x u16      |      w = d * (scale + 1/2) / 4 * point * sign
//! group: 4 bytes = four 8-bit indices; then 32 bits: 4 x 7 sign bits, 4 bits of scale
//! ```

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, grids, signs, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Group {
    points: [u8; 4],
    rest: [u8; 4],
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    groups: [Group; 8],
}

const _: () = assert!(size_of::<Block>() == 66);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 33)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f16_le(b.d);
        for (group, out) in b.groups.iter().zip(out.as_chunks_mut::<32>().0) {
            let rest = u32::from_le_bytes(group.rest);
            let scale = d * (0.5 + (rest >> 28) as f32) * 0.25;
            for (l, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let point = &grids::IQ2_XXS[usize::from(group.points[l])];
                signs::put(out, scale, point, signs::of_seven_bits(rest >> (7 * l)));
            }
        }
    });
}
