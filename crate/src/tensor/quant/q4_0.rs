//! Q4_0: 32 weights, one scale, 4 bits each.
//!
//! ```text
//! byte 0        2                                18
//!      | d: f16 | 16 bytes: w[j] low, w[j+16] high |      w = d * (q - 8)
//! ```

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, half_at, halves, put_nibbles};
use super::{Words, decode_blocks, encode_blocks, fit, words};
use crate::tensor::float::{f16_le, to_f16_le};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    qs: [u8; 16],
}

const _: () = assert!(size_of::<Block>() == 18);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 1)];

/// On a GPU: the quants in order, then the scales.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[4], scale: Scale::Single, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[2..18]), planes[0]);
    half_at(block, 0)
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 32]| {
        let d = f16_le(b.d);
        for j in 0..16 {
            out[j] = f32::from((b.qs[j] & 15) as i8 - 8) * d;
            out[j + 16] = f32::from((b.qs[j] >> 4) as i8 - 8) * d;
        }
    });
}

/// The value of largest magnitude becomes level -8 exactly, as in ggml.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; 32]| {
        let d = fit::extreme(x) / -8.0;
        let inverse = fit::inverse(d);
        Block { d: to_f16_le(d), qs: fit::nibbles(&x.map(|v| ((v * inverse + 8.5) as u8).min(15))) }
    });
}
