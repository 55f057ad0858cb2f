//! Q8_1: Q8_0 with the sum of the block kept beside it; ggml uses it for activations, files rarely hold it.
//!
//! ```text
//! byte 0        2                     4                  36
//!      | d: f16 | s: f16 = d * sum(q) | 32 signed bytes q |      w = d * q
//! ```

use bytemuck::{Pod, Zeroable};

use super::{Words, decode_blocks, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    s: [u8; 2],
    qs: [i8; 32],
}

const _: () = assert!(size_of::<Block>() == 36);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 2)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 32]| {
        let d = f16_le(b.d);
        for (out, q) in out.iter_mut().zip(b.qs) {
            *out = f32::from(q) * d;
        }
    });
}
