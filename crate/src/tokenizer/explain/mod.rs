//! How a text became ids, step by step: what was cut out, what it was changed to, where it was split, and which
//! merges or matches made the tokens.
//!
//! Every kind is encoded here a second time, by a plain model that writes down what it does; its ids are compared
//! with the encoder's, and a difference is said aloud. So an explanation never shows steps that did not lead to the ids.

mod bpe;
mod json;
mod matches;
mod merging;
mod paths;
mod whole;
mod words;

use std::ops::Range;

use super::{EncodeOptions, Method, Vocabulary, limits, mapped::Mapped};
use crate::{
    fault::Result,
    model::{Note, Severity},
};

/// Symbols and candidates that one explanation lists.
const LISTED: usize = 20_000;

/// How a text became ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// "BPE", "WordPiece", ...: how words become tokens.
    pub method: &'static str,
    /// The text in order, with what is added around it.
    pub parts: Vec<Part>,
    /// The encoder's ids.
    pub ids: Vec<u32>,
    /// The steps lead to these ids.
    pub agrees: bool,
    /// Words whose steps are not listed, because there are too many.
    pub left_out: usize,
    /// Findings.
    pub notes: Vec<Note>,
}

/// Why a part of the text stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// Put around the text.
    Added,
    /// A special or added token that is written out in the text.
    Special,
    /// Text between those.
    Text,
}

/// A part of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Why it stands alone.
    pub kind: PartKind,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// The token, if it is one as a whole.
    pub id: Option<u32>,
    /// The text as the words are cut from it, beside what it was: `from` and `to` differ where it was changed.
    pub prepared: Vec<Aligned>,
    /// Its words.
    pub words: Vec<Word>,
}

/// A stretch of the text and what it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aligned {
    /// In the text.
    pub from: String,
    /// As the tokens are to match it.
    pub to: String,
}

/// What the pre-tokenizer cuts off: merges and matches do not go beyond it.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As the tokens are to match it.
    pub text: String,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// The symbols before the first merge; empty where nothing merges.
    pub symbols: Vec<String>,
    /// BPE: merges in order.
    pub merges: Vec<Merge>,
    /// Other kinds: at each place on the way the tokens that match there.
    pub choices: Vec<Choice>,
    /// What came out.
    pub tokens: Vec<WordToken>,
    /// Its steps are listed.
    pub listed: bool,
}

/// One merge.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// Which symbol merged with the one after it.
    pub at: usize,
    /// The two symbols.
    pub left: String,
    /// The second of them.
    pub right: String,
    /// Its rank: the lowest merges first.
    pub rank: Option<u32>,
    /// Its score: the highest merges first.
    pub score: Option<f64>,
    /// The symbols after it.
    pub symbols: Vec<String>,
}

/// The tokens that match at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Byte of the word's text.
    pub at: usize,
    /// All that match there.
    pub candidates: Vec<Candidate>,
}

/// A token that matches.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The token; none for an unknown character.
    pub id: Option<u32>,
    /// What it matches of the word's text.
    pub text: String,
    /// Its score, where the kind has scores.
    pub score: Option<f64>,
    /// The score of the best way that goes over it: to its end, or where the kind searches from the end, to the text's.
    pub total: Option<f64>,
    /// It is on the way.
    pub taken: bool,
}

/// A token of a word.
#[derive(Debug, Clone, PartialEq)]
pub struct WordToken {
    /// Its id.
    pub id: u32,
    /// Bytes of the word's text that it stands for.
    pub part: Range<usize>,
    /// Bytes of the whole text.
    pub span: Range<usize>,
    /// "" where steps made it; "whole word", "byte" or "unknown".
    pub how: &'static str,
}

/// What is left of the symbols and candidates that may be listed.
struct Budget {
    left: usize,
    left_out: usize,
}

