//! IQ1_M: 256 weights in 16 groups of 16, an odd 3-bit scale per group, a shift per lattice point of 8 weights.
//!
//! ```text
//! byte 0          32         48              56
//!      | qs: 32 b | qh: 16 b | scales: 4 x 16 bits |      w = d * (2 * scale + 1) * (point +- 1/8)
//! scales[k]: bits 0..12 = scales of groups 4k..4k+4, bits 12..16 = nibble k of the f16 d
//! qh nibble of a point: bits 0..3 = top of its 11-bit index, bit 3 = shift is -1/8
//! ```
//! ggml declares `scales` as bytes: they keep their order in big-endian files.

use bytemuck::{Pod, Zeroable};

use super::{
    QK_K, Words, decode_blocks,
    iq1_s::{DELTA, put},
};
use crate::tensor::float::f16;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    qs: [u8; 32],
    qh: [u8; 16],
    scales: [[u8; 2]; 4],
}

const _: () = assert!(size_of::<Block>() == 56);

pub(in crate::tensor) const WORDS: &[Words] = &[];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let scales = b.scales.map(u16::from_le_bytes);
        let d = f16(scales[0] >> 12 | scales[1] >> 8 & 0xf0 | scales[2] >> 4 & 0xf00 | scales[3] & 0xf000);
        for (point, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let group = point / 2;
            let scale = d * f32::from(2 * (scales[group / 4] >> (group % 4 * 3) & 7) + 1);
            let high = b.qh[group] >> (point % 2 * 4);
            let delta = if high & 8 == 0 { DELTA } else { -DELTA };
            put(out, scale, usize::from(b.qs[point]) | usize::from(high & 7) << 8, delta);
        }
    });
}
