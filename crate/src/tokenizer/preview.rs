//! Pieces of an encoded text, for people to look at.

use std::ops::Range;

use super::{
    EncodeOptions, Method, Preview, Token, Tokenized, Vocabulary,
    streaming::{First, Joiner},
};
use crate::{
    fault::Result,
    model::{Note, Severity},
};

/// See [`Vocabulary::preview`].
pub(super) fn preview(vocabulary: &Vocabulary, text: &str, options: EncodeOptions) -> Result<Preview> {
    let tokenized = Tokenized::new(vocabulary, text.to_owned(), options)?;
    let pieces = tokenized.pieces(vocabulary, 0..tokenized.len());
    Ok(Preview { pieces, notes: tokenized.notes().to_vec(), roundtrips: tokenized.roundtrips() })
}

/// Whether decoding gives a text back, and what is to be said about it.
pub(super) fn findings(vocabulary: &Vocabulary, text: &str, tokens: &[Token]) -> (bool, Vec<Note>) {
    let roundtrips = roundtrips(vocabulary, text, tokens);
    let mut notes = Vec::new();
    let missed = missed(text, tokens);
    if missed > 0 {
        notes.push(
            Note::new(Severity::Warning, format!("{missed} bytes of the text are in no token.")).why(
                "The vocabulary has no token for them, or its normalizer removes them: the model never sees them.",
            ),
        );
    }
    if !roundtrips {
        let why = match vocabulary.method {
            Method::Spm(_) => {
                "A space is put before text that follows a special token, and a written ▁ becomes a space."
            }
            Method::ByteBpe(_) | Method::Ranked(_) | Method::Longest(_) | Method::Plamo2(_) => {
                "Some bytes have no token, or text beside special tokens is left out."
            }
            Method::Json(_) | Method::Unigram(_) | Method::WordPiece(_) | Method::Whole(_) => {
                "The tokenizer changes text before splitting it (case, accents, spaces), or lacks tokens for some of it."
            }
        };
        notes.push(Note::new(Severity::Info, "Decoding the ids does not give this text back exactly.").why(why));
    }
    (roundtrips, notes)
}

/// Bytes of the text, other than white space, that no span covers.
fn missed(text: &str, tokens: &[Token]) -> usize {
    let (mut done, mut missed) = (0, 0);
    let gap = |gap: Range<usize>| {
        text.as_bytes().get(gap).unwrap_or_default().iter().filter(|byte| !byte.is_ascii_whitespace()).count()
    };
    for token in tokens {
        if token.span.start > done {
            missed += gap(done..token.span.start);
        }
        done = done.max(token.span.end);
    }
    missed + gap(done..text.len())
}

/// Decodes with special tokens written out where the text had them, and compares.
fn roundtrips(vocabulary: &Vocabulary, text: &str, tokens: &[Token]) -> bool {
    let own: Vec<u32> = tokens.iter().filter(|token| !token.span.is_empty()).map(|token| token.id).collect();
    let is_hidden = |id: &u32| vocabulary.table.get(*id).is_some_and(|entry| entry.hidden);
    if !own.iter().any(is_hidden) {
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        return vocabulary.decode(&ids) == text;
    }
    let Joiner::Bytes(first) = vocabulary.joiner else { return false };
    let mut joined = Vec::new();
    for token in tokens.iter().filter(|token| !(token.span.is_empty() && is_hidden(&token.id))) {
        joined.extend(vocabulary.table.written(token.id));
    }
    if first == First::StripOne && joined.first() == Some(&b' ') {
        joined.remove(0);
    }
    joined == text.as_bytes()
}

/// Replaces the crate's spans, which widen to whole characters, by exact ones where the tokens'
/// bytes follow each other through the text; otherwise keeps them, in order and inside the text.
pub(super) fn tighten(vocabulary: &Vocabulary, text: &str, tokens: &mut [Token]) {
    if let Joiner::Bytes(first) = vocabulary.joiner
        && let Some(exact) = tile(vocabulary, text, tokens, first)
    {
        for (token, span) in tokens.iter_mut().zip(exact) {
            token.span = span;
        }
        return;
    }
    let mut floor = 0;
    for token in tokens {
        let start = token.span.start.clamp(floor, text.len());
        let end = token.span.end.clamp(start, text.len());
        token.span = start..end;
        floor = start;
    }
}

fn tile(vocabulary: &Vocabulary, text: &str, tokens: &[Token], first: First) -> Option<Vec<Range<usize>>> {
    let mut at = 0;
    let mut spans = Vec::with_capacity(tokens.len());
    for (nth, token) in tokens.iter().enumerate() {
        let mut bytes = vocabulary.table.written(token.id);
        let rest = &text.as_bytes()[at..];
        if nth == 0 && first != First::Keep && bytes.first() == Some(&b' ') && token.span.len() < bytes.len() {
            bytes.remove(0);
        }
        if !rest.starts_with(&bytes) {
            return None;
        }
        spans.push(at..at + bytes.len());
        at += bytes.len();
    }
    (at == text.len()).then_some(spans)
}
