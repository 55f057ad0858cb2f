//! Q6_K: 256 weights in 16 groups of 16, a signed 8-bit scale per group, 6 bits each.
//!
//! ```text
//! byte 0           128        192                     208      210
//!      | ql: 128 b | qh: 64 b | 16 signed byte scales | d: f16 |      w = d * scale * (q - 32)
//! ```
//! Each half (64 bytes of `ql`, 32 of `qh`) holds 128 weights in four runs of 32. Run r takes its low nibbles
//! from bytes 32 (r mod 2) + l of `ql`, low half for runs 0 and 1, and its top bits from bits 2r of `qh[l]`.

use bytemuck::{Pod, Zeroable};

use super::packing::{Packing, Scale, crossed_two_bits, half_at, put_bytes, put_nibbles, put_two_bits};
use super::{QK_K, Words, decode_blocks, encode_blocks, fit::Symmetric, words};
use crate::tensor::float::f16_le;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Block {
    ql: [[[u8; 32]; 2]; 2],
    qh: [[u8; 32]; 2],
    scales: [i8; 16],
    d: [u8; 2],
}

const _: () = assert!(size_of::<Block>() == 210);

pub(in crate::tensor) const WORDS: &[Words] = &[words(208, 2, 1)];

/// On a GPU: the low four bits in order, the high two, small scales, then d.
pub(crate) const PACKING: Packing = Packing::Planes { planes: &[32, 16, 4], scale: Scale::Single, pack };

fn pack(block: &[u8], planes: &mut [&mut [u32]]) -> u32 {
    let (low, high) = (&block[..128], &block[128..192]);
    // Value 128 n + 32 j + l: low nibble (j < 2) or high nibble of byte 64 n + 32 (j % 2) + l.
    let nibbles: [u8; 256] = std::array::from_fn(|i| low[i / 128 * 64 + i % 64] >> (4 * (i % 128 / 64)) & 15);
    put_nibbles(&nibbles, planes[0]);
    put_two_bits(&crossed_two_bits(high), planes[1]);
    put_bytes(&block[192..208], planes[2]);
    half_at(block, 208)
}

pub(in crate::tensor) fn decode(bytes: &[u8], out: &mut [f32]) {
    decode_blocks(bytes, out, |b: &Block, out: &mut [f32; QK_K]| {
        let d = f16_le(b.d);
        for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let step = d * f32::from(b.scales[group]);
            let (half, run, first) = (group / 8, group % 8 / 2, group % 2 * 16);
            let (ql, qh) = (&b.ql[half][run % 2], &b.qh[half]);
            let (nibble, pair) = (run / 2 * 4, run * 2);
            for (l, out) in out.iter_mut().enumerate() {
                let q = ql[first + l] >> nibble & 15 | (qh[first + l] >> pair & 3) << 4;
                *out = step * f32::from(q as i8 - 32);
            }
        }
    });
}

/// The extreme of each group becomes level -32.
pub(in crate::tensor) fn encode(values: &[f32], bytes: &mut [u8]) {
    encode_blocks(values, bytes, |x: &[f32; QK_K]| {
        let fit = Symmetric::<16>::fit(x, 32, 128);
        let (mut ql, mut qh) = ([[[0; 32]; 2]; 2], [[0; 32]; 2]);
        for (i, v) in x.iter().enumerate() {
            let (half, run, l) = (i / 128, i % 128 / 32, i % 32);
            let q = fit.level(i / 16, *v, 32);
            ql[half][run % 2][l] |= (q & 15) << (run / 2 * 4);
            qh[half][l] |= (q >> 4) << (run * 2);
        }
        Block { ql, qh, scales: fit.scales, d: fit.d }
    });
}
