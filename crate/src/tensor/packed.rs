//! Weights that quantizers keep in several tensors: codes in one, scales and zeros in others.
//!
//! A [`Layout`] says where the code of a value lies and which scale it has; [`Unpacker`] makes rows of values from it:
//!
//! ```text
//! w[row, column] = (table[code] - zero) * scale + bias
//! ```
//!
//! Sources: gptqmodel `nn_modules/qlinear`, autoawq `utils/packing_utils.py`, bitsandbytes `functional.py`, compressed-tensors
//! `compressors/`, mlx `ops.cpp` (quantize).

use super::{
    Encoding,
    float::{E4M3, E5M2, f16, to_f16},
};

/// Writes a block of codes with the scale of a number.
type WriteBlock<'a> = dyn Fn(usize, &[u8; BLOCK], &mut Vec<u8>) + 'a;

/// Where the codes of a matrix `[outputs, inputs]` lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codes {
    /// A row one behind the other, lowest bits first.
    Rows,
    /// All values one behind the other, two in a byte, the first in its upper half.
    UpperFirst,
    /// 32-bit words `[inputs * bits / 32, outputs]`: a column of words is a row, lowest bits first.
    Columns,
    /// 32-bit words `[inputs, outputs / 8]` of eight outputs each, in AWQ's order.
    Woven,
}

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The number itself.
    Unsigned,
    /// Two's complement.
    Signed,
    /// A float of 4 bits: 2 exponent bits, 1 fraction bit.
    E2M1,
    /// A float of 8 bits: 4 exponent bits, 3 fraction bits.
    E4M3,
    /// A float of 8 bits: 5 exponent bits, 2 fraction bits.
    E5M2,
    /// An entry of a table in the file.
    Listed,
}

/// Which scale a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// One for blocks of so many rows and columns, `width` of them side by side.
    Blocks {
        /// Rows of a block.
        rows: u64,
        /// Columns of a block.
        columns: u64,
        /// Blocks of a row of blocks.
        width: u64,
    },
    /// `[groups, outputs]`: one for each output and so many inputs.
    Turned {
        /// Inputs of a group.
        columns: u64,
        /// Outputs.
        width: u64,
    },
    /// One for so many values one behind the other.
    Flat {
        /// How many.
        block: u64,
    },
}

/// How a matrix is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Where codes lie.
    pub codes: Codes,
    /// Bits of a code, 8 at most.
    pub bits: u32,
    /// What a code means.
    pub meaning: Meaning,
    /// Which scale a value has; zeros and biases lie alike.
    pub spread: Spread,
    /// Rows.
    pub rows: u64,
    /// Values of a row.
    pub row_len: u64,
}

/// The 16 floats of 4 bits.
const E2M1: [f32; 16] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];
/// Where the code of output `k` of eight lies in a word of AWQ's: at bit `4 * AWQ[k]`.
const AWQ: [u32; 8] = [0, 4, 1, 5, 2, 6, 3, 7];
/// Values of a block of 32 that share a scale in ggml's encodings.
const BLOCK: usize = 32;

/// All that is needed to unpack rows, but the codes.
#[derive(Debug, Clone, Default)]
pub struct Unpacker {
    layout: Option<Layout>,
    table: Vec<f32>,
    scales: Vec<f32>,
    /// Subtracted from what codes mean: none, one for all, or one for each scale.
    zeros: Vec<f32>,
    /// Added: none, or one for each scale.
    biases: Vec<f32>,
    /// The group of each input, where they are in no order.
    groups: Vec<u32>,
}

/// Parts of a matrix, decoded.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// The scales, as [`Spread`] lays them.
    pub scales: Vec<f32>,
    /// Zeros: none, one for all, or one for each scale.
    pub zeros: Vec<f32>,
    /// Added behind: none, or one for each scale.
    pub biases: Vec<f32>,
    /// The group of each input, or none.
    pub groups: Vec<u32>,
    /// The table of [`Meaning::Listed`].
    pub table: Vec<f32>,
}