impl Budget {
    /// Takes some, or says that there are too few left.
    fn take(&mut self, count: usize) -> bool {
        let left = self.left.checked_sub(count);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

impl Word {
    /// A word of a prepared text.
    fn of(prepared: &Mapped, part: Range<usize>) -> Self {
        Self {
            text: prepared.text.get(part.clone()).unwrap_or_default().to_owned(),
            span: prepared.source(part),
            symbols: Vec::new(),
            merges: Vec::new(),
            choices: Vec::new(),
            tokens: Vec::new(),
            listed: true,
        }
    }
    /// Forgets its steps, because there are too many.
    fn leave_out(&mut self, budget: &mut Budget) {
        self.listed = false;
        (self.symbols, self.merges, self.choices) = (Vec::new(), Vec::new(), Vec::new());
        budget.left_out += 1;
    }
}

/// See [`Vocabulary::explain`].
pub(super) fn explain(vocabulary: &Vocabulary, text: &str, options: EncodeOptions) -> Result<Explanation> {
    limits::check("bytes of text to explain", text.len(), limits::EXPLAINED_BYTES)?;
    let ids = vocabulary.encode(text, options)?;
    let mut budget = Budget { left: LISTED, left_out: 0 };
    let added = |ids: &[u32], at: usize| -> Vec<Part> {
        let ids = if options.add_special { ids } else { &[] };
        ids.iter().map(|id| Part::whole(PartKind::Added, at..at, *id)).collect()
    };
    let mut parts = added(&vocabulary.before, 0);
    if let Method::Json(pipeline) = &vocabulary.method {
        parts.extend(json::parts(vocabulary, pipeline, text, options.parse_special, &mut budget)?);
    } else {
        for fragment in vocabulary.specials.cut(&vocabulary.table, text, options.parse_special) {
            let span = fragment.span;
            parts.push(match fragment.special {
                Some(id) => Part::whole(PartKind::Special, span, id),
                None => text_part(vocabulary, text, span, &mut budget)?,
            });
        }
    }
    parts.extend(added(&vocabulary.after, text.len()));
    let own = parts.iter().flat_map(|part| {
        let words = part.words.iter().flat_map(|word| word.tokens.iter().map(|token| token.id));
        part.id.into_iter().chain(words)
    });
    let agrees = own.eq(ids.iter().copied());
    let notes = notes(agrees, budget.left_out);
    Ok(Explanation { method: method(vocabulary), parts, ids, agrees, left_out: budget.left_out, notes })
}

fn notes(agrees: bool, left_out: usize) -> Vec<Note> {
    let mut notes = Vec::new();
    if !agrees {
        notes.push(
            Note::new(Severity::Error, "The steps shown do not lead to the ids of the encoder.")
                .why("Glassbox encodes a text twice, fast and step by step; the two must agree. The ids are the encoder's.")
                .advice("Please report this text and this tokenizer."),
        );
    }
    if left_out > 0 {
        notes.push(
            Note::new(Severity::Info, format!("The steps of {left_out} words are not listed."))
                .why(format!("An explanation lists at most {LISTED} symbols and candidates."))
                .advice("Choose a shorter piece of the text."),
        );
    }
    notes
}

fn method(vocabulary: &Vocabulary) -> &'static str {
    match &vocabulary.method {
        Method::Spm(_) => "SentencePiece BPE: the pair that forms the best-scored token merges first",
        Method::ByteBpe(_) => "BPE: the pair of the lowest rank merges first",
        Method::Ranked(_) => "BPE by ranks: the pair that forms the token of the lowest rank merges first",
        Method::WordPiece(_) => "WordPiece: at each place the longest token",
        Method::Longest(_) => "Longest match: at each place the longest token",
        Method::Unigram(_) => "Unigram: of all ways through the text the one of the highest sum of scores",
        Method::Plamo2(_) => "Best path: of all ways through the text the one of the highest sum of scores",
        Method::Whole(whole) => whole::method(whole),
        Method::Json(pipeline) => json::method(pipeline),
    }
}

impl Part {
    fn whole(kind: PartKind, span: Range<usize>, id: u32) -> Self {
        Self { kind, span, id: Some(id), prepared: Vec::new(), words: Vec::new() }
    }
}

/// A part of a text between special tokens.
fn text_part(vocabulary: &Vocabulary, whole: &str, span: Range<usize>, budget: &mut Budget) -> Result<Part> {
    let (text, base) = (whole.get(span.clone()).unwrap_or_default(), span.start);
    let table = &vocabulary.table;
    let (prepared, words) = match &vocabulary.method {
        Method::Spm(spm) => bpe::sentence_piece(table, spm, text, base, budget),
        Method::ByteBpe(bpe) => bpe::ranked_merges(table, bpe, text, base, budget)?,
        Method::Ranked(ranked) => bpe::ranks(table, ranked, text, base, budget)?,
        Method::WordPiece(pieces) => matches::word_piece(pieces, text, base, budget)?,
        Method::Longest(longest) => matches::longest(longest, text, base, budget)?,
        Method::Unigram(unigram) => paths::unigram(unigram, text, base, budget)?,
        Method::Plamo2(plamo2) => paths::plamo2(plamo2, text, base, budget)?,
        Method::Whole(whole) => whole::words(table, whole, text, base, budget),
        Method::Json(_) => (Vec::new(), Vec::new()),
    };
    let prepared = aligned(whole, span.clone(), &prepared);
    Ok(Part { kind: PartKind::Text, span, id: None, prepared, words })
}

/// Prepared texts beside the stretch of the source that they come from, in runs that are the same and runs that differ;
/// together the runs are the whole stretch.
fn aligned<'a>(source: &str, span: Range<usize>, prepared: impl IntoIterator<Item = &'a Mapped>) -> Vec<Aligned> {
    let mut runs: Vec<Run> = Vec::new();
    let mut done = span.start;
    for mapped in prepared {
        for (at, c) in mapped.text.char_indices() {
            let from = mapped.source(at..at + c.len_utf8());
            let is_more = |run: &&mut Run| !from.is_empty() && !run.from.is_empty() && from.start < run.from.end;
            // Characters that come from one are one run.
            if let Some(run) = runs.last_mut().filter(is_more) {
                run.from.end = run.from.end.max(from.end);
                run.to.push(c);
            } else {
                // What lies between was dropped.
                runs.extend((done < from.start).then(|| Run { from: done..from.start, to: String::new() }));
                runs.push(Run { from: from.clone(), to: c.to_string() });
            }
            done = done.max(from.end);
        }
    }
    runs.extend((!runs.is_empty() && done < span.end).then(|| Run { from: done..span.end, to: String::new() }));
    let mut joined: Vec<Aligned> = Vec::new();
    for Run { from, to } in runs {
        let from = source.get(from).unwrap_or_default();
        // Runs of a kind are one; what was put in or dropped stays apart.
        let kind = |from: &str, to: &str| (from == to, from.is_empty(), to.is_empty());
        match joined.last_mut() {
            Some(last) if kind(&last.from, &last.to) == kind(from, &to) => {
                last.from.push_str(from);
                last.to.push_str(&to);
            }
            _ => joined.push(Aligned { from: from.to_owned(), to }),
        }
    }
    joined
}

/// A stretch of the source and what it became.
struct Run {
    from: Range<usize>,
    to: String,
}
