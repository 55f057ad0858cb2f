//! TQ1_0: 256 ternary weights, one scale, five base-3 digits in a byte.
//!
//! ```text
//! byte 0                48                52       54
//!      | qs: 5 digits/b | qh: 4 digits/b | d: f16 |      w = d * (digit - 1)
//! ```
//! A byte holds its digits as the fraction value / 256, so multiplying by 3 pushes the next digit out at the top.
//! Weights run digit by digit over bytes 0..32, then over bytes 32..48, then over `qh`.

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    qs: [u8; 48],
    qh: [u8; 4],
    d: [u8; 2],
}

const _: () = assert!(size_of::<Block>() == 54);

pub(in crate::tensor) const WORDS: &[Words] = &[words(52, 2, 1)];

/// Digit `n` of each byte, then the next digit: `out` is a multiple of `bytes` long.
fn digits(bytes: &[u8], out: &mut [f32], d: f32) {
    let mut power = 1u8;
    for out in out.chunks_exact_mut(bytes.len()) {
        for (out, byte) in out.iter_mut().zip(bytes) {
            let digit = ((u16::from(byte.wrapping_mul(power)) * 3) >> 8) as i16;
            *out = f32::from(digit - 1) * d;
        }
        power = power.wrapping_mul(3);
    }
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f16_le(b.d);
        digits(&b.qs[..32], &mut out[..160], d);
        digits(&b.qs[32..], &mut out[160..240], d);
        digits(&b.qh, &mut out[240..], d);
    });
}
