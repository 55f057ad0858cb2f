//! From a file's block layouts to the planes the shaders read.
//!
//! A packed row is a whole number of 16-byte units: first the quants of all its blocks, then their other bits,
//! scales and offsets, each plane aligned to words. The drawings are in `shaders/blocks/*.wgsl`; a value keeps
//! every bit it had in the file, only their places change.

use crate::{
    old_engine::shader::BLOCKS,
    fault::{Fault, Result},
    tensor::Encoding,
};

/// The encoding in which a device holds rows of `encoding`: the same where the shaders read it, else F32 where
/// Glassbox can decode it, else none.
pub fn resident(encoding: Encoding) -> Option<Encoding> {
    if BLOCKS.iter().any(|b| b.0 == encoding) {
        return Some(encoding);
    }
    encoding.spec().and_then(|s| s.decode).map(|_| Encoding::F32)
}

/// How the blocks of a packed encoding are laid out.
struct Layout {
    /// Values of a block.
    len: usize,
    /// Bytes of a block in the file.
    bytes: usize,
    /// Words of a block in each plane, before the scales.
    planes: &'static [usize],
    /// The scale plane: f16 pairs (one word a block), or single f16s (two blocks a word).
    scale: Scale,
    /// Writes a block's planes and returns the scale word (or the f16 in its low half).
    pack: PackBlock,
}

/// A block's bytes to its planes; returns the scale word.
type PackBlock = fn(&[u8], &mut [&mut [u32]]) -> u32;

enum Scale {
    Single,
    Pair,
}

fn layout(encoding: Encoding) -> Option<Layout> {
    use Scale::{Pair, Single};
    let (len, bytes, planes, scale, pack): (_, _, &'static [usize], _, PackBlock) = match encoding {
        Encoding::Q8_0 => (32, 34, &[8], Single, q8_0),
        Encoding::Q4_0 | Encoding::IQ4_NL => (32, 18, &[4], Single, q4_0),
        Encoding::Q4_1 => (32, 20, &[4], Pair, q4_1),
        Encoding::Q5_0 => (32, 22, &[4, 1], Single, q5_0),
        Encoding::Q5_1 => (32, 24, &[4, 1], Pair, q5_1),
        Encoding::Q2_K => (256, 84, &[16, 4], Pair, q2_k),
        Encoding::Q3_K => (256, 110, &[16, 8, 4], Single, q3_k),
        Encoding::Q4_K => (256, 144, &[32, 4], Pair, q4_k),
        Encoding::Q5_K => (256, 176, &[32, 8, 4], Pair, q5_k),
        Encoding::Q6_K => (256, 210, &[32, 16, 4], Single, q6_k),
        _ => return None,
    };
    Some(Layout { len, bytes, planes, scale, pack })
}

/// Words of a packed row of `k` values; a multiple of four.
///
/// # Errors
/// The encoding has no packed layout, or `k` is not whole blocks.
pub fn row_words(encoding: Encoding, k: usize) -> Result<usize> {
    match encoding {
        Encoding::F32 => Ok(k.div_ceil(8) * 8),
        Encoding::F16 | Encoding::BF16 => Ok(k.div_ceil(8) * 4),
        _ => {
            let layout = layout(encoding).ok_or_else(|| Fault::bug(format!("{encoding} has no packed layout")))?;
            let blocks = whole_blocks(encoding, &layout, k)?;
            let scales = match layout.scale {
                Scale::Single => blocks.div_ceil(2),
                Scale::Pair => blocks,
            };
            Ok((blocks * layout.planes.iter().sum::<usize>() + scales).next_multiple_of(4))
        }
    }
}

fn whole_blocks(encoding: Encoding, layout: &Layout, k: usize) -> Result<usize> {
    if k % layout.len != 0 {
        return Err(Fault::caller(format!("rows of {k} values are not whole {encoding} blocks of {}", layout.len)));
    }
    Ok(k / layout.len)
}

/// Bytes of a row of `k` values in the file.
///
/// # Errors
/// The encoding has no packed layout, or `k` is not whole blocks.
pub fn row_bytes(encoding: Encoding, k: usize) -> Result<usize> {
    match encoding {
        Encoding::F32 => Ok(k * 4),
        Encoding::F16 | Encoding::BF16 => Ok(k * 2),
        _ => {
            let layout = layout(encoding).ok_or_else(|| Fault::bug(format!("{encoding} has no packed layout")))?;
            Ok(whole_blocks(encoding, &layout, k)? * layout.bytes)
        }
    }
}

