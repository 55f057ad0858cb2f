//! IQ2_S: 256 weights in 16 groups of 16, a 4-bit scale per group, lattice points of 8 weights.
//!
//! ```text
//! byte 0        2               34            66        74              82
//!      | d: f16 | indices: 32 b | signs: 32 b | qh: 8 b | 16 x 4 bits |      w = d * (scale + 1/2) / 4 * point * sign
//! qh: two top bits of each 10-bit index
//! ```

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, grids, signs, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    points: [u8; 32],
    signs: [u8; 32],
    qh: [u8; 8],
    scales: [u8; 8],
}

const _: () = assert!(size_of::<Block>() == 82);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 1)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f16_le(b.d);
        for (point, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let group = point / 2;
            let scale = d * (0.5 + f32::from(b.scales[group / 2] >> (group % 2 * 4) & 15)) * 0.25;
            let top = usize::from(b.qh[point / 4] >> (point % 4 * 2) & 3) << 8;
            signs::put(out, scale, &grids::IQ2_S[usize::from(b.points[point]) | top], b.signs[point]);
        }
    });
}
