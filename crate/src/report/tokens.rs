//! How text is split.

use serde::Serialize;

use crate::tokenizer::{Piece, PieceKind, Preview, Vocabulary};

use super::{NoteReport, tensors::hex};

/// Ids and pieces of a text.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TokensReport {
    /// "Byte-level BPE (gpt2, pre gpt-2), 512 tokens".
    pub tokenizer: String,
    /// Number of tokens.
    pub count: usize,
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

impl TokensReport {
    /// An encoded text with its counts.
    pub fn of(vocabulary: &Vocabulary, text: &str, preview: &Preview) -> Self {
        Self::head(vocabulary, text, preview, usize::MAX)
    }
    /// The same with the first ids and pieces alone.
    pub fn head(vocabulary: &Vocabulary, text: &str, preview: &Preview, most: usize) -> Self {
        Self {
            tokenizer: vocabulary.describe(),
            count: preview.pieces.len(),
            ids: preview.pieces.iter().take(most).map(|p| p.id).collect(),
            pieces: preview.pieces.iter().take(most).map(PieceReport::of).collect(),
            characters: text.chars().count() as u64,
            bytes: text.len() as u64,
            roundtrips: preview.roundtrips,
            notes: vocabulary.notes().iter().chain(&preview.notes).map(NoteReport::from).collect(),
        }
    }
}

impl PieceReport {
    /// A token as people see it.
    pub fn of(piece: &Piece) -> Self {
        Self {
            id: piece.id,
            text: visible(piece),
            start: piece.span.start as u64,
            end: piece.span.end as u64,
            kind: match piece.kind {
                PieceKind::Normal => "normal",
                PieceKind::Control => "control",
                PieceKind::UserDefined => "user-defined",
                PieceKind::Unknown => "unknown",
                PieceKind::Byte => "byte",
            },
            hex: hex(&piece.bytes),
        }
    }
}

/// The piece's text, with bytes that are no whole character written as `<0xE2>`.
fn visible(piece: &Piece) -> String {
    if piece.bytes.is_empty() {
        return piece.text.clone();
    }
    let mut text = String::new();
    for chunk in piece.bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("<0x{byte:02X}>"));
        }
    }
    text
}
