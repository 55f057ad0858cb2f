//! What a slot holds in main memory.

use std::borrow::Cow;

use crate::{
    fault::{Fault, Result},
    tensor::Encoding,
};

/// A slot's contents on the CPU; also what the oracle [`super::run_reference`] works on.
#[derive(Debug, Clone, PartialEq)]
pub enum CpuBuffer {
    /// Rows of a weight in its file encoding.
    Weight {
        /// Encoding of the bytes.
        encoding: Encoding,
        /// Number of rows.
        rows: u32,
        /// Values per row.
        row_len: u32,
        /// The rows, one after the other, little-endian.
        bytes: Vec<u8>,
    },
    /// f32 values: activations, caches, constants.
    F32(Vec<f32>),
    /// u32 words: state, tokens, ring.
    U32(Vec<u32>),
}

/// A weight's rows, borrowed.
pub(super) struct WeightRows<'a> {
    pub(super) encoding: Encoding,
    pub(super) rows: usize,
    pub(super) row_len: usize,
    pub(super) row_bytes: usize,
    pub(super) bytes: &'a [u8],
}

impl CpuBuffer {
    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        let len = match self {
            Self::Weight { bytes, .. } => bytes.len(),
            Self::F32(values) => size_of_val(values.as_slice()),
            Self::U32(words) => size_of_val(words.as_slice()),
        };
        len as u64
    }
    fn kind(&self) -> &'static str {
        match self {
            Self::Weight { .. } => "a weight",
            Self::F32(_) => "f32 values",
            Self::U32(_) => "u32 words",
        }
    }
    fn wrong(&self, wanted: &str) -> Fault {
        Fault::bug(format!("{wanted} expected in a slot, {} found", self.kind()))
    }
    pub(super) fn f32s(&self) -> Result<&[f32]> {
        match self {
            Self::F32(values) => Ok(values),
            other => Err(other.wrong("f32 values")),
        }
    }
    pub(super) fn f32s_mut(&mut self) -> Result<&mut [f32]> {
        match self {
            Self::F32(values) => Ok(values),
            other => Err(other.wrong("f32 values")),
        }
    }
    pub(super) fn u32s(&self) -> Result<&[u32]> {
        match self {
            Self::U32(words) => Ok(words),
            other => Err(other.wrong("u32 words")),
        }
    }
    pub(super) fn u32s_mut(&mut self) -> Result<&mut [u32]> {
        match self {
            Self::U32(words) => Ok(words),
            other => Err(other.wrong("u32 words")),
        }
    }
    pub(super) fn weight(&self) -> Result<WeightRows<'_>> {
        let Self::Weight { encoding, rows, row_len, bytes } = self else { return Err(self.wrong("a weight")) };
        let (rows, row_len) = (*rows as usize, *row_len as usize);
        let row_bytes = row_bytes(*encoding, row_len as u64)?;
        if rows.checked_mul(row_bytes) != Some(bytes.len()) {
            return Err(Fault::bug(format!(
                "a weight of {rows} rows of {row_bytes} bytes in a slot of {} bytes",
                bytes.len()
            )));
        }
        Ok(WeightRows { encoding: *encoding, rows, row_len, row_bytes, bytes })
    }
    /// Values of a one-row weight (a norm's or a bias's), or of f32 values.
    pub(super) fn vector(&self) -> Result<Cow<'_, [f32]>> {
        match self {
            Self::F32(values) => Ok(Cow::Borrowed(values)),
            other => Ok(Cow::Owned(other.weight()?.decode_row(0)?)),
        }
    }
}

impl<'a> WeightRows<'a> {
    /// The bytes of one row.
    pub(super) fn row(&self, row: usize) -> Result<&'a [u8]> {
        row.checked_mul(self.row_bytes)
            .and_then(|at| self.bytes.get(at..)?.get(..self.row_bytes))
            .ok_or_else(|| Fault::bug(format!("row {row} of a weight of {} rows", self.rows)))
    }
    /// One row as f32, by the encoding's own decoder.
    pub(super) fn decode_row(&self, row: usize) -> Result<Vec<f32>> {
        let decode = self
            .encoding
            .spec()
            .and_then(|s| s.decode)
            .ok_or_else(|| Fault::unsupported(format!("{} cannot be decoded", self.encoding)))?;
        let mut values = vec![0.0; self.row_len];
        decode(self.row(row)?, &mut values);
        Ok(values)
    }
}

/// Bytes of one row of `row_len` values.
///
/// # Errors
/// The encoding's block size is unknown or does not divide the row.
pub(super) fn row_bytes(encoding: Encoding, row_len: u64) -> Result<usize> {
    encoding
        .bytes(row_len, row_len)
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| Fault::unsupported(format!("a row of {row_len} values in {encoding} is not whole blocks")))
}
