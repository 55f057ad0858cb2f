//! A tensor's values read piece by piece.

use std::ops::Range;

use super::{Inspection, inspection::TensorData};
use crate::{
    fault::{Fault, Result},
    model::TensorEntry,
    tensor::Encoding,
};

/// A tensor of an open model whose bytes are here and can be decoded.
pub struct TensorValues<'a>(TensorData<'a>);

impl Inspection {
    /// A tensor's values; nothing is read yet.
    ///
    /// # Errors
    /// There is no such tensor, its bytes are not here, or its encoding has no decoder.
    pub fn tensor_values(&self, tensor: usize) -> Result<TensorValues<'_>> {
        TensorData::of(self, tensor).map(TensorValues)
    }
}

impl TensorValues<'_> {
    /// The tensor.
    pub fn entry(&self) -> &TensorEntry {
        self.0.entry
    }
    /// How its values lie in bytes.
    pub fn encoding(&self) -> Encoding {
        self.0.entry.encoding
    }
    /// How many there are.
    pub fn elements(&self) -> u64 {
        self.0.elements
    }
    /// Values of one block.
    pub fn block_len(&self) -> u64 {
        u64::from(self.0.spec.block_len)
    }
    /// Values `range` in row-major order, decoded; the caller bounds how many.
    ///
    /// # Errors
    /// They lie beyond the last, or the source fails.
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<f32>> {
        self.0.values(self.within(range)?).await
    }
    /// The bytes of whole blocks that hold values `range`, little-endian.
    ///
    /// # Errors
    /// As [`TensorValues::read`].
    pub async fn bytes(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let (range, len) = (self.within(range)?, self.block_len());
        self.0.blocks(range.start / len..range.end.div_ceil(len)).await
    }
    fn within(&self, range: Range<u64>) -> Result<Range<u64>> {
        match range.start <= range.end && range.end <= self.0.elements {
            true => Ok(range),
            false => {
                let (from, to, all) = (range.start, range.end, self.0.elements);
                let name = &self.0.entry.name;
                Err(Fault::bug(format!("values {from} to {to} of {name}, which has {all}")))
            }
        }
    }
}
