//! Q2_0: 64 weights, one scale, 2 bits each.
//!
//! ```text
//! byte 0        2                                      18
//!      | d: f16 | 16 bytes, four weights each, lowest first |      w = d * (q - 1): -d, 0, d or 2d
//! ```
//! Forks of llama.cpp have written 128 weights in 34 bytes under the same type number; those do not fit this size.

use bytemuck::{Pod, Zeroable};

use super::{Words, decode_blocks, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    qs: [u8; 16],
}

const _: () = assert!(size_of::<Block>() == 18);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 1)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 64]| {
        let d = f16_le(b.d);
        for (out, byte) in out.as_chunks_mut::<4>().0.iter_mut().zip(b.qs) {
            for (k, out) in out.iter_mut().enumerate() {
                *out = f32::from((byte >> (2 * k) & 3) as i8 - 1) * d;
            }
        }
    });
}
