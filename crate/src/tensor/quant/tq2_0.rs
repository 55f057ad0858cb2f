//! TQ2_0: 256 ternary weights, one scale, 2 bits each.
//!
//! ```text
//! byte 0          64       66
//!      | qs: 64 b | d: f16 |      w = d * (q - 1)
//! ```
//! Each half of `qs` (32 bytes) holds 128 weights: weight l + 32 k at bits 2k of byte l.

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    qs: [[u8; 32]; 2],
    d: [u8; 2],
}

const _: () = assert!(size_of::<Block>() == 66);

pub(in crate::tensor) const WORDS: &[Words] = &[words(64, 2, 1)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f16_le(b.d);
        for (run, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            for (out, q) in out.iter_mut().zip(b.qs[run / 4]) {
                *out = f32::from((q >> (run % 4 * 2) & 3) as i8 - 1) * d;
            }
        }
    });
}
