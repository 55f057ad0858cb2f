//! Q8_0: 32 weights, one scale, 8 bits each.
//!
//! ```text
//! byte 0        2                  34
//!      | d: f16 | 32 signed bytes q |      w = d * q
//! ```

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, half_at, put_bytes};
use super::{Words, decode_blocks, encode_blocks, fit, words};
use crate::tensor::float::{f16_le, to_f16_le};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    qs: [i8; 32],
}

const _: () = assert!(size_of::<Block>() == 34);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 1)];

/// On a GPU: the quants in order, then the scales.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[8], scale: Scale::Single, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    put_bytes(&block[2..34], planes[0]);
    half_at(block, 0)
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 32]| {
        let d = f16_le(b.d);
        for (out, q) in out.iter_mut().zip(b.qs) {
            *out = f32::from(q) * d;
        }
    });
}

/// The largest magnitude becomes 127; the same bytes as ggml writes.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; 32]| {
        let d = fit::extreme(x).abs() / 127.0;
        let inverse = fit::inverse(d);
        Block { d: to_f16_le(d), qs: x.map(|v| fit::level(v * inverse, -127, 127) as i8) }
    });
}
