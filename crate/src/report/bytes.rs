//! Bytes of a file as they are.

use serde::Serialize;

use super::tensors::hex;
use crate::session::FileBytes;

/// What `glassbox hex --json` prints and the page's hex view receives.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct BytesReport {
    /// File name.
    pub file: String,
    /// Length of the file.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes_total: u64,
    /// First byte.
    #[cfg_attr(test, ts(type = "number"))]
    pub start: u64,
    /// The bytes in hexadecimal, "00 1f ..."; fewer than asked for where the file ends.
    pub hex: String,
}

impl From<&FileBytes> for BytesReport {
    fn from(read: &FileBytes) -> Self {
        Self { file: read.file.clone(), bytes_total: read.len, start: read.start, hex: hex(&read.bytes) }
    }
}
