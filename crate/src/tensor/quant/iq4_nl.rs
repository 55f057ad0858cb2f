//! IQ4_NL: 32 weights, one scale, 4 bits each that choose among 16 unequal levels.
//!
//! ```text
//! byte 0        2                                18
//!      | d: f16 | 16 bytes: w[j] low, w[j+16] high |      w = d * LEVELS[q]
//! ```

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, half_at, halves, put_nibbles};
use super::{Words, decode_blocks, encode_blocks, fit, words};
use crate::tensor::float::{f16_le, to_f16_le};

/// The levels, denser around zero; IQ4_XS uses them too.
pub(super) const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    d: [u8; 2],
    qs: [u8; 16],
}

const _: () = assert!(size_of::<Block>() == 18);

pub(in crate::tensor) const WORDS: &[Words] = &[words(0, 2, 1)];

/// On a GPU: the indices in order, then the scales.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[4], scale: Scale::Single, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[2..18]), planes[0]);
    half_at(block, 0)
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; 32]| {
        let d = f16_le(b.d);
        for j in 0..16 {
            out[j] = d * f32::from(LEVELS[usize::from(b.qs[j] & 15)]);
            out[j + 16] = d * f32::from(LEVELS[usize::from(b.qs[j] >> 4)]);
        }
    });
}

/// The extreme becomes level -127; then the scale that is best in the least-squares sense for the chosen levels.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; 32]| {
        let d = fit::extreme(x) / f32::from(LEVELS[0]);
        let inverse = fit::inverse(d);
        let levels = x.map(|v| nearest(v * inverse));
        let (mut along, mut square) = (0.0, 0.0);
        for (v, q) in x.iter().zip(levels) {
            let q = f32::from(LEVELS[usize::from(q)]);
            along += q * v;
            square += q * q;
        }
        let best = along * fit::inverse(square);
        let d = if inverse != 0.0 && best.is_finite() { best } else { d };
        Block { d: to_f16_le(d), qs: fit::nibbles(&levels) }
    });
}

/// Index of the nearest level, 0 to 15.
fn nearest(value: f32) -> u8 {
    LEVELS.windows(2).filter(|pair| value > 0.5 * (f32::from(pair[0]) + f32::from(pair[1]))).count() as u8
}
