//! IQ4_XS: 256 weights in 8 groups of 32, a signed 6-bit scale per group, IQ4_NL's 16 levels.
//!
//! ```text
//! byte 0        2             4             8           136
//!      | d: f16 | top bits: u16 | low nibbles | qs: 128 b |      w = d * (scale - 32) * LEVELS[q]
//! ```
//! Group g: low four bits of its scale in nibble g, top two in bits 2g of the u16; its weights as in IQ4_NL.

use bytemuck::{Pod, Zeroable};

use super::{QK_K, Words, decode_blocks, iq4_nl::LEVELS, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    scales_h: [u8; 2],
    scales_l: [u8; 4],
    qs: [[u8; 16]; 8],
}

const _: () = assert!(size_of::<Block>() == 136);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 2)];

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let (d, high) = (f16_le(b.d), u16::from_le_bytes(b.scales_h));
        for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let low = b.scales_l[group / 2] >> (group % 2 * 4) & 15;
            let scale = i16::from(low) | ((high >> (2 * group) & 3) << 4) as i16;
            let step = d * f32::from(scale - 32);
            for (j, q) in b.qs[group].iter().enumerate() {
                out[j] = step * f32::from(LEVELS[usize::from(q & 15)]);
                out[j + 16] = step * f32::from(LEVELS[usize::from(q >> 4)]);
            }
        }
    });
}