/// Packs whole rows of `k` values.
///
/// # Errors
/// As [`row_words`]; the bytes are not whole rows.
pub fn pack_rows(encoding: Encoding, k: usize, bytes: &[u8]) -> Result<Vec<u32>> {
    let (from, to) = (row_bytes(encoding, k)?, row_words(encoding, k)?);
    if from == 0 || bytes.len() % from != 0 {
        return Err(Fault::caller(format!("{} bytes are not whole {encoding} rows of {from} bytes", bytes.len())));
    }
    let mut words = vec![0; bytes.len() / from * to];
    let rows = bytes.chunks_exact(from).zip(words.chunks_exact_mut(to));
    match (encoding, layout(encoding)) {
        (_, Some(layout)) => rows.for_each(|(row, out)| pack_blocks(&layout, row, out)),
        (Encoding::F32, None) => rows.for_each(|(row, out)| {
            for (word, bytes) in out.iter_mut().zip(row.chunks_exact(4)) {
                *word = word_at(bytes, 0);
            }
        }),
        _ => rows.for_each(|(row, out)| {
            for (word, bytes) in out.iter_mut().zip(row.chunks(4)) {
                *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
            }
        }),
    }
    Ok(words)
}

fn pack_blocks(layout: &Layout, row: &[u8], out: &mut [u32]) {
    let blocks = row.len() / layout.bytes;
    let mut planes = Vec::with_capacity(layout.planes.len());
    let mut rest = out;
    for &words in layout.planes {
        let (plane, after) = rest.split_at_mut(words * blocks);
        planes.push(plane.chunks_exact_mut(words));
        rest = after;
    }
    for (i, block) in row.chunks_exact(layout.bytes).enumerate() {
        let mut here: Vec<&mut [u32]> = planes.iter_mut().filter_map(Iterator::next).collect();
        let scale = (layout.pack)(block, &mut here);
        match layout.scale {
            Scale::Single => rest[i / 2] |= scale << (16 * (i % 2)),
            Scale::Pair => rest[i] = scale,
        }
    }
}

fn word_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn half_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(bytes[at]) | u32::from(bytes[at + 1]) << 8
}

/// Eight 4-bit numbers to a word: 0..4 in the low nibbles of its bytes, 4..8 in the high ones.
fn put_nibbles(quants: &[u8], words: &mut [u32]) {
    for (word, q) in words.iter_mut().zip(quants.chunks_exact(8)) {
        *word = (0..4).map(|b| u32::from(q[b] & 15 | (q[b + 4] & 15) << 4) << (8 * b)).sum();
    }
}

/// Sixteen 2-bit numbers to a word: number 4 s + b in byte b at bit 2 s.
fn put_two_bits(quants: &[u8], shift: u32, words: &mut [u32]) {
    for (word, q) in words.iter_mut().zip(quants.chunks_exact(16)) {
        *word = (0..16).map(|i| u32::from(q[i] >> shift & 3) << (8 * (i % 4) + 2 * (i / 4))).sum();
    }
}

/// Thirty-two bits to a word, in order.
fn put_one_bits(quants: &[u8], shift: u32, words: &mut [u32]) {
    for (word, q) in words.iter_mut().zip(quants.chunks_exact(32)) {
        *word = (0..32).map(|i| u32::from(q[i] >> shift & 1) << i).sum();
    }
}

fn put_bytes(bytes: &[u8], words: &mut [u32]) {
    for (word, b) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = word_at(b, 0);
    }
}

/// 16 bytes of low nibbles (values 0..16) and high nibbles (values 16..32).
fn halves(qs: &[u8]) -> [u8; 32] {
    std::array::from_fn(|i| if i < 16 { qs[i] & 15 } else { qs[i - 16] >> 4 })
}

fn q8_0(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    put_bytes(&block[2..34], out[0]);
    half_at(block, 0)
}

fn q4_0(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[2..18]), out[0]);
    half_at(block, 0)
}

fn q4_1(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[4..20]), out[0]);
    word_at(block, 0)
}

fn q5_0(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[6..22]), out[0]);
    out[1][0] = word_at(block, 2);
    half_at(block, 0)
}

fn q5_1(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&halves(&block[8..24]), out[0]);
    out[1][0] = word_at(block, 4);
    word_at(block, 0)
}

