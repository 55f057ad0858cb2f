//! The encodings in which weights run on a GPU: one row each. Beside it, such an encoding has its `PACKING` in
//! `tensor/quant` and the WGSL that reads it in `shaders/blocks`.

use super::{Part, part};
use crate::tensor::{
    Encoding,
    quant::{iq4_nl, mxfp4, packing::Packing, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k, q6_k, q8_0},
};

/// An encoding that kernels read.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// Which.
    pub encoding: Encoding,
    /// The WGSL that decodes it.
    pub part: Part,
    /// How its rows are laid out.
    pub(crate) packing: Packing,
}

macro_rules! rows {
    ($($encoding:ident $path:literal $packing:expr;)*) => {
        &[$(Block { encoding: Encoding::$encoding, part: part!($path), packing: $packing }),*]
    };
}

/// Every encoding that kernels read.
pub static BLOCKS: &[Block] = rows! {
    BF16   "blocks/bf16"   Packing::Plain;
    F16    "blocks/f16"    Packing::Plain;
    F32    "blocks/f32"    Packing::Plain;
    IQ4_NL "blocks/iq4_nl" iq4_nl::PACKING;
    MXFP4  "blocks/mxfp4"  mxfp4::PACKING;
    Q2_K   "blocks/q2_k"   q2_k::PACKING;
    Q3_K   "blocks/q3_k"   q3_k::PACKING;
    Q4_0   "blocks/q4_0"   q4_0::PACKING;
    Q4_1   "blocks/q4_1"   q4_1::PACKING;
    Q4_K   "blocks/q4_k"   q4_k::PACKING;
    Q5_0   "blocks/q5_0"   q5_0::PACKING;
    Q5_1   "blocks/q5_1"   q5_1::PACKING;
    Q5_K   "blocks/q5_k"   q5_k::PACKING;
    Q6_K   "blocks/q6_k"   q6_k::PACKING;
    Q8_0   "blocks/q8_0"   q8_0::PACKING;
};

/// The row of an encoding.
pub fn find(encoding: Encoding) -> Option<&'static Block> {
    BLOCKS.iter().find(|b| b.encoding == encoding)
}

/// The encoding in which a GPU holds rows of `encoding`: the same where kernels read it, else F32 where it can be
/// decoded, else none.
pub fn resident(encoding: Encoding) -> Option<&'static Block> {
    find(encoding).or_else(|| encoding.spec()?.decode.and_then(|_| find(Encoding::F32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_words(encoding: Encoding, k: usize) -> usize {
        find(encoding).unwrap().packing.row_words(encoding, k).unwrap()
    }

    #[test]
    fn every_row_is_whole_16_byte_units() {
        for block in BLOCKS {
            for k in [256, 512, 2048 + 256] {
                assert_eq!(row_words(block.encoding, k) % 4, 0, "{:?} {k}", block.encoding);
            }
        }
    }

    #[test]
    fn plain_rows_are_padded_to_eights() {
        assert_eq!(row_words(Encoding::F32, 172), 176);
        assert_eq!(row_words(Encoding::F16, 33), 20);
        let packed = Packing::Plain.pack_rows(Encoding::F16, 3, &[1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(packed, [0x0403_0201, 0x0605, 0, 0]);
    }

    #[test]
    fn partial_rows_and_partial_blocks_are_refused() {
        assert!(q8_0::PACKING.pack_rows(Encoding::Q8_0, 32, &[0; 33]).is_err());
        assert!(q8_0::PACKING.pack_rows(Encoding::Q8_0, 33, &[0; 34]).is_err());
        assert!(find(Encoding::IQ1_S).is_none());
        assert_eq!(resident(Encoding::IQ1_S).map(|b| b.encoding), Some(Encoding::F32), "it is decoded at load");
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
    fn unpacked(encoding: Encoding, row: &Row<'_>, n: usize, i: usize) -> f32 {
        const TABLE: [f32; 16] =
            [-127., -104., -83., -65., -49., -35., -22., -10., 1., 13., 25., 38., 53., 69., 89., 113.];
        let pair = |plane: usize, block: usize| (row.half(plane, 2 * block), row.half(plane, 2 * block + 1));
        match encoding {
            Encoding::Q8_0 => row.half(8 * n, i / 32) * row.signed(0, i),
            Encoding::Q4_0 => row.half(4 * n, i / 32) * (row.nibble(0, i) - 8.0),
            Encoding::IQ4_NL => row.half(4 * n, i / 32) * TABLE[row.nibble(0, i) as usize],
            Encoding::MXFP4 => {
                const E2M1: [f32; 16] = [0., 1., 2., 3., 4., 6., 8., 12., 0., -1., -2., -3., -4., -6., -8., -12.];
                f32::from_bits(row.0[4 * n + i / 32]) * E2M1[row.nibble(0, i) as usize]
            }
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
        for block in BLOCKS {
            let encoding = block.encoding;
            let spec = encoding.spec().unwrap();
            if spec.block_len == 1 {
                continue;
            }
            let (n, rows) = (3, 2);
            let mut bytes: Vec<u8> = (0..rows * n * spec.block_bytes as usize)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            // Finite scales, wherever they lie: no half has all exponent bits set.
            for pair in bytes.chunks_exact_mut(2) {
                pair[1] &= 0xbf;
            }
            let k = n * spec.block_len as usize;
            let mut expected = vec![0.0; rows * k];
            (spec.decode.unwrap())(&bytes, &mut expected);
            let words = block.packing.pack_rows(encoding, k, &bytes).unwrap();
            let stride = row_words(encoding, k);
            for (i, expected) in expected.iter().enumerate() {
                let found = unpacked(encoding, &Row(&words[i / k * stride..][..stride]), n, i % k);
                assert_eq!(found.to_bits(), expected.to_bits(), "{encoding:?} value {i}: {found}, {expected}");
            }
        }
    }
}
