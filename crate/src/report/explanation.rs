//! How a text became ids, step by step.

use serde::Serialize;

use crate::tokenizer::{Aligned, Candidate, Choice, Explanation, Merge, Part, PartKind, Vocabulary, Word, WordToken};

use super::NoteReport;

/// What `glassbox tokenize --explain` prints.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ExplainReport {
    /// "Byte-level BPE (gpt2, pre gpt-2), 512 tokens".
    pub tokenizer: String,
    /// How words become tokens, in a sentence.
    pub method: &'static str,
    /// The encoder's ids.
    pub ids: Vec<u32>,
    /// The steps lead to these ids; where they do not, a note says so.
    pub agrees: bool,
    /// The text in order: what is added around it, special tokens written out in it, and what lies between.
    pub parts: Vec<ExplainedPart>,
    /// Words whose steps are not listed, because there are too many.
    #[cfg_attr(test, ts(type = "number"))]
    pub left_out: u64,
    /// Findings.
    pub notes: Vec<NoteReport>,
}

/// A part of the text.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ExplainedPart {
    /// "added", "special" or "text".
    pub kind: &'static str,
    /// First byte of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub start: u64,
    /// One past the last.
    #[cfg_attr(test, ts(type = "number"))]
    pub end: u64,
    /// The token that it is as a whole: id and the vocabulary's writing.
    pub token: Option<NamedToken>,
    /// What the text was changed to before it was cut into words; empty where nothing changes it.
    pub normalized: Vec<AlignedReport>,
    /// Its words.
    pub words: Vec<ExplainedWord>,
}

/// A token by id and writing.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct NamedToken {
    /// Its id.
    pub id: u32,
    /// As the vocabulary writes it.
    pub piece: String,
}

/// A stretch of the text and what it became.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AlignedReport {
    /// In the text.
    pub from: String,
    /// As the tokens are to match it.
    pub to: String,
}

/// What the pre-tokenizer cuts off: merges and matches do not go beyond it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ExplainedWord {
    /// As the tokens are to match it ("Ġthe", "▁the").
    pub text: String,
    /// First byte of the text.
    #[cfg_attr(test, ts(type = "number"))]
    pub start: u64,
    /// One past the last.
    #[cfg_attr(test, ts(type = "number"))]
    pub end: u64,
    /// The symbols before the first merge; empty for kinds that do not merge.
    pub symbols: Vec<String>,
    /// Merges in order.
    pub merges: Vec<MergeReport>,
    /// For other kinds: at each place on the way the tokens that match there.
    pub choices: Vec<ChoiceReport>,
    /// What came out.
    pub tokens: Vec<ExplainedToken>,
    /// Its steps are listed.
    pub listed: bool,
}

/// One merge.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MergeReport {
    /// Which symbol merged with the one after it, counted from 0.
    #[cfg_attr(test, ts(type = "number"))]
    pub at: u64,
    /// The first of the two.
    pub left: String,
    /// The second.
    pub right: String,
    /// Its rank: the lowest merges first; null for kinds with scores.
    pub rank: Option<u32>,
    /// Its score: the highest merges first; null for kinds with ranks.
    pub score: Option<f64>,
    /// The symbols after it.
    pub symbols: Vec<String>,
}

/// The tokens that match at one place on the way.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ChoiceReport {
    /// Byte of the word's text.
    #[cfg_attr(test, ts(type = "number"))]
    pub at: u64,
    /// All that match there.
    pub candidates: Vec<CandidateReport>,
}

/// A token that matches.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CandidateReport {
    /// The token; null for an unknown character.
    pub id: Option<u32>,
    /// What it matches.
    pub text: String,
    /// Its score, where the kind has scores.
    pub score: Option<f64>,
    /// The sum of scores of the best way over it: from the start to its end, or where the kind searches from the end
    /// (plamo2), from its begin to the end.
    pub total: Option<f64>,
    /// It is on the way.
    pub taken: bool,
}

/// A token that came out of a word.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ExplainedToken {
    /// Its id.
    pub id: u32,
    /// As the vocabulary writes it.
    pub piece: String,
    /// First byte of the whole text that it covers.
    #[cfg_attr(test, ts(type = "number"))]
    pub start: u64,
    /// One past the last.
    #[cfg_attr(test, ts(type = "number"))]
    pub end: u64,
    /// "" where the steps made it; "whole word" where no step was needed; "byte" or "unknown" where there is no token.
    pub how: &'static str,
}

impl ExplainReport {
    /// An explanation with the vocabulary's writing of its tokens.
    pub fn of(vocabulary: &Vocabulary, explanation: Explanation) -> Self {
        Self {
            tokenizer: vocabulary.describe(),
            method: explanation.method,
            ids: explanation.ids,
            agrees: explanation.agrees,
            parts: explanation.parts.into_iter().map(|part| ExplainedPart::of(vocabulary, part)).collect(),
            left_out: explanation.left_out as u64,
            notes: explanation.notes.iter().map(NoteReport::from).collect(),
        }
    }
}

fn piece(vocabulary: &Vocabulary, id: u32) -> String {
    vocabulary.token_text(id).unwrap_or_default().to_owned()
}

impl ExplainedPart {
    fn of(vocabulary: &Vocabulary, part: Part) -> Self {
        let kind = match part.kind {
            PartKind::Added => "added",
            PartKind::Special => "special",
            PartKind::Text => "text",
        };
        let aligned = |Aligned { from, to }| AlignedReport { from, to };
        Self {
            kind,
            start: part.span.start as u64,
            end: part.span.end as u64,
            token: part.id.map(|id| NamedToken { id, piece: piece(vocabulary, id) }),
            normalized: part.prepared.into_iter().map(aligned).collect(),
            words: part.words.into_iter().map(|word| ExplainedWord::of(vocabulary, word)).collect(),
        }
    }
}

impl ExplainedWord {
    fn of(vocabulary: &Vocabulary, word: Word) -> Self {
        let merge = |Merge { at, left, right, rank, score, symbols }| MergeReport {
            at: at as u64,
            left,
            right,
            rank,
            score,
            symbols,
        };
        let candidate = |Candidate { id, text, score, total, taken }| CandidateReport { id, text, score, total, taken };
        let choice = |Choice { at, candidates }| ChoiceReport {
            at: at as u64,
            candidates: candidates.into_iter().map(candidate).collect(),
        };
        let token = |WordToken { id, span, how, .. }| ExplainedToken {
            id,
            piece: piece(vocabulary, id),
            start: span.start as u64,
            end: span.end as u64,
            how,
        };
        Self {
            text: word.text,
            start: word.span.start as u64,
            end: word.span.end as u64,
            symbols: word.symbols,
            merges: word.merges.into_iter().map(merge).collect(),
            choices: word.choices.into_iter().map(choice).collect(),
            tokens: word.tokens.into_iter().map(token).collect(),
            listed: word.listed,
        }
    }
}
