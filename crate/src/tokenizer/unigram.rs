//! Unigram (`t5` in GGUF; SentencePiece's .model): of all ways to cut a text the likeliest.
//!
//! Sources: llama.cpp, `llm_tokenizer_ugm_session` in `src/llama-vocab.cpp` (sums in double
//! precision); sentencepiece, `Model::EncodeOptimized` in `src/unigram_model.cc` (sums in single).

use std::ops::Range;

use super::{
    Token,
    mapped::Mapped,
    prefixes::{Prefixes, Work},
    sentence::Preparation,
};
use crate::fault::Result;

/// How Unigram vocabularies encode.
#[derive(Debug)]
pub(super) struct Unigram {
    pub preparation: Preparation,
    /// Normal, user-defined and unused tokens.
    pub tokens: Prefixes,
    /// Log probability by id.
    pub scores: Vec<f64>,
    /// Scores of user-defined tokens by length in bytes; none for all others.
    pub user_defined: Vec<bool>,
    pub unknown: Option<u32>,
    pub unknown_score: f64,
    /// As sentencepiece itself does it: sums in single precision, longer user-defined tokens first, bytes for what is unknown.
    pub native: bool,
    /// The best score, which sentencepiece gives to each byte of a user-defined token.
    pub best_score: f32,
    /// Token of each byte, where unknown characters become bytes.
    pub bytes: Option<Box<[u32; 256]>>,
}

/// One token on the likeliest way to a place.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    from: usize,
    id: Option<u32>,
    score: f64,
}

/// One token of the likeliest way, for people.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// Bytes of the prepared text.
    pub part: Range<usize>,
    /// The token; none where the character is unknown.
    pub id: Option<u32>,
    /// Its own score.
    pub score: f64,
    /// The sum of the scores so far.
    pub sum: f64,
}

impl Unigram {
    /// How much less likely than the least likely token an unknown character is.
    pub(super) const UNKNOWN_PENALTY: f64 = 10.0;

    /// The score of unknown characters, from those of the normal tokens.
    pub(super) fn unknown_score(scores: impl Iterator<Item = f32>) -> f64 {
        let least = scores.fold(f32::MAX, f32::min);
        f64::from(least - Self::UNKNOWN_PENALTY as f32)
    }

    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    pub(super) fn encode(&self, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        let prepared = self.preparation.run(text, base);
        let mut unknown: Option<Range<usize>> = None;
        for step in self.way(&prepared.text)? {
            let span = prepared.source(step.part.clone());
            if let Some(id) = step.id {
                self.emit_unknown(&prepared, unknown.take(), out);
                out.push(Token { id, span });
            } else {
                unknown = Some(unknown.map_or(step.part.start, |before| before.start)..step.part.end);
            }
        }
        self.emit_unknown(&prepared, unknown, out);
        Ok(())
    }

    /// A run of unknown characters is one unknown token, or its bytes.
    fn emit_unknown(&self, prepared: &Mapped, part: Option<Range<usize>>, out: &mut Vec<Token>) {
        let Some(part) = part else { return };
        match (&self.bytes, self.unknown) {
            (Some(bytes), _) => out.extend(part.map(|at| Token {
                id: bytes[usize::from(prepared.text.as_bytes()[at])],
                span: prepared.source(at..at + 1),
            })),
            (None, Some(id)) => out.push(Token { id, span: prepared.source(part) }),
            (None, None) => {}
        }
    }

    /// The likeliest way through a prepared text.
    pub(super) fn way(&self, text: &str) -> Result<Vec<Step>> {
        let work = Work::on(text.len());
        let mut arrivals = vec![Arrival { from: 0, id: None, score: f64::NEG_INFINITY }; text.len() + 1];
        arrivals[0].score = 0.0;
        let sum = |before: f64, score: f64| {
            let sum = before + score;
            if self.native { f64::from(sum as f32) } else { sum }
        };
        for (at, c) in text.char_indices() {
            let here = arrivals[at].score;
            let mut is_known = false;
            let rest = &text.as_bytes()[at..];
            self.tokens.walk(rest, &work, |length, id| {
                is_known |= length == c.len_utf8();
                let score = sum(here, self.score(id, length));
                if let Some(arrival) = arrivals.get_mut(at + length).filter(|arrival| score > arrival.score) {
                    *arrival = Arrival { from: at, id: Some(id).filter(|id| Some(*id) != self.unknown), score };
                }
            })?;
            let score = sum(here, self.unknown_score);
            let end = at + c.len_utf8();
            if !is_known && score > arrivals[end].score {
                arrivals[end] = Arrival { from: at, id: None, score };
            }
        }
        let mut steps = Vec::new();
        let mut end = text.len();
        while let Some(arrival) = arrivals.get(end).filter(|arrival| arrival.from < end) {
            let before = arrivals[arrival.from].score;
            let (part, score) = (arrival.from..end, arrival.score - before);
            steps.push(Step { part, id: arrival.id, score, sum: arrival.score });
            end = arrival.from;
        }
        steps.reverse();
        Ok(steps)
    }

    /// The score of a token of so many bytes.
    pub(super) fn score(&self, id: u32, length: usize) -> f64 {
        let is_user_defined = self.user_defined.get(id as usize).copied().unwrap_or(false);
        match (is_user_defined, self.native) {
            (true, true) => f64::from(length as f32 * self.best_score - 0.1),
            (true, false) => 0.0,
            (false, _) => self.scores.get(id as usize).copied().unwrap_or(0.0),
        }
    }
}
