//! IQ2_XS: 256 weights in 16 groups of 16, a 4-bit scale per group, lattice points of 8 weights.
//!
//! ```text
//! byte 0        2              66               74
//!      | d: f16 | qs: 32 x u16 | 16 x 4 bits    |      w = d * (scale + 1/2) / 4 * point * sign
//! qs: bits 0..9 = index, bits 9..16 = seven signs
//! ```

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, grids, signs, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    qs: [[u8; 2]; 32],
    scales: [u8; 8],
}

const _: () = assert!(size_of::<Block>() == 74);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 33)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f16_le(b.d);
        for (point, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let group = point / 2;
            let scale = d * (0.5 + f32::from(b.scales[group / 2] >> (group % 2 * 4) & 15)) * 0.25;
            let q = u16::from_le_bytes(b.qs[point]);
            signs::put(out, scale, &grids::IQ2_XS[usize::from(q & 511)], signs::of_seven_bits(u32::from(q >> 9)));
        }
    });
}
