//! PLaMo 2 (`plamo2` in GGUF): of all ways to cut a text the one of the highest score.
//!
//! Source: llama.cpp, `llm_tokenizer_plamo2` in `src/llama-vocab.cpp`. Its suffix table finds, at
//! each place, the tokens that the text goes on with; the sorted list here finds the same.

use super::{
    Token,
    prefixes::{Prefixes, Work},
};
use crate::fault::Result;

/// Score of a character without a token, which then becomes bytes.
pub(super) const UNKNOWN: i64 = -10_000_000;
/// Tokens of this score or less are never taken.
pub(super) const INVALID: i64 = -20_000_000;

/// How `plamo2` vocabularies encode.
#[derive(Debug)]
pub(super) struct Plamo2 {
    /// All but the byte tokens.
    pub tokens: Prefixes,
    /// By id, in ten-thousandths; none where it is not finite.
    pub scores: Vec<Option<i64>>,
    /// Token of each byte.
    pub bytes: Box<[u32; 256]>,
}

/// A score as the search counts it.
pub(super) fn scaled(score: f32) -> Option<i64> {
    // C++ converts to i32 here, so larger scores saturate at its ends on the machines that matter.
    score.is_finite().then(|| i64::from((score * 1e4).round() as i32))
}

impl Plamo2 {
    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    pub(super) fn encode(&self, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        let work = Work::on(text.len());
        let skipped = if text.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
        let (text, base) = (&text[skipped..], base + skipped);
        // By byte: cost of the cheapest way from here to the end, and its first token (none: bytes).
        let mut costs = vec![0_i64; text.len() + 1];
        let mut steps = vec![(0_usize, None); text.len()];
        let mut candidates = Vec::new();
        for (at, c) in text.char_indices().rev() {
            candidates.clear();
            self.tokens.walk(&text.as_bytes()[at..], &work, |length, id| candidates.push((length, id)))?;
            let mut best: Option<(i64, usize, Option<u32>)> = None;
            let mut offer = |cost: i64, length: usize, id: Option<u32>| {
                if best.is_none_or(|(least, ..)| cost < least) {
                    best = Some((cost, length, id));
                }
            };
            for (length, id) in candidates.iter().rev() {
                let score = self.scores.get(*id as usize).copied().flatten().filter(|score| *score > INVALID);
                if let Some(score) = score {
                    offer(costs[at + length] - score, *length, Some(*id));
                }
            }
            offer(costs[at + c.len_utf8()] - UNKNOWN, c.len_utf8(), None);
            if let Some((cost, length, id)) = best {
                costs[at] = cost;
                steps[at] = (length, id);
            }
        }
        let mut at = 0;
        while let Some((length, id)) = steps.get(at).filter(|(length, _)| *length > 0) {
            match id {
                Some(id) => out.push(Token { id: *id, span: base + at..base + at + length }),
                None => out.extend((at..at + length).map(|nth| Token {
                    id: self.bytes[usize::from(text.as_bytes()[nth])],
                    span: base + nth..base + nth + 1,
                })),
            }
            at += length;
        }
        Ok(())
    }
}
