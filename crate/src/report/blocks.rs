//! One block of a tensor, field by field.

use serde::Serialize;

use super::tensors::hex;
use crate::{session::Block, tensor::quant::layout};

/// The bytes of one block, what they hold, and the values that come out.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct BlockReport {
    /// Encoding.
    pub encoding: String,
    /// Which block, in row-major order from 0 on.
    #[cfg_attr(test, ts(type = "number"))]
    pub index: u64,
    /// How many the tensor has.
    #[cfg_attr(test, ts(type = "number"))]
    pub count: u64,
    /// Values of a whole block.
    pub block_len: u32,
    /// Its first byte in the file; null where the values do not lie one behind the other.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub at: Option<u64>,
    /// Its bytes in hexadecimal, little-endian: "00 1f ...".
    pub hex: String,
    /// Its values; NaN and infinities are null (JSON has neither).
    #[cfg_attr(test, ts(type = "(number | null)[]"))]
    pub values: Vec<f32>,
    /// A weight in terms of the fields, "w = d * (q - 8)"; null of plain elements.
    pub formula: Option<String>,
    /// Its fields in the order of their bytes; none of plain elements.
    pub fields: Vec<BlockFieldReport>,
}

/// One field of a block.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct BlockFieldReport {
    /// ggml's name for it: "d", "qs".
    pub name: String,
    /// "scale", "minimum", "group scales", "weights", "high bits", "signs" or "sums".
    pub role: String,
    /// Its first byte in the block.
    pub at: u32,
    /// Its bytes.
    pub bytes: u32,
    /// How its numbers are stored: "f16", "6 bits"; null of packed codes.
    pub stored: Option<String>,
    /// Its numbers; none of packed codes. NaN and infinities are null.
    #[cfg_attr(test, ts(type = "(number | null)[]"))]
    pub numbers: Vec<f32>,
    /// One sentence for people.
    pub about: String,
}

impl From<&Block> for BlockReport {
    fn from(block: &Block) -> Self {
        let known = layout::of(block.spec.encoding);
        let fields = known.map_or(&[][..], |l| l.fields);
        let mut at = 0;
        let fields = fields.iter().map(|field| {
            let from = at;
            at += field.bytes;
            BlockFieldReport {
                name: field.name.into(),
                role: field.role.name().into(),
                at: from as u32,
                bytes: field.bytes as u32,
                stored: field.stored.name().map(Into::into),
                numbers: field.stored.numbers(block.bytes.get(from..at).unwrap_or_default()),
                about: field.about.into(),
            }
        });
        Self {
            encoding: block.spec.name.into(),
            index: block.index,
            count: block.count,
            block_len: block.spec.block_len,
            at: block.at,
            hex: hex(&block.bytes),
            values: block.values.clone(),
            formula: known.map(|l| l.formula.into()),
            fields: fields.collect(),
        }
    }
}
