//! NVFP4: 64 weights in 4 groups of 16, an unsigned E4M3 scale per group, a 4-bit float each.
//!
//! ```text
//! byte 0                4                                       36
//!      | 4 scales: UE4M3 | 4 groups of 8: w[j] low, w[j+8] high |      w = scale * E2M1[q]
//! ```
//! Scales 0 and 0x7f decode to 0, as in ggml; the top bit of a scale is ignored.

use bytemuck::{Pod, Zeroable};

use super::{Words, decode_blocks, mxfp4::DOUBLED};
use crate::tensor::float::E4M3;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    scales: [u8; 4],
    qs: [[u8; 8]; 4],
}

const _: () = assert!(size_of::<Block>() == 36);

pub(in crate::tensor) const WORDS: &[Words] = &[];

/// Half of the scale, to go with doubled levels.
pub(super) fn half_scale(bits: u8) -> f32 {
    match bits {
        0x7f => 0.0,
        // 0xff: the NaN test of ggml looks at 0x7f alone.
        0xff => 240.0,
        _ => E4M3[usize::from(bits & 0x7f)] * 0.5,
    }
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 64]| {
        for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let d = half_scale(b.scales[group]);
            for (j, q) in b.qs[group].iter().enumerate() {
                out[j] = f32::from(DOUBLED[usize::from(q & 15)]) * d;
                out[j + 8] = f32::from(DOUBLED[usize::from(q >> 4)]) * d;
            }
        }
    });
}
