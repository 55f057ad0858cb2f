//! MXFP4: 32 weights, one power-of-two scale, a 4-bit float each (OCP Microscaling 1.0, in ggml's nibble order).
//!
//! ```text
//! byte 0         1                                17
//!      | e: E8M0 | 16 bytes: w[j] low, w[j+16] high |      w = 2^(e - 127) * E2M1[q]
//! ```
//! ggml computes with doubled levels and half the scale; so do we, to give its very floats also at the ends.

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, halves, put_nibbles};
use super::{Words, decode_blocks};

/// E2M1's values, doubled: whole numbers.
pub(super) const DOUBLED: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    e: u8,
    qs: [u8; 16],
}

const _: () = assert!(size_of::<Block>() == 17);

pub(in crate::tensor) const WORDS: &[Words] = &[];

/// On a GPU: the codes in order, then half the scale of each block as an f32.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[4], scale: Scale::Pair, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[1..17]), planes[0]);
    half_scale(block[0]).to_bits()
}

/// 2^(e - 128): half of what the byte says.
pub(crate) fn half_scale(e: u8) -> f32 {
    f32::from_bits(if e < 2 { 0x0020_0000 << e } else { u32::from(e - 1) << 23 })
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 32]| {
        let d = half_scale(b.e);
        for j in 0..16 {
            out[j] = f32::from(DOUBLED[usize::from(b.qs[j] & 15)]) * d;
            out[j + 16] = f32::from(DOUBLED[usize::from(b.qs[j] >> 4)]) * d;
        }
    });
}
