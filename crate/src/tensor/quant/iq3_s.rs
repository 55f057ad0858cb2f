//! IQ3_S: 256 weights in 8 groups of 32, an odd scale per group, lattice points of 4 weights.
//!
//! ```text
//! byte 0        2               66        74            106          110
//!      | d: f16 | indices: 64 b | qh: 8 b | signs: 32 b | 8 x 4 bits |      w = d * (2 * scale + 1) * point * sign
//! qh: bit k of byte g = top bit of the group's k-th 9-bit index
//! ```

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, grids, signs, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    points: [[u8; 8]; 8],
    qh: [u8; 8],
    signs: [[u8; 4]; 8],
    scales: [u8; 4],
}

const _: () = assert!(size_of::<Block>() == 110);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 1)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f16_le(b.d);
        for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let scale = d * f32::from(2 * (b.scales[group / 2] >> (group % 2 * 4) & 15) + 1);
            for (k, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let top = usize::from(b.qh[group] >> k & 1) << 8;
                let point = &grids::IQ3_S[usize::from(b.points[group][k]) | top];
                signs::put(out, scale, point, b.signs[group][k / 2] >> (k % 2 * 4));
            }
        }
    });
}