/// The 2-bit numbers of Q2_K and Q3_K: value 128 n + 32 j + l lies in byte 32 n + l at bit 2 j.
fn crossed_two_bits(qs: &[u8]) -> [u8; 256] {
    std::array::from_fn(|i| qs[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3)
}

fn q2_k(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    put_two_bits(&crossed_two_bits(&block[16..80]), 0, out[0]);
    put_bytes(&block[..16], out[1]);
    word_at(block, 80)
}

fn q3_k(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    let (high, low, scales) = (&block[..32], &block[32..96], &block[96..108]);
    put_two_bits(&crossed_two_bits(low), 0, out[0]);
    let bits: [u8; 256] = std::array::from_fn(|i| high[i % 32] >> (i / 32) & 1);
    put_one_bits(&bits, 0, out[1]);
    // Sixteen 6-bit scales: low nibbles in bytes 0..8, high two bits in bytes 8..12; stored with 32 added.
    let scales: [u8; 16] = std::array::from_fn(|i| {
        let low = if i < 8 { scales[i] & 15 } else { scales[i - 8] >> 4 };
        let high = scales[8 + i % 4] >> (2 * (i / 4)) & 3;
        (low | high << 4).wrapping_sub(32)
    });
    put_bytes(&scales, out[2]);
    half_at(block, 108)
}

/// The eight 6-bit scales and offsets of Q4_K and Q5_K, as pairs of bytes.
fn scales_and_offsets(s: &[u8]) -> [u8; 16] {
    std::array::from_fn(|i| match (i / 2, i % 2) {
        (j @ 0..4, 0) => s[j] & 63,
        (j @ 0..4, _) => s[j + 4] & 63,
        (j, 0) => s[j + 4] & 15 | s[j - 4] >> 6 << 4,
        (j, _) => s[j + 4] >> 4 | s[j] >> 6 << 4,
    })
}

/// The nibbles of Q4_K and Q5_K: value 64 c + l is the low nibble of byte 32 c + l, value 64 c + 32 + l the high one.
fn crossed_nibbles(qs: &[u8]) -> [u8; 256] {
    std::array::from_fn(|i| qs[i / 64 * 32 + i % 32] >> (4 * (i % 64 / 32)) & 15)
}

fn q4_k(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    put_nibbles(&crossed_nibbles(&block[16..144]), out[0]);
    put_bytes(&scales_and_offsets(&block[4..16]), out[1]);
    word_at(block, 0)
}

fn q5_k(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    let high = &block[16..48];
    put_nibbles(&crossed_nibbles(&block[48..176]), out[0]);
    let bits: [u8; 256] = std::array::from_fn(|i| high[i % 32] >> (i / 32) & 1);
    put_one_bits(&bits, 0, out[1]);
    put_bytes(&scales_and_offsets(&block[4..16]), out[2]);
    word_at(block, 0)
}

fn q6_k(block: &[u8], out: &mut [&mut [u32]]) -> u32 {
    let (low, high) = (&block[..128], &block[128..192]);
    // Value 128 n + 32 j + l: low nibble (j < 2) or high nibble of byte 64 n + 32 (j % 2) + l; two bits at 2 j of byte 32 n + l.
    let nibbles: [u8; 256] = std::array::from_fn(|i| low[i / 128 * 64 + i % 64] >> (4 * (i % 128 / 64)) & 15);
    put_nibbles(&nibbles, out[0]);
    put_two_bits(&crossed_two_bits(high), 0, out[1]);
    put_bytes(&block[192..208], out[2]);
    half_at(block, 208)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_file_has_a_layout_of_whole_16_byte_units() {
        for (encoding, _) in BLOCKS {
            for k in [256, 512, 2048 + 256] {
                assert_eq!(row_words(*encoding, k).unwrap() % 4, 0, "{encoding:?} {k}");
            }
        }
    }

    #[test]
    fn plain_rows_are_padded_to_eights() {
        assert_eq!(row_words(Encoding::F32, 172).unwrap(), 176);
        assert_eq!(row_words(Encoding::F16, 33).unwrap(), 20);
        assert_eq!(pack_rows(Encoding::F16, 3, &[1, 2, 3, 4, 5, 6]).unwrap(), [0x0403_0201, 0x0605, 0, 0]);
    }

    #[test]
    fn partial_rows_and_partial_blocks_are_refused() {
        assert!(pack_rows(Encoding::Q8_0, 32, &[0; 33]).is_err());
        assert!(pack_rows(Encoding::Q8_0, 33, &[0; 34]).is_err());
        assert!(row_words(Encoding::IQ1_S, 256).is_err());
    }

    /// Bits from a run of packed words, as the shaders' helpers take them.
    struct Row<'a>(&'a [u32]);

    impl Row<'_> {
        fn nibble(&self, plane: usize, i: usize) -> f32 {
            (self.0[plane + i / 8] >> (8 * (i % 4) + 4 * (i % 8 / 4)) & 15) as f32
        }
        fn two_bits(&self, plane: usize, i: usize) -> f32 {
            (self.0[plane + i / 16] >> (8 * (i % 4) + 2 * (i % 16 / 4)) & 3) as f32
        }
        fn bit(&self, plane: usize, i: usize) -> f32 {
            (self.0[plane + i / 32] >> (i % 32) & 1) as f32
        }
        fn byte(&self, plane: usize, i: usize) -> u8 {
            self.0[plane + i / 4].to_le_bytes()[i % 4]
        }
        fn signed(&self, plane: usize, i: usize) -> f32 {
            f32::from(self.byte(plane, i) as i8)
        }
        fn half(&self, plane: usize, i: usize) -> f32 {
            crate::tensor::float::f16((self.0[plane + i / 2] >> (16 * (i % 2))) as u16)
        }
    }

    /// Value `i` of a packed row of `n` blocks: the arithmetic of `shaders/blocks/*.wgsl`, spelled out once more.
    fn unpacked(encoding: Encoding, row: &Row, n: usize, i: usize) -> f32 {
        const TABLE: [f32; 16] =
            [-127., -104., -83., -65., -49., -35., -22., -10., 1., 13., 25., 38., 53., 69., 89., 113.];
        let pair = |plane: usize, block: usize| (row.half(plane, 2 * block), row.half(plane, 2 * block + 1));
        match encoding {
            Encoding::Q8_0 => row.half(8 * n, i / 32) * row.signed(0, i),
            Encoding::Q4_0 => row.half(4 * n, i / 32) * (row.nibble(0, i) - 8.0),
            Encoding::IQ4_NL => row.half(4 * n, i / 32) * TABLE[row.nibble(0, i) as usize],
            Encoding::Q5_0 => row.half(5 * n, i / 32) * (row.nibble(0, i) + 16.0 * row.bit(4 * n, i) - 16.0),
            Encoding::Q4_1 => {
                let (d, m) = pair(4 * n, i / 32);
                d * row.nibble(0, i) + m
            }
            Encoding::Q5_1 => {
                let (d, m) = pair(5 * n, i / 32);
                d * (row.nibble(0, i) + 16.0 * row.bit(4 * n, i)) + m
            }
            Encoding::Q2_K => {
                let ((d, m), s) = (pair(20 * n, i / 256), row.byte(16 * n, i / 16));
                d * f32::from(s & 15) * row.two_bits(0, i) - m * f32::from(s >> 4)
            }
            Encoding::Q3_K => {
                let q = row.two_bits(0, i) + 4.0 * row.bit(16 * n, i) - 4.0;
                row.half(28 * n, i / 256) * row.signed(24 * n, i / 16) * q
            }
            Encoding::Q4_K | Encoding::Q5_K => {
                let high = if encoding == Encoding::Q5_K { 8 * n } else { 0 };
                let (d, m) = pair(36 * n + high, i / 256);
                let (s, o) = (row.byte(32 * n + high, i / 32 * 2), row.byte(32 * n + high, i / 32 * 2 + 1));
                let fifth = if high > 0 { 16.0 * row.bit(32 * n, i) } else { 0.0 };
                d * f32::from(s) * (row.nibble(0, i) + fifth) - m * f32::from(o)
            }
            _ => {
                let q = row.nibble(0, i) + 16.0 * row.two_bits(32 * n, i) - 32.0;
                row.half(52 * n, i / 256) * row.signed(48 * n, i / 16) * q
            }
        }
    }

    #[test]
    fn packed_blocks_hold_the_values_of_the_files_blocks() {
        let mut seed = 1_u32;
        for (encoding, _) in BLOCKS {
            let Some(layout) = layout(*encoding) else { continue };
            let (n, rows) = (3, 2);
            let mut bytes: Vec<u8> = (0..rows * n * layout.bytes)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            // Finite scales, wherever they lie: no half has all exponent bits set.
            for pair in bytes.chunks_exact_mut(2) {
                pair[1] &= 0xbf;
            }
            let k = n * layout.len;
            let mut expected = vec![0.0; rows * k];
            (encoding.spec().unwrap().decode.unwrap())(&bytes, &mut expected);
            let words = pack_rows(*encoding, k, &bytes).unwrap();
            for (i, expected) in expected.iter().enumerate() {
                let stride = row_words(*encoding, k).unwrap();
                let found = unpacked(*encoding, &Row(&words[i / k * stride..][..stride]), n, i % k);
                assert_eq!(found.to_bits(), expected.to_bits(), "{encoding:?} value {i}: {found}, {expected}");
            }
        }
    }
}