impl Layout {
    /// How many scales there must be.
    pub fn scales(&self) -> Option<u64> {
        match self.spread {
            Spread::Blocks { rows, width, .. } => self.rows.div_ceil(rows.max(1)).checked_mul(width),
            Spread::Turned { columns, width } => self.row_len.div_ceil(columns.max(1)).checked_mul(width),
            Spread::Flat { block } => Some(self.rows.checked_mul(self.row_len)?.div_ceil(block.max(1))),
        }
    }
    /// Bytes that the codes of a row take where rows lie apart; `None` where all codes are needed for a row.
    pub fn row_bytes(&self) -> Option<u64> {
        match self.codes {
            Codes::Rows => (self.row_len.checked_mul(u64::from(self.bits)))?.checked_add(7).map(|n| n / 8),
            Codes::UpperFirst if self.row_len % 2 == 0 => Some(self.row_len / 2),
            _ => None,
        }
    }
}

impl Unpacker {
    /// Joins a layout and its parts.
    ///
    /// # Errors
    /// The number of scales, zeros, biases or groups that was expected and is not there, in words.
    pub fn new(layout: Layout, parts: Parts) -> Result<Self, String> {
        let expected = layout.scales().ok_or("more scales than can be counted")?;
        let count = |what: &str, n: usize, fits: bool| match fits {
            true => Ok(()),
            false => Err(format!("{expected} {what} expected, {n} found")),
        };
        let all = |n: usize| n as u64 == expected;
        let Parts { scales, zeros, biases, groups, table } = parts;
        count("scales", scales.len(), all(scales.len()))?;
        count("zeros", zeros.len(), zeros.len() < 2 || all(zeros.len()))?;
        count("biases", biases.len(), biases.is_empty() || all(biases.len()))?;
        if !groups.is_empty() {
            let Spread::Turned { columns, .. } = layout.spread else {
                return Err("groups of inputs without scales for them".into());
            };
            let most = layout.row_len.div_ceil(columns.max(1));
            if groups.len() as u64 != layout.row_len {
                return Err(format!("a group for each of {} inputs expected, {} found", layout.row_len, groups.len()));
            }
            if let Some(beyond) = groups.iter().find(|g| u64::from(**g) >= most) {
                return Err(format!("an input of group {beyond}, and {most} groups"));
            }
        }
        let table = match layout.meaning {
            Meaning::Unsigned => (0..256u32).map(|n| n as f32).collect(),
            Meaning::Signed => (0..256u32)
                .map(|n| ((n << (32 - layout.bits.clamp(1, 8))) as i32 >> (32 - layout.bits.clamp(1, 8))) as f32)
                .collect(),
            Meaning::E2M1 => E2M1.to_vec(),
            Meaning::E4M3 => E4M3.to_vec(),
            Meaning::E5M2 => E5M2.to_vec(),
            Meaning::Listed => table,
        };
        if table.len() < 1 << layout.bits {
            return Err(format!("a table of {} values for codes of {} bits", table.len(), layout.bits));
        }
        Ok(Self { layout: Some(layout), table, scales, zeros, biases, groups })
    }
    /// The layout.
    fn layout(&self) -> Layout {
        let spread = Spread::Flat { block: 1 };
        let empty = Layout { codes: Codes::Rows, bits: 8, meaning: Meaning::Unsigned, spread, rows: 0, row_len: 0 };
        self.layout.unwrap_or(empty)
    }
    /// The codes of a row: from its own bytes, or from all of them where [`Layout::row_bytes`] says nothing.
    pub fn codes(&self, bytes: &[u8], row: u64) -> Vec<u8> {
        let layout = self.layout();
        let n = layout.row_len as usize;
        let word = |at: u64| {
            let at = at as usize * 4;
            bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        };
        match layout.codes {
            Codes::Rows => stream(layout.bits, n, |i| bytes.get(i).copied().unwrap_or(0)),
            Codes::UpperFirst => {
                let half = |i: usize| bytes.get(i / 2).map_or(0, |b| if i % 2 == 0 { b >> 4 } else { b & 15 });
                (0..n).map(half).collect()
            }
            Codes::Columns => {
                let byte = |i: usize| word((i as u64 / 4) * layout.rows + row).to_le_bytes()[i % 4];
                stream(layout.bits, n, byte)
            }
            Codes::Woven => {
                let words = layout.rows.div_ceil(8);
                let shift = 4 * AWQ[(row % 8) as usize];
                (0..n as u64).map(|i| (word(i * words + row / 8) >> shift & 15) as u8).collect()
            }
        }
    }
    /// Where the scale of a value lies, and for how many values from there it is the same.
    fn place(&self, row: u64, column: u64) -> (usize, u64) {
        let left = self.layout().row_len - column;
        let (at, same) = match self.layout().spread {
            Spread::Blocks { rows, columns, width } => {
                ((row / rows.max(1)) * width + column / columns.max(1), columns.max(1) - column % columns.max(1))
            }
            Spread::Turned { columns, width } => match self.groups.get(column as usize) {
                Some(group) => (u64::from(*group) * width + row, 1),
                None => (column / columns.max(1) * width + row, columns.max(1) - column % columns.max(1)),
            },
            Spread::Flat { block } => {
                let flat = row * self.layout().row_len + column;
                (flat / block.max(1), block.max(1) - flat % block.max(1))
            }
        };
        (at as usize, same.min(left))
    }
    fn zero(&self, at: usize) -> f32 {
        if self.zeros.len() > 1 { self.zeros[at] } else { self.zeros.first().copied().unwrap_or(0.0) }
    }
    /// The values of a row from its codes.
    pub fn values(&self, row: u64, codes: &[u8]) -> Vec<f32> {
        let mut out = Vec::with_capacity(codes.len());
        while out.len() < codes.len() {
            let (at, same) = self.place(row, out.len() as u64);
            let (scale, zero) = (self.scales.get(at).copied().unwrap_or(0.0), self.zero(at));
            let bias = self.biases.get(at).copied().unwrap_or(0.0);
            let run = &codes[out.len()..(out.len() + same.max(1) as usize).min(codes.len())];
            out.extend(run.iter().map(|code| (self.table[usize::from(*code)] - zero) * scale + bias));
        }
        out
    }
    /// Whether blocks of an encoding hold all rows exactly.
    pub fn is_exact(&self, encoding: Encoding) -> bool {
        let layout = self.layout();
        let same = |columns: u64| columns % BLOCK as u64 == 0 || columns >= layout.row_len;
        let whole = match layout.spread {
            Spread::Blocks { columns, .. } | Spread::Turned { columns, .. } => same(columns),
            Spread::Flat { block } => block % BLOCK as u64 == 0,
        };
        let half = |values: &[f32]| values.iter().all(|v| f16(to_f16(*v)) == *v);
        let zero =
            |centre: f32| self.zeros.iter().all(|z| *z == centre) && !self.zeros.is_empty() && self.biases.is_empty();
        // An order of groups that is the usual one is none.
        let ordered = self.groups.chunks(BLOCK).all(|block| block.iter().all(|g| g == &block[0]));
        whole
            && ordered
            && layout.row_len % BLOCK as u64 == 0
            && match encoding {
                Encoding::Q4_0 => zero(8.0) && half(&self.scales),
                Encoding::Q4_1 => self.zeros.is_empty() && half(&self.scales) && half(&self.biases),
                Encoding::Q8_0 => {
                    (zero(128.0) || layout.meaning == Meaning::Signed && self.zeros.iter().all(|z| *z == 0.0))
                        && half(&self.scales)
                }
                Encoding::MXFP4 => self.scales.iter().all(|s| *s > 0.0 && s.to_bits() & 0x7f_ffff == 0),
                _ => false,
            }
    }
    /// A row as it is kept in an encoding: blocks that [`Unpacker::is_exact`] allows, else F16.
    pub fn row(&self, encoding: Encoding, row: u64, codes: &[u8]) -> Vec<u8> {
        let blocks = |block: &WriteBlock<'_>| {
            let mut out = Vec::with_capacity(codes.len());
            for (i, codes) in codes.as_chunks::<BLOCK>().0.iter().enumerate() {
                block(self.place(row, (i * BLOCK) as u64).0, codes, &mut out);
            }
            out
        };
        let halves =
            |codes: &[u8; BLOCK], out: &mut Vec<u8>| out.extend((0..16).map(|j| codes[j] | codes[j + 16] << 4));
        let scale = |at: usize| self.scales.get(at).copied().unwrap_or(0.0);
        match encoding {
            Encoding::Q4_0 => blocks(&|at, codes, out| {
                out.extend(to_f16(scale(at)).to_le_bytes());
                halves(codes, out);
            }),
            Encoding::Q4_1 => blocks(&|at, codes, out| {
                out.extend(to_f16(scale(at)).to_le_bytes());
                out.extend(to_f16(self.biases.get(at).copied().unwrap_or(0.0)).to_le_bytes());
                halves(codes, out);
            }),
            Encoding::Q8_0 => blocks(&|at, codes, out| {
                out.extend(to_f16(scale(at)).to_le_bytes());
                let zero = self.zero(at);
                out.extend(codes.iter().map(|c| (self.table[usize::from(*c)] - zero) as i8 as u8));
            }),
            Encoding::MXFP4 => blocks(&|at, codes, out| {
                // ggml keeps the power of two by its exponent alone.
                out.push((scale(at).to_bits() >> 23) as u8);
                halves(codes, out);
            }),
            _ => self.values(row, codes).iter().flat_map(|v| to_f16(*v).to_le_bytes()).collect(),
        }
    }
}

