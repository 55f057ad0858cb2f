//! A long text's tokens in columns, so that a page can show any stretch of them.

use std::ops::Range;

use serde::Serialize;

use crate::tokenizer::{PieceKind, Tokenized, Vocabulary, Wholeness};

use super::{NoteReport, PieceReport};

/// The kinds that `TokenColumns::kinds` counts from 0.
const KINDS: [(PieceKind, &str); 5] = [
    (PieceKind::Normal, "normal"),
    (PieceKind::Control, "control"),
    (PieceKind::UserDefined, "user-defined"),
    (PieceKind::Unknown, "unknown"),
    (PieceKind::Byte, "byte"),
];

/// The name of a kind.
pub(super) fn kind_name(kind: PieceKind) -> &'static str {
    KINDS.iter().find(|(other, _)| *other == kind).map_or("normal", |(_, name)| name)
}

/// What a whole text's tokens are, and a stretch of them in columns of one length.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TokenColumns {
    /// "Byte-level BPE (gpt2, pre gpt-2), 512 tokens".
    pub tokenizer: String,
    /// Tokens of the whole text.
    #[cfg_attr(test, ts(type = "number"))]
    pub tokens: u64,
    /// Code points of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub characters: u64,
    /// Characters as people see them (extended grapheme clusters).
    #[cfg_attr(test, ts(type = "number"))]
    pub graphemes: u64,
    /// Bytes of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes: u64,
    /// Control tokens among its tokens.
    #[cfg_attr(test, ts(type = "number"))]
    pub specials: u64,
    /// Tokens that are only a part of a character or of what people see as one.
    #[cfg_attr(test, ts(type = "number"))]
    pub parts_of_characters: u64,
    /// Whether decoding gives the text back.
    pub roundtrips: bool,
    /// Findings about the tokenizer and about this text.
    pub notes: Vec<NoteReport>,
    /// Tokens put before the text; they are the first ones.
    #[cfg_attr(test, ts(type = "number"))]
    pub added_before: u64,
    /// Tokens put after the text; they are the last ones.
    #[cfg_attr(test, ts(type = "number"))]
    pub added_after: u64,
    /// The token that the columns begin with.
    #[cfg_attr(test, ts(type = "number"))]
    pub first: u64,
    /// Ids.
    pub ids: Vec<u32>,
    /// Where each token begins in the text, in UTF-16 units, as JavaScript counts; inside a character: at its begin.
    pub starts: Vec<u32>,
    /// Where it ends; inside a character: at its end. As `starts` for tokens that cover nothing.
    pub ends: Vec<u32>,
    /// 0 normal, 1 control, 2 user-defined, 3 unknown, 4 byte.
    pub kinds: Vec<u8>,
    /// 0 whole, 1 part of what people see as one character, 2 part of a character (its bytes are cut).
    pub parts: Vec<u8>,
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

impl TokenColumns {
    /// The tokens of a range, which is cut to those that there are.
    pub fn of(vocabulary: &Vocabulary, tokenized: &Tokenized, range: Range<usize>) -> Self {
        let range = range.start.min(tokenized.len())..range.end.min(tokenized.len());
        let kinds = |id| KINDS.iter().position(|(kind, _)| *kind == vocabulary.kind(id)).unwrap_or(0) as u8;
        let text = tokenized.text();
        let mut units = Units::new(text);
        let (mut starts, mut ends) = (Vec::with_capacity(range.len()), Vec::with_capacity(range.len()));
        for nth in range.clone() {
            let span = tokenized.span(nth);
            starts.push(units.at(text.floor_char_boundary(span.start)));
            ends.push(units.at(text.ceil_char_boundary(span.end)));
        }
        let (before, after) = tokenized.added();
        Self {
            tokenizer: vocabulary.describe(),
            tokens: tokenized.len() as u64,
            characters: text.chars().count() as u64,
            graphemes: tokenized.graphemes() as u64,
            bytes: text.len() as u64,
            specials: tokenized.specials(vocabulary) as u64,
            parts_of_characters: (0..tokenized.len())
                .filter(|nth| tokenized.wholeness(*nth) != Wholeness::Whole)
                .count() as u64,
            roundtrips: tokenized.roundtrips(),
            notes: vocabulary.notes().iter().chain(tokenized.notes()).map(NoteReport::from).collect(),
            added_before: before as u64,
            added_after: after as u64,
            first: range.start as u64,
            ids: tokenized.ids().skip(range.start).take(range.len()).collect(),
            starts,
            ends,
            kinds: tokenized.ids().skip(range.start).take(range.len()).map(kinds).collect(),
            parts: range.map(|nth| tokenized.wholeness(nth) as u8).collect(),
        }
    }
}

impl PiecesReport {
    /// The tokens of a range, which is cut to those that there are.
    pub fn of(vocabulary: &Vocabulary, tokenized: &Tokenized, range: Range<usize>) -> Self {
        let first = range.start.min(tokenized.len()) as u64;
        Self { first, pieces: tokenized.pieces(vocabulary, range).iter().map(PieceReport::of).collect() }
    }
}

/// Counts UTF-16 units up to a place; places that go on from the last one cost little.
struct Units<'a> {
    text: &'a str,
    at: usize,
    units: u32,
}

impl<'a> Units<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, units: 0 }
    }

    /// Of a place between two characters.
    fn at(&mut self, at: usize) -> u32 {
        let count = |part: &str| part.chars().map(|c| c.len_utf16() as u32).sum::<u32>();
        // Spans begin in order but may overlap by a character.
        if at >= self.at {
            self.units += count(self.text.get(self.at..at).unwrap_or_default());
        } else {
            self.units -= count(self.text.get(at..self.at).unwrap_or_default());
        }
        self.at = at;
        self.units
    }
}
