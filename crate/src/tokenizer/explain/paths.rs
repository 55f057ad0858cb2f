//! Kinds that search the best way through a text.

use std::ops::Range;

use super::{
    super::{
        mapped::Mapped,
        plamo2::{self, Plamo2},
        prefixes::Work,
        unigram::Unigram,
    },
    Budget, Candidate, Choice, Word, WordToken,
    bpe::Words,
};
use crate::fault::Result;

/// Unigram, in llama.cpp's way or SentencePiece's own.
pub(super) fn unigram(unigram: &Unigram, text: &str, base: usize, budget: &mut Budget) -> Result<Words> {
    let prepared = unigram.preparation.run(text, base);
    let mut word = Word::of(&prepared, 0..prepared.text.len());
    let work = Work::on(prepared.text.len());
    let (mut before, mut listed) = (0.0, true);
    for step in unigram.way(&prepared.text)? {
        let rest = prepared.text.as_bytes().get(step.part.start..).unwrap_or_default();
        let mut candidates = Vec::new();
        unigram.tokens.walk(rest, &work, |length, id| {
            let score = unigram.score(id, length);
            let text = String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).into_owned();
            let taken = step.part.len() == length && (step.id == Some(id) || Some(id) == unigram.unknown);
            candidates.push(Candidate { id: Some(id), text, score: Some(score), total: Some(before + score), taken });
        })?;
        if !candidates.iter().any(|candidate| candidate.taken) {
            let text = prepared.text.get(step.part.clone()).unwrap_or_default().to_owned();
            candidates.push(Candidate { id: None, text, score: Some(step.score), total: Some(step.sum), taken: true });
        }
        listed = listed && budget.take(candidates.len());
        if listed {
            word.choices.push(Choice { at: step.part.start, candidates });
        }
        before = step.sum;
        match step.id {
            Some(id) => word.tokens.push(token(&prepared, id, step.part, "")),
            None => unknown(&mut word, &prepared, step.part, unigram),
        }
    }
    if !listed {
        word.leave_out(budget);
    }
    let words = if word.text.is_empty() { Vec::new() } else { vec![word] };
    Ok((vec![prepared], words))
}

fn token(prepared: &Mapped, id: u32, part: Range<usize>, how: &'static str) -> WordToken {
    WordToken { id, span: prepared.source(part.clone()), part, how }
}

/// A run of unknown characters is one token, or its bytes.
fn unknown(word: &mut Word, prepared: &Mapped, part: Range<usize>, unigram: &Unigram) {
    if let Some(bytes) = &unigram.bytes {
        let text = prepared.text.as_bytes();
        word.tokens.extend(part.filter_map(|at| {
            let id = bytes[usize::from(*text.get(at)?)];
            Some(token(prepared, id, at..at + 1, "byte"))
        }));
        return;
    }
    let Some(id) = unigram.unknown else { return };
    match word.tokens.last_mut() {
        Some(last) if last.how == "unknown" && last.part.end == part.start => {
            *last = token(prepared, id, last.part.start..part.end, "unknown");
        }
        _ => word.tokens.push(token(prepared, id, part, "unknown")),
    }
}

/// PLaMo 2: the search goes from the end of the text to its start.
pub(super) fn plamo2(plamo2: &Plamo2, text: &str, base: usize, budget: &mut Budget) -> Result<Words> {
    let skipped = if text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
    let (text, base) = (text.get(skipped..).unwrap_or_default(), base + skipped);
    let mut prepared = Mapped::default();
    prepared.push(text, base..base + text.len());
    let mut word = Word::of(&prepared, 0..text.len());
    let work = Work::on(text.len());
    // By byte: the sum of scores of the best way from here to the end, and all ways to go on.
    let mut sums = vec![0_i64; text.len() + 1];
    let mut ways: Vec<Vec<(usize, Option<u32>, i64)>> = vec![Vec::new(); text.len()];
    for (at, c) in text.char_indices().rev() {
        let mut here = Vec::new();
        plamo2.tokens.walk(text.as_bytes().get(at..).unwrap_or_default(), &work, |length, id| {
            let score = plamo2.scores.get(id as usize).copied().flatten();
            here.extend(score.filter(|score| *score > plamo2::INVALID).map(|score| (length, Some(id), score)));
        })?;
        // The longest first, bytes last: of equal sums the first one is taken.
        here.reverse();
        here.push((c.len_utf8(), None, plamo2::UNKNOWN));
        let total = |way: &(usize, Option<u32>, i64)| sums.get(at + way.0).copied().unwrap_or(0).saturating_add(way.2);
        let mut best = 0;
        for nth in 1..here.len() {
            if total(&here[nth]) > total(&here[best]) {
                best = nth;
            }
        }
        sums[at] = total(&here[best]);
        here.swap(0, best);
        ways[at] = here;
    }
    let (mut at, mut listed) = (0, true);
    while let Some((length, id, _)) = ways.get(at).and_then(|ways| ways.first()).copied() {
        let units = |score: i64| score as f64 / 1e4;
        let candidates: Vec<Candidate> = ways[at]
            .iter()
            .enumerate()
            .map(|(nth, (length, id, score))| Candidate {
                id: *id,
                text: text.get(at..at + length).unwrap_or_default().to_owned(),
                score: Some(units(*score)),
                total: Some(units(sums.get(at + length).copied().unwrap_or(0).saturating_add(*score))),
                taken: nth == 0,
            })
            .collect();
        listed = listed && budget.take(candidates.len());
        if listed {
            word.choices.push(Choice { at, candidates });
        }
        let part = at..at + length;
        match id {
            Some(id) => word.tokens.push(token(&prepared, id, part, "")),
            None => word.tokens.extend(part.filter_map(|at| {
                let id = plamo2.bytes[usize::from(*text.as_bytes().get(at)?)];
                Some(token(&prepared, id, at..at + 1, "byte"))
            })),
        }
        at += length;
    }
    if !listed {
        word.leave_out(budget);
    }
    let words = if word.text.is_empty() { Vec::new() } else { vec![word] };
    Ok((Vec::new(), words))
}