/// Codes of `bits` each, lowest bits first, from bytes by their number.
pub fn stream(bits: u32, n: usize, byte: impl Fn(usize) -> u8) -> Vec<u8> {
    let (bits, mask) = (bits as usize, (1u32 << bits) - 1);
    let code = |i: usize| {
        let (at, shift) = (i * bits / 8, i * bits % 8);
        let low = u32::from(byte(at)) >> shift;
        let high = if shift + bits > 8 { u32::from(byte(at + 1)) << (8 - shift) } else { 0 };
        ((low | high) & mask) as u8
    };
    (0..n).map(code).collect()
}

/// Zeros of GPTQ, `[groups, outputs * bits / 32]` words: one for each scale.
pub fn zeros_of_rows(words: &[u8], bits: u32, [groups, outputs]: [usize; 2], plus: f32) -> Vec<f32> {
    let row = words.len() / groups.max(1);
    words
        .chunks(row.max(1))
        .take(groups)
        .flat_map(|row| stream(bits, outputs, |i| row.get(i).copied().unwrap_or(0)))
        .map(|z| f32::from(z) + plus)
        .collect()
}

/// Zeros of AWQ, `[groups, outputs / 8]` words.
pub fn zeros_woven(words: &[u8], [groups, outputs]: [usize; 2]) -> Vec<f32> {
    let of = |group: usize, output: usize| {
        let at = 4 * (group * outputs.div_ceil(8) + output / 8);
        let word = words.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        (word >> (4 * AWQ[output % 8]) & 15) as f32
    };
    (0..groups).flat_map(|group| (0..outputs).map(move |output| of(group, output))).collect()
}

/// Zeros of compressed-tensors, `[outputs * bits / 32, groups]` words, packed along outputs: `[outputs, groups]`.
pub fn zeros_of_columns(words: &[u8], bits: u32, [outputs, groups]: [usize; 2]) -> Vec<f32> {
    let columns: Vec<Vec<u8>> = (0..groups)
        .map(|group| stream(bits, outputs, |i| words.get(4 * (i / 4 * groups + group) + i % 4).copied().unwrap_or(0)))
        .collect();
    (0..outputs).flat_map(|output| columns.iter().map(move |column| f32::from(column[output]))).collect()
}
