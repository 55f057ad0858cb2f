//! A vocabulary, looked through; two tokenizers beside each other.

use serde::Serialize;

use crate::tokenizer::{
    Catalog, Comparison, Difference, Listed, TokenQuery, TokenType, Tokenized, Vocabulary, Wholeness,
};

use super::{NoteReport, PieceReport, tensors::hex, tokens::visible};

/// Stretches of unused ids and of holes that are listed.
const STRETCHES: usize = 100;
/// Pieces of a difference that are shown.
const SHOWN: usize = 8;

/// What `glassbox vocab` prints.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct VocabularyReport {
    /// "Byte-level BPE (gpt2, pre gpt-2), 512 tokens".
    pub tokenizer: String,
    /// Number of ids, holes included.
    #[cfg_attr(test, ts(type = "number"))]
    pub size: u64,
    /// How many tokens of each type there are; types without tokens are left out.
    pub counts: Vec<TypeCount>,
    /// Ids that the file marks as unused: [first, one past the last], the first hundred stretches.
    pub unused: Vec<[u32; 2]>,
    /// Ids without a token, likewise.
    pub holes: Vec<[u32; 2]>,
    /// "score" or "rank" where tokens have one: what `sort` by score goes by.
    pub measure: Option<&'static str>,
    /// Tokens that the query finds.
    #[cfg_attr(test, ts(type = "number"))]
    pub matching: u64,
    /// Which of them `tokens` begins with.
    #[cfg_attr(test, ts(type = "number"))]
    pub first: u64,
    /// Those asked for.
    pub tokens: Vec<TokenReport>,
    /// Findings about the tokenizer.
    pub notes: Vec<NoteReport>,
}

/// Tokens of a type.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TypeCount {
    /// "normal", "control", "user-defined", "unknown", "byte", "unused" or "hole".
    pub kind: &'static str,
    /// How many.
    #[cfg_attr(test, ts(type = "number"))]
    pub tokens: u64,
}

/// One token of a vocabulary.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TokenReport {
    /// Its id.
    pub id: u32,
    /// As the vocabulary writes it ("Ġthe", "▁the", "<0x0A>").
    pub piece: String,
    /// Its text; bytes that are no complete character as `<0xE2>`.
    pub text: String,
    /// Its bytes in hexadecimal.
    pub hex: String,
    /// "normal", "control", "user-defined", "unknown", "byte", "unused" or "hole".
    pub kind: &'static str,
    /// Its score, where the vocabulary has scores.
    pub score: Option<f64>,
    /// The rank of the first merge that makes it, or its own; where the vocabulary has ranks.
    pub rank: Option<u32>,
}

/// What `glassbox tokenize A --with B` prints.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CompareReport {
    /// The first tokenizer's side.
    pub a: SideReport,
    /// The second's.
    pub b: SideReport,
    /// Code points of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub characters: u64,
    /// Bytes of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes: u64,
    /// All ids are the same.
    pub same: bool,
    /// Where the text is first cut at different places.
    pub first_cut: Option<DifferenceReport>,
    /// Where the ids first differ.
    pub first_id: Option<DifferenceReport>,
    /// The text in the smallest stretches that begin and end with tokens on both sides.
    pub stretches: StretchColumns,
}

/// One side of a comparison.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SideReport {
    /// "Byte-level BPE (gpt2, pre gpt-2), 512 tokens".
    pub tokenizer: String,
    /// Its ids.
    pub ids: Vec<u32>,
    /// Code points per token; null without tokens.
    pub characters_per_token: Option<f64>,
    /// Tokens that are only a part of a character.
    #[cfg_attr(test, ts(type = "number"))]
    pub parts_of_characters: u64,
    /// Whether decoding gives the text back.
    pub roundtrips: bool,
    /// Findings.
    pub notes: Vec<NoteReport>,
}

/// A place where two tokenizers part.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DifferenceReport {
    /// Byte of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub at: u64,
    /// Character (code point) of the text, counted from 0.
    #[cfg_attr(test, ts(type = "number"))]
    pub character: u64,
    /// Which token of the first side begins it.
    #[cfg_attr(test, ts(type = "number"))]
    pub nth_a: u64,
    /// Which token of the second side begins it.
    #[cfg_attr(test, ts(type = "number"))]
    pub nth_b: u64,
    /// The first side's pieces up to the next place where both sides end a token; at most eight.
    pub a: Vec<PieceReport>,
    /// The second side's.
    pub b: Vec<PieceReport>,
}

