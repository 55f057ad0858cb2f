//! How text is split.

use serde::Serialize;

use super::NoteReport;

/// Ids and pieces of a text.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TokensReport {
    /// "Byte-level BPE (gpt2, pre gpt-2), 512 tokens".
    pub tokenizer: String,
    /// Ids in order.
    pub ids: Vec<u32>,
    /// Pieces in order.
    pub pieces: Vec<PieceReport>,
    /// Characters of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub characters: u64,
    /// Bytes of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes: u64,
    /// Whether decoding gives the text back.
    pub roundtrips: bool,
    /// Findings.
    pub notes: Vec<NoteReport>,
}

/// One token.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PieceReport {
    /// Token id.
    pub id: u32,
    /// Its text; bytes that are no complete character as `<0xE2>`.
    pub text: String,
    /// First byte of the input that it covers.
    #[cfg_attr(test, ts(type = "number"))]
    pub start: u64,
    /// One past the last.
    #[cfg_attr(test, ts(type = "number"))]
    pub end: u64,
    /// "normal", "control", "user-defined", "unknown" or "byte".
    pub kind: &'static str,
    /// Its bytes in hexadecimal.
    pub hex: String,
}
