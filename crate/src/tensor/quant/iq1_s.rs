//! IQ1_S: 256 weights in 8 groups of 32, an odd 3-bit scale and a shift per group, lattice points of 8 weights.
//!
//! ```text
//! byte 0        2          34              50
//!      | d: f16 | qs: 32 b | qh: 8 x u16 |      w = d * (2 * scale + 1) * (point +- 1/8)
//! qh[g]: bits 0..12 = top 3 bits of the group's four 11-bit indices, 12..15 = scale, 15 = shift is -1/8
//! ```

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, grids, words};
use crate::tensor::float::f16_le;

/// What is added to every coordinate of a point, or taken away.
pub(super) const DELTA: f32 = 0.125;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    qs: [[u8; 4]; 8],
    qh: [[u8; 2]; 8],
}

const _: () = assert!(size_of::<Block>() == 50);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 1), words(34, 2, 8)];

/// Writes one shifted and scaled point; only the low 11 bits of `index` count.
pub(super) fn put(out: &mut [f32; 8], scale: f32, index: usize, delta: f32) {
    for (out, coordinate) in out.iter_mut().zip(grids::IQ1[index & 2047]) {
        *out = scale * (f32::from(coordinate) + delta);
    }
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f16_le(b.d);
        for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let qh = u16::from_le_bytes(b.qh[group]);
            let scale = d * f32::from(2 * (qh >> 12 & 7) + 1);
            let delta = if qh & 0x8000 == 0 { DELTA } else { -DELTA };
            for (l, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let top = usize::from(qh >> (3 * l) & 7) << 8;
                put(out, scale, usize::from(b.qs[group][l]) | top, delta);
            }
        }
    });
}