/// Stretches of a text, in columns of one length. A stretch begins where the one before ends.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StretchColumns {
    /// Where each ends in the text, in bytes.
    pub ends: Vec<u32>,
    /// Tokens of the first side in it.
    pub a: Vec<u32>,
    /// Tokens of the second side in it.
    pub b: Vec<u32>,
    /// 0 the ids are the same, 1 cut at the same places, 2 cut at different places.
    pub differs: Vec<u8>,
}

impl VocabularyReport {
    /// What a query finds.
    pub fn of(vocabulary: &Vocabulary, catalog: &Catalog, query: &TokenQuery, first: usize, count: usize) -> Self {
        let found = catalog.find(vocabulary, query, first, count);
        let counted = catalog.counts().into_iter().filter(|(_, tokens)| *tokens > 0);
        let stretches = |kind| catalog.stretches(kind, STRETCHES).into_iter().map(|ids| [ids.start, ids.end]).collect();
        Self {
            tokenizer: vocabulary.describe(),
            size: vocabulary.len() as u64,
            counts: counted.map(|(kind, tokens)| TypeCount { kind: kind.name(), tokens: tokens as u64 }).collect(),
            unused: stretches(TokenType::Unused),
            holes: stretches(TokenType::Hole),
            measure: catalog.measure(),
            matching: found.matching as u64,
            first: first as u64,
            tokens: found.tokens.into_iter().map(TokenReport::of).collect(),
            notes: vocabulary.notes().iter().map(NoteReport::from).collect(),
        }
    }
}

impl TokenReport {
    fn of(token: Listed) -> Self {
        let Listed { id, piece, bytes, kind, score, rank } = token;
        Self { id, text: visible(&piece, &bytes), hex: hex(&bytes), piece, kind: kind.name(), score, rank }
    }
}

impl CompareReport {
    /// A comparison with its counts.
    pub fn of(a: &Vocabulary, b: &Vocabulary, comparison: &Comparison) -> Self {
        let text = comparison.a.text();
        let pieces = |vocabulary: &Vocabulary, side: &Tokenized, range: std::ops::Range<usize>| {
            let end = range.end.min(range.start + SHOWN);
            side.pieces(vocabulary, range.start..end).iter().map(PieceReport::of).collect()
        };
        let difference = |found: Difference| DifferenceReport {
            at: found.at as u64,
            character: found.character as u64,
            nth_a: found.a.start as u64,
            nth_b: found.b.start as u64,
            a: pieces(a, &comparison.a, found.a),
            b: pieces(b, &comparison.b, found.b),
        };
        let stretches = &comparison.stretches;
        let differs = |same_ids: bool, same_cuts: bool| match (same_ids, same_cuts) {
            (_, false) => 2,
            (false, true) => 1,
            (true, true) => 0,
        };
        Self {
            a: SideReport::of(a, &comparison.a),
            b: SideReport::of(b, &comparison.b),
            characters: text.chars().count() as u64,
            bytes: text.len() as u64,
            same: comparison.is_same(),
            first_cut: comparison.first_cut().map(difference),
            first_id: comparison.first_id().map(difference),
            stretches: StretchColumns {
                ends: stretches.iter().map(|stretch| stretch.span.end as u32).collect(),
                a: stretches.iter().map(|stretch| stretch.a.len() as u32).collect(),
                b: stretches.iter().map(|stretch| stretch.b.len() as u32).collect(),
                differs: stretches.iter().map(|stretch| differs(stretch.same_ids, stretch.same_cuts)).collect(),
            },
        }
    }
}

impl SideReport {
    fn of(vocabulary: &Vocabulary, side: &Tokenized) -> Self {
        let characters = side.text().chars().count() as f64;
        Self {
            tokenizer: vocabulary.describe(),
            ids: side.ids().collect(),
            characters_per_token: (!side.is_empty()).then(|| characters / side.len() as f64),
            parts_of_characters: (0..side.len()).filter(|nth| side.wholeness(*nth) != Wholeness::Whole).count() as u64,
            roundtrips: side.roundtrips(),
            notes: vocabulary.notes().iter().chain(side.notes()).map(NoteReport::from).collect(),
        }
    }
}
