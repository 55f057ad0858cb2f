//! Bytes with an encoding and a shape, checked once.

use std::ops::Range;

use super::{Encoding, Shape};
use crate::fault::{Fault, Result};

/// Whole rows of a tensor in memory; the byte count is checked at construction.
pub struct TensorView<'a> {
    encoding: Encoding,
    rows: u64,
    row_len: u64,
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// A view on whole rows.
    ///
    /// # Errors
    /// The bytes do not match encoding and shape, or the encoding has no decoder.
    pub fn new(encoding: Encoding, shape: &Shape, bytes: &'a [u8]) -> Result<Self> {
        let rows = shape.rows().ok_or_else(|| Fault::limit("more rows than 64 bits can count"))?;
        let row_len = shape.row_len();
        let need = shape.elements().and_then(|n| encoding.bytes(n, row_len));
        if need != Some(bytes.len() as u64) {
            return Err(Fault::caller(format!("{encoding} of {shape} needs {need:?} bytes, {} given", bytes.len())));
        }
        Ok(Self { encoding, rows, row_len, bytes })
    }
    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }
    /// Decodes `rows` to f32, one after the other.
    ///
    /// # Errors
    /// Rows beyond the end; an encoding without decoder.
    pub fn decode(&self, rows: Range<u64>) -> Result<Vec<f32>> {
        let _ = (&rows, self.bytes, self.row_len);
        Err(Fault::unsupported(format!("{} cannot be decoded", self.encoding)))
    }
}
