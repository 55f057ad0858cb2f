//! How text is split.

use std::ops::Range;

use serde::Serialize;

use crate::tokenizer::{Piece, PieceKind, Tokenized, Vocabulary, Wholeness};

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
    /// Code points of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub characters: u64,
    /// Characters as people see them (extended grapheme clusters).
    #[cfg_attr(test, ts(type = "number"))]
    pub graphemes: u64,
    /// Bytes of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes: u64,
    /// Control tokens among its tokens, added or written out.
    #[cfg_attr(test, ts(type = "number"))]
    pub specials: u64,
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
    /// Put around the text by the tokenizer's rules.
    pub added: bool,
    /// "" for whole characters; "character" where its bytes begin or end inside one; "grapheme" where it begins or ends
    /// inside what people see as one character (an emoji of several, a letter and its accent).
    pub part_of: &'static str,
}

impl TokensReport {
    /// An encoded text with its counts.
    pub fn of(vocabulary: &Vocabulary, tokenized: &Tokenized) -> Self {
        Self::head(vocabulary, tokenized, usize::MAX)
    }
    /// The same with the first ids and pieces alone.
    pub fn head(vocabulary: &Vocabulary, tokenized: &Tokenized, most: usize) -> Self {
        let text = tokenized.text();
        Self {
            tokenizer: vocabulary.describe(),
            count: tokenized.len(),
            ids: tokenized.ids().take(most).collect(),
            pieces: tokenized.pieces(vocabulary, 0..most.min(tokenized.len())).iter().map(PieceReport::of).collect(),
            characters: text.chars().count() as u64,
            graphemes: tokenized.graphemes() as u64,
            bytes: text.len() as u64,
            specials: tokenized.specials(vocabulary) as u64,
            roundtrips: tokenized.roundtrips(),
            notes: vocabulary.notes().iter().chain(tokenized.notes()).map(NoteReport::from).collect(),
        }
    }
}

impl PieceReport {
    /// A token as people see it.
    pub fn of(piece: &Piece) -> Self {
        Self {
            id: piece.id,
            text: visible(&piece.text, &piece.bytes),
            start: piece.span.start as u64,
            end: piece.span.end as u64,
            kind: kind_name(piece.kind),
            hex: hex(&piece.bytes),
            added: piece.added,
            part_of: match piece.wholeness {
                Wholeness::Whole => "",
                Wholeness::OfGrapheme => "grapheme",
                Wholeness::OfCharacter => "character",
            },
        }
    }
}

/// A token's text, with bytes that are no whole character written as `<0xE2>`; its name where it has no bytes.
pub(super) fn visible(name: &str, bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return name.to_owned();
    }
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("<0x{byte:02X}>"));
        }
    }
    text
}

/// Some tokens of a text in full.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PiecesReport {
    /// The first one.
    #[cfg_attr(test, ts(type = "number"))]
    pub first: u64,
    /// They.
    pub pieces: Vec<PieceReport>,
}

impl PiecesReport {
    /// The tokens of a range, which is cut to those that there are.
    pub fn of(vocabulary: &Vocabulary, tokenized: &Tokenized, range: Range<usize>) -> Self {
        let first = range.start.min(tokenized.len()) as u64;
        Self { first, pieces: tokenized.pieces(vocabulary, range).iter().map(PieceReport::of).collect() }
    }
}

/// The name of a kind.
pub(super) fn kind_name(kind: PieceKind) -> &'static str {
    match kind {
        PieceKind::Normal => "normal",
        PieceKind::Control => "control",
        PieceKind::UserDefined => "user-defined",
        PieceKind::Unknown => "unknown",
        PieceKind::Byte => "byte",
    }
}
