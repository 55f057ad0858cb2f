//! Kinds that take the longest token at each place.

use super::{
    super::{
        longest::Longest,
        mapped::Mapped,
        prefixes::{Prefixes, Work},
        word_piece::WordPiece,
    },
    Budget, Candidate, Choice, Word, WordToken,
    bpe::Words,
    words,
};
use crate::fault::Result;

/// WordPiece of a GGUF file.
pub(super) fn word_piece(pieces: &WordPiece, text: &str, base: usize, budget: &mut Budget) -> Result<Words> {
    let work = Work::on(text.len());
    let prepared = words::cut(pieces, text, base);
    let mut words = Vec::with_capacity(prepared.len());
    for mapped in &prepared {
        let mut word = Word::of(mapped, 0..mapped.text.len());
        let whole = walk(&pieces.tokens, mapped, &mut word, &work, budget, |_| None)?;
        if !whole {
            let span = mapped.source(0..mapped.text.len());
            word.tokens.clear();
            word.tokens.extend(pieces.unknown.map(|id| WordToken {
                id,
                part: 0..mapped.text.len(),
                span,
                how: "unknown",
            }));
        }
        words.push(word);
    }
    Ok((prepared, words))
}

/// RWKV's world vocabulary.
pub(super) fn longest(longest: &Longest, text: &str, base: usize, budget: &mut Budget) -> Result<Words> {
    let work = Work::on(text.len());
    let mut prepared = Mapped::default();
    prepared.push(text, base..base + text.len());
    let mut word = Word::of(&prepared, 0..text.len());
    walk(&longest.tokens, &prepared, &mut word, &work, budget, |_| Some(longest.unknown))?;
    Ok((Vec::new(), vec![word]))
}

/// Takes the longest token at each place. Where there is none, `otherwise` says which token one byte becomes, if any;
/// none at all ends the walk, which then is not whole.
fn walk(
    tokens: &Prefixes,
    prepared: &Mapped,
    word: &mut Word,
    work: &Work,
    budget: &mut Budget,
    otherwise: impl Fn(usize) -> Option<Option<u32>>,
) -> Result<bool> {
    let (bytes, mut at, mut listed) = (prepared.text.as_bytes(), 0, true);
    let shown = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let mut candidates = Vec::new();
        tokens.walk(rest, work, |length, id| {
            let text = shown(rest.get(..length).unwrap_or_default());
            candidates.push((length, Candidate { id: Some(id), text, score: None, total: None, taken: false }));
        })?;
        let (length, id, how) = match candidates.last_mut() {
            Some((length, candidate)) => {
                candidate.taken = true;
                (*length, candidate.id, "")
            }
            None => match otherwise(at) {
                Some(id) => {
                    let text = shown(rest.get(..1).unwrap_or_default());
                    candidates.push((1, Candidate { id, text, score: None, total: None, taken: true }));
                    (1, id, "unknown")
                }
                None => {
                    word.choices.push(Choice { at, candidates: Vec::new() });
                    break;
                }
            },
        };
        listed = listed && budget.take(candidates.len());
        if listed {
            word.choices
                .push(Choice { at, candidates: candidates.into_iter().map(|(_, candidate)| candidate).collect() });
        }
        let part = at..at + length;
        let span = prepared.source(part.clone());
        word.tokens.extend(id.map(|id| WordToken { id, part, span, how }));
        at += length;
    }
    if !listed {
        word.leave_out(budget);
    }
    Ok(at >= bytes.len())
}
