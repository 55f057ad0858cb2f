//! A tensor's values read piece by piece.

use std::ops::Range;

use super::{Inspection, inspection::TensorData};
use crate::{
    fault::{Fault, Result},
    model::{Place, TensorEntry},
    tensor::{Encoding, EncodingSpec},
};

/// The most values that one answer of [`Inspection::values`] holds.
const MOST: u64 = 4 << 20;

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
    /// Values `range` of a tensor in row-major order; at most 4,194,304 of them.
    ///
    /// # Errors
    /// As [`Inspection::tensor_values`]; the range is longer, or lies beyond the last value; the source fails.
    pub async fn values(&self, tensor: usize, range: Range<u64>) -> Result<Vec<f32>> {
        let values = self.tensor_values(tensor)?;
        let (asked, all) = (range.end.saturating_sub(range.start), values.elements());
        if range.end > all {
            let what = format!("values {} to {} were asked for; the tensor has {all}", range.start, range.end);
            return Err(Fault::caller(what));
        }
        if asked > MOST {
            return Err(Fault::limit(format!("{asked} values asked for; at most {MOST} are read at a time")));
        }
        values.read(range).await
    }
    /// One block of a tensor: its bytes, and the values that they hold.
    ///
    /// # Errors
    /// As [`Inspection::tensor_values`]; there is no such block; the source fails.
    pub async fn block(&self, tensor: usize, index: u64) -> Result<Block> {
        let values = self.tensor_values(tensor)?;
        let (len, count) = (values.block_len(), values.0.block_count());
        if index >= count {
            return Err(Fault::caller(format!("block {index} was asked for; the tensor has {count}, from 0 on")));
        }
        let first = index * len;
        let range = first..values.elements().min(first.saturating_add(len));
        let at = match &values.entry().place {
            Place::Here { at, .. } => Some(at.start + index * u64::from(values.0.spec.block_bytes)),
            _ => None,
        };
        let bytes = values.bytes(range.clone()).await?;
        let spec = values.0.spec;
        Ok(Block { index, count, at, bytes, values: values.read(range).await?, spec })
    }
}

/// One block of a tensor; of plain encodings one value, or the few that share bytes.
#[derive(Debug, Clone)]
pub struct Block {
    /// Which, in row-major order from 0 on.
    pub index: u64,
    /// How many the tensor has.
    pub count: u64,
    /// Its first byte in the file; `None` where the values do not lie one behind the other.
    pub at: Option<u64>,
    /// Its bytes, in little-endian order.
    pub bytes: Vec<u8>,
    /// Its values; the last block of a tensor may hold fewer than the others.
    pub values: Vec<f32>,
    /// Its encoding.
    pub spec: &'static EncodingSpec,
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
