//! Q8_K: 256 weights, one f32 scale, 8 bits each; ggml's form for activations, files rarely hold it.
//!
//! ```text
//! byte 0        4                    260                       292
//!      | d: f32 | 256 signed bytes q | 16 i16: sums of 16 q each |      w = d * q
//! ```

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, words};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 4],
    qs: [i8; QK_K],
    bsums: [[u8; 2]; 16],
}

const _: () = assert!(size_of::<Block>() == 292);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 4, 1), words(260, 2, 16)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f32::from_le_bytes(b.d);
        for (out, q) in out.iter_mut().zip(b.qs) {
            *out = f32::from(q) * d;
        }
    });
}
