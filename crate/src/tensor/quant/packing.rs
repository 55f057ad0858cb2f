//! From a file's block layouts to the planes that GPU kernels read.
//!
//! A packed row is a whole number of 16-byte units: first the quants of all its blocks, then their other bits,
//! scales and offsets, each plane aligned to words. A value keeps every bit it had in the file, only their places
//! change. Each codec that runs packed has its `PACKING` beside its drawing; `shaders/blocks/*.wgsl` reads it.

use super::super::Encoding;
use crate::fault::{Fault, Result};

/// How the blocks of an encoding are laid out in a packed row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Packing {
    /// Values as they are, padded with zeros to a multiple of eight.
    Plain,
    /// Blocks taken apart into planes.
    Planes {
        /// Words of a block in each plane, before the scales.
        planes: &'static [usize],
        /// The scale plane.
        scale: Scale,
        /// A block's bytes to its planes; gives the scale word.
        pack: PackBlock,
    },
}

/// What a block's scale word holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// One f16, two blocks to a word.
    Single,
    /// Two f16, one block to a word.
    Pair,
}

/// A block's bytes to its planes; gives the scale word (or the f16 in its low half).
pub(crate) type PackBlock = fn(block: &[u8], planes: &mut [&mut [u32]]) -> u32;

impl Packing {
    /// Words of a packed row of `k` values; a multiple of four.
    ///
    /// # Errors
    /// `k` is not whole blocks of the encoding.
    pub(crate) fn row_words(self, encoding: Encoding, k: usize) -> Result<usize> {
        let (blocks, bytes) = row_of(encoding, k)?;
        Ok(match self {
            Self::Plain => (k.next_multiple_of(8) * bytes / blocks.max(1)).div_ceil(4).next_multiple_of(4),
            Self::Planes { planes, scale, .. } => {
                let scales = if scale == Scale::Single { blocks.div_ceil(2) } else { blocks };
                (blocks * planes.iter().sum::<usize>() + scales).next_multiple_of(4)
            }
        })
    }

    /// Packs whole rows of `k` values.
    ///
    /// # Errors
    /// As [`Packing::row_words`]; the bytes are not whole rows.
    pub(crate) fn pack_rows(self, encoding: Encoding, k: usize, bytes: &[u8]) -> Result<Vec<u32>> {
        let ((blocks, from), to) = (row_of(encoding, k)?, self.row_words(encoding, k)?);
        if from == 0 || bytes.len() % from != 0 {
            return Err(Fault::caller(format!("{} bytes are not whole {encoding} rows of {from} bytes", bytes.len())));
        }
        let mut words = vec![0; bytes.len() / from * to];
        for (row, out) in bytes.chunks_exact(from).zip(words.chunks_exact_mut(to)) {
            match self {
                Self::Plain => put_plain(row, out),
                Self::Planes { planes, scale, pack } => {
                    let blocks = row.chunks_exact(from / blocks);
                    pack_blocks(blocks, planes, scale, pack, out);
                }
            }
        }
        Ok(words)
    }
}

/// Blocks and bytes of a row of `k` values in the file.
fn row_of(encoding: Encoding, k: usize) -> Result<(usize, usize)> {
    let spec = encoding.spec().ok_or_else(|| Fault::bug(format!("{encoding} has no block size")))?;
    let (len, bytes) = (spec.block_len as usize, spec.block_bytes as usize);
    if k % len != 0 {
        return Err(Fault::caller(format!("rows of {k} values are not whole {encoding} blocks of {len}")));
    }
    Ok((k / len, k / len * bytes))
}

