//! One tensor, decoded.

use serde::Serialize;

use crate::{
    model::Place,
    session::{Inspection, Peek},
};

/// Values, statistics and place of one tensor.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PeekReport {
    /// Name.
    pub name: String,
    /// Slowest dimension first.
    #[cfg_attr(test, ts(type = "number[]"))]
    pub shape: Vec<u64>,
    /// Encoding.
    pub encoding: String,
    /// How a block is laid out.
    pub about: String,
    /// File name.
    pub file: String,
    /// Absolute byte offset.
    #[cfg_attr(test, ts(type = "number"))]
    pub offset: u64,
    /// Bytes.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes: u64,
    /// First row of `values`.
    #[cfg_attr(test, ts(type = "number"))]
    pub first_row: u64,
    /// Values per row.
    #[cfg_attr(test, ts(type = "number"))]
    pub row_len: u64,
    /// The tensor's number of rows.
    #[cfg_attr(test, ts(type = "number"))]
    pub rows: u64,
    /// Decoded rows; NaN and infinities are null (JSON has neither).
    #[cfg_attr(test, ts(type = "(number | null)[][]"))]
    pub values: Vec<Vec<f32>>,
    /// The bytes of the first block shown, in hexadecimal.
    pub block_hex: String,
    /// Over the whole tensor; absent unless asked for.
    pub stats: Option<StatsReport>,
    /// Bytes read for this answer.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes_read: u64,
}

/// Statistics over a whole tensor.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StatsReport {
    /// Values.
    #[cfg_attr(test, ts(type = "number"))]
    pub count: u64,
    /// Smallest finite value.
    pub min: f32,
    /// Largest finite value.
    pub max: f32,
    /// Mean of the finite values.
    pub mean: f64,
    /// Population standard deviation of the finite values.
    pub std: f64,
    /// Exact zeros.
    #[cfg_attr(test, ts(type = "number"))]
    pub zeros: u64,
    /// NaNs.
    #[cfg_attr(test, ts(type = "number"))]
    pub nans: u64,
    /// Infinities.
    #[cfg_attr(test, ts(type = "number"))]
    pub infinities: u64,
    /// Equal bins from `min` to `max`.
    #[cfg_attr(test, ts(type = "number[]"))]
    pub histogram: Vec<u64>,
}

impl PeekReport {
    /// Decoded rows with their tensor's place.
    pub fn of(inspection: &Inspection, peek: &Peek, bytes_read: u64) -> Self {
        let model = inspection.model();
        let entry = &model.tensors[peek.tensor];
        let row_len = entry.shape.row_len().max(1);
        let (file, at) = match &entry.place {
            Place::Here { file, at } | Place::Strided { file, at, .. } | Place::Chunked { file, at, .. } => {
                (model.files[*file].name.clone(), at.clone())
            }
            _ => (String::new(), 0..0),
        };
        Self {
            name: entry.name.clone(),
            shape: entry.shape.0.clone(),
            encoding: entry.encoding.name().into(),
            about: entry.encoding.spec().map(|s| s.about.to_owned()).unwrap_or_default(),
            file,
            offset: at.start,
            bytes: entry.bytes.unwrap_or(at.end - at.start),
            first_row: peek.rows.start,
            row_len,
            rows: entry.shape.elements().unwrap_or(0) / row_len,
            values: peek.values.chunks(row_len as usize).map(<[f32]>::to_vec).collect(),
            block_hex: hex(&peek.block),
            stats: peek.stats.as_ref().map(|(s, h)| StatsReport {
                count: s.count,
                min: s.min,
                max: s.max,
                mean: s.mean,
                std: s.std,
                zeros: s.zeros,
                nans: s.nans,
                infinities: s.infinities,
                histogram: h.counts.clone(),
            }),
            bytes_read,
        }
    }
}

/// Bytes as "00 1f ...".
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ")
}
