//! Block codecs, one file each: a drawing of the layout, `decode`, and `encode` where models are made with it.
//!
//! Layouts are those of ggml's `ggml-common.h`; decoding gives the very floats that libggml gives. All numbers
//! are little endian. Every codec works on as many whole blocks as both slices hold and leaves the rest alone,
//! so that no length can make it panic.

use bytemuck::Pod;

pub(super) mod first;
mod fit;
pub(crate) mod grids;
pub(super) mod iq1_m;
pub(super) mod iq1_s;
pub(super) mod iq2_s;
pub(super) mod iq2_xs;
pub(super) mod iq2_xxs;
pub(super) mod iq3_s;
pub(super) mod iq3_xxs;
pub(crate) mod iq4_nl;
pub(super) mod iq4_xs;
mod k_scales;
pub mod layout;
pub(crate) mod mxfp4;
pub(super) mod nvfp4;
pub(crate) mod packing;
pub(super) mod q1_0;
pub(super) mod q2_0;
pub(crate) mod q2_k;
pub(crate) mod q3_k;
pub(crate) mod q4_0;
pub(crate) mod q4_1;
pub(crate) mod q4_k;
pub(crate) mod q5_0;
pub(crate) mod q5_1;
pub(crate) mod q5_k;
pub(crate) mod q6_k;
pub(crate) mod q8_0;
pub(super) mod q8_1;
pub(super) mod q8_k;
mod signs;
pub(super) mod tq1_0;
pub(super) mod tq2_0;

/// Elements of a super-block: all `_K`, `IQ` (but IQ4_NL) and `TQ` encodings.
const QK_K: usize = 256;

/// Numbers of more than one byte inside a block: what byte order concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Offset in the block, in bytes.
    pub at: usize,
    /// Bytes of one number: 2, 4 or 8.
    pub width: usize,
    /// How many follow each other.
    pub count: usize,
}

/// A run of `count` numbers, each `width` bytes, from byte `at`.
pub(super) const fn words(at: usize, width: usize, count: usize) -> Words {
    Words { at, width, count }
}

/// Gives each whole block and its `LEN` floats to `one`.
fn decode_blocks<B: Pod, const LEN: usize>(bytes: &[u8], out: &mut [f32], one: impl Fn(&B, &mut [f32; LEN])) {
    const { assert!(align_of::<B>() == 1, "blocks lie at any address") };
    let whole = bytes.len() - bytes.len() % size_of::<B>();
    let blocks: &[B] = bytemuck::try_cast_slice(&bytes[..whole]).unwrap_or(&[]);
    for (block, out) in blocks.iter().zip(out.as_chunks_mut().0) {
        one(block, out);
    }
}

/// Fills each whole block from its `LEN` floats.
fn encode_blocks<B: Pod, const LEN: usize>(values: &[f32], bytes: &mut [u8], one: impl Fn(&[f32; LEN]) -> B) {
    const { assert!(align_of::<B>() == 1, "blocks lie at any address") };
    let whole = bytes.len() - bytes.len() % size_of::<B>();
    let blocks: &mut [B] = bytemuck::try_cast_slice_mut(&mut bytes[..whole]).unwrap_or(&mut []);
    for (block, values) in blocks.iter_mut().zip(values.as_chunks().0) {
        *block = one(values);
    }
}
