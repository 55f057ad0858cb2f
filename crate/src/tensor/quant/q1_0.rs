//! Q1_0: 128 weights, one scale, a sign each.
//!
//! ```text
//! byte 0        2                          18
//!      | d: f16 | bit j of 128, lowest first |      w = d where the bit is set, else -d
//! ```

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
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 128]| {
        let d = f16_le(b.d);
        for (out, byte) in out.as_chunks_mut::<8>().0.iter_mut().zip(b.qs) {
            for (bit, out) in out.iter_mut().enumerate() {
                *out = if byte >> bit & 1 == 1 { d } else { -d };
            }
        }
    });
}
