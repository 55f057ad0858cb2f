//! Q3_K: 256 weights in 16 groups of 16, a signed 6-bit scale per group, 3 bits each.
//!
//! ```text
//! byte 0           32         96              108      110
//!      | hmask: 32 | qs: 64 b | scales: 12 b | d: f16 |      w = d * (scale - 32) * (q - 4)
//! ```
//! Low two bits as in Q2_K; the third bit of weight l + 32 k is bit k of `hmask[l]`.
//! Scales: byte j of 0..8 holds the low nibbles of scales j and j + 8; bits 2k of byte 8 + j the top of scale j + 4 k.

use bytemuck::{Pod, Zeroable};

use super::packing::{
    Packing, Scale, crossed_one_bits, crossed_two_bits, half_at, put_bytes, put_one_bits, put_two_bits,
};
use super::{QK_K, Words, decode_blocks, encode_blocks, fit::Symmetric, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    hmask: [u8; 32],
    qs: [[u8; 32]; 2],
    scales: [u8; 12],
    d: [u8; 2],
}

const _: () = assert!(size_of::<Block>() == 110);

pub(in crate::tensor) const WORDS: &[Words] = &[words(108, 2, 1)];

/// On a GPU: the low two bits in order, the third bits, small scales as signed bytes, then d.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[16, 8, 4], scale: Scale::Single, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    let (high, low, scales) = (&block[..32], &block[32..96], &block[96..108]);
    put_two_bits(&crossed_two_bits(low), planes[0]);
    put_one_bits(&crossed_one_bits(high), planes[1]);
    // Sixteen 6-bit scales: low nibbles in bytes 0..8, high two bits in bytes 8..12; stored with 32 added.
    let scales: [u8; 16] = std::array::from_fn(|i| {
        let low = if i < 8 { scales[i] & 15 } else { scales[i - 8] >> 4 };
        let high = scales[8 + i % 4] >> (2 * (i / 4)) & 3;
        (low | high << 4).wrapping_sub(32)
    });
    put_bytes(&scales, planes[2]);
    half_at(block, 108)
}

pub(super) fn unpack_scales(b: &[u8; 12]) -> [i8; 16] {
    std::array::from_fn(|i| {
        let low = b[i % 8] >> (i / 8 * 4) & 15;
        let high = b[8 + i % 4] >> (i / 4 * 2) & 3;
        (low | high << 4) as i8 - 32
    })
}

fn pack_scales(scales: &[i8; 16]) -> [u8; 12] {
    let mut b = [0; 12];
    for (i, scale) in scales.iter().enumerate() {
        let raised = scale.wrapping_add(32) as u8;
        b[i % 8] |= (raised & 15) << (i / 8 * 4);
        b[8 + i % 4] |= (raised >> 4 & 3) << (i / 4 * 2);
    }
    b
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let (d, scales) = (f16_le(b.d), unpack_scales(&b.scales));
        for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let step = d * f32::from(scales[group]);
            let (half, shift, first, bit) = (group / 8, group % 8 / 2 * 2, group % 2 * 16, group / 2);
            for (l, out) in out.iter_mut().enumerate() {
                let q = b.qs[half][first + l] >> shift & 3 | (b.hmask[first + l] >> bit & 1) << 2;
                *out = step * f32::from(q as i8 - 4);
            }
        }
    });
}

/// The extreme of each group becomes level -4.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; QK_K]| {
        let fit = Symmetric::<16>::fit(x, 4, 32);
        let (mut qs, mut hmask) = ([[0; 32]; 2], [0; 32]);
        for (i, v) in x.iter().enumerate() {
            let q = fit.level(i / 16, *v, 4);
            qs[i / 128][i % 32] |= (q & 3) << (i % 128 / 32 * 2);
            hmask[i % 32] |= (q >> 2) << (i / 32);
        }
        Block { hmask, qs, scales: pack_scales(&fit.scales), d: fit.d }
    });
}