fn put_plain(row: &[u8], out: &mut [u32]) {
    for (word, bytes) in out.iter_mut().zip(row.chunks(4)) {
        *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
}

fn pack_blocks(
    blocks: std::slice::ChunksExact<'_, u8>,
    planes: &[usize],
    scale: Scale,
    pack: PackBlock,
    out: &mut [u32],
) {
    let mut split = Vec::with_capacity(planes.len());
    let mut rest = out;
    for &words in planes {
        let (plane, after) = rest.split_at_mut(words * blocks.len());
        split.push(plane.chunks_exact_mut(words));
        rest = after;
    }
    for (i, block) in blocks.enumerate() {
        let mut here: Vec<&mut [u32]> = split.iter_mut().filter_map(Iterator::next).collect();
        let word = pack(block, &mut here);
        match scale {
            Scale::Single => rest[i / 2] |= word << (16 * (i % 2)),
            Scale::Pair => rest[i] = word,
        }
    }
}

pub(super) fn word_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(super) fn half_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(bytes[at]) | u32::from(bytes[at + 1]) << 8
}

/// Eight 4-bit numbers to a word: 0..4 in the low nibbles of its bytes, 4..8 in the high ones.
pub(super) fn put_nibbles(quants: &[u8], words: &mut [u32]) {
    for (word, q) in words.iter_mut().zip(quants.chunks_exact(8)) {
        *word = (0..4).map(|b| u32::from(q[b] & 15 | (q[b + 4] & 15) << 4) << (8 * b)).sum();
    }
}

/// Sixteen 2-bit numbers to a word: number 4 s + b in byte b at bit 2 s.
pub(super) fn put_two_bits(quants: &[u8], words: &mut [u32]) {
    for (word, q) in words.iter_mut().zip(quants.chunks_exact(16)) {
        *word = (0..16).map(|i| u32::from(q[i] & 3) << (8 * (i % 4) + 2 * (i / 4))).sum();
    }
}

/// Thirty-two bits to a word, in order.
pub(super) fn put_one_bits(quants: &[u8], words: &mut [u32]) {
    for (word, q) in words.iter_mut().zip(quants.chunks_exact(32)) {
        *word = (0..32).map(|i| u32::from(q[i] & 1) << i).sum();
    }
}

/// Four bytes to a word, in order.
pub(super) fn put_bytes(bytes: &[u8], words: &mut [u32]) {
    for (word, b) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = word_at(b, 0);
    }
}

/// 16 bytes of low nibbles (values 0..16) and high nibbles (values 16..32).
pub(super) fn halves(qs: &[u8]) -> [u8; 32] {
    std::array::from_fn(|i| if i < 16 { qs[i] & 15 } else { qs[i - 16] >> 4 })
}

/// The 2-bit numbers of Q2_K and Q3_K, and the high ones of Q6_K: value 128 n + 32 j + l lies in byte 32 n + l at bit 2 j.
pub(super) fn crossed_two_bits(qs: &[u8]) -> [u8; 256] {
    std::array::from_fn(|i| qs[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3)
}

/// The fifth bits of Q5_K and third bits of Q3_K: value 32 j + l is bit j of byte l.
pub(super) fn crossed_one_bits(high: &[u8]) -> [u8; 256] {
    std::array::from_fn(|i| high[i % 32] >> (i / 32) & 1)
}

/// The nibbles of Q4_K and Q5_K: value 64 c + l is the low nibble of byte 32 c + l, value 64 c + 32 + l the high one.
pub(super) fn crossed_nibbles(qs: &[u8]) -> [u8; 256] {
    std::array::from_fn(|i| qs[i / 64 * 32 + i % 32] >> (4 * (i % 64 / 32)) & 15)
}

/// The eight 6-bit scales and offsets of Q4_K and Q5_K, as pairs of bytes.
pub(super) fn scales_and_offsets(s: &[u8]) -> [u8; 16] {
    std::array::from_fn(|i| match (i / 2, i % 2) {
        (j @ 0..4, 0) => s[j] & 63,
        (j @ 0..4, _) => s[j + 4] & 63,
        (j, 0) => s[j + 4] & 15 | s[j - 4] >> 6 << 4,
        (j, _) => s[j + 4] >> 4 | s[j] >> 6 << 4,
    })
}
