//! Byte-level BPE (`gpt2` in GGUF): regexes split, the `tokenizers` crate merges.

use std::ops::Range;

use fancy_regex::Regex;
use tokenizers::{Model, models::bpe::BPE};

use super::{Token, alphabet};
use crate::fault::{Fault, Result};

/// The merging half of a byte-level vocabulary.
pub(super) struct ByteBpe {
    /// Applied in turn.
    pub splits: Vec<Regex>,
    /// Over the byte alphabet.
    pub model: BPE,
}

impl ByteBpe {
    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    ///
    /// Bytes without a token are left out, as llama.cpp leaves them out; the spans show it.
    pub(super) fn encode(&self, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        let mut spelt = String::new();
        for piece in self.split(text)? {
            let bytes = &text.as_bytes()[piece.clone()];
            spelt.clear();
            spelt.extend(bytes.iter().map(|byte| alphabet::to_char(*byte)));
            let tokens = self.model.tokenize(&spelt).map_err(|e| Fault::unsupported(format!("cannot merge: {e}")))?;
            let (mut rest, mut at) = (spelt.as_str(), base + piece.start);
            for token in tokens {
                // The crate's own offsets shift where a byte has no token, so the text is followed instead.
                while !rest.starts_with(&token.value) {
                    let mut chars = rest.chars();
                    if chars.next().is_none() {
                        return Err(Fault::bug(format!("token {:?} is not in {spelt:?}", token.value)));
                    }
                    (rest, at) = (chars.as_str(), at + 1);
                }
                let end = at + token.value.chars().count();
                out.push(Token { id: token.id, span: at..end });
                (rest, at) = (&rest[token.value.len()..], end);
            }
        }
        Ok(())
    }

    /// Pieces in order; together they are the whole text.
    fn split(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let mut pieces: Vec<_> = std::iter::once(0..text.len()).collect();
        for regex in &self.splits {
            let mut finer = Vec::with_capacity(pieces.len() * 2);
            for piece in pieces {
                let mut done = piece.start;
                for found in regex.find_iter(&text[piece.clone()]) {
                    let found = found.map_err(|e| {
                        Fault::limit(format!("the pre-tokenizer's regular expression gave up on this text: {e}"))
                    })?;
                    let (start, end) = (piece.start + found.start(), piece.start + found.end());
                    finer.extend([done..start, start..end].into_iter().filter(|r| !r.is_empty()));
                    done = end;
                }
                finer.extend(Some(done..piece.end).filter(|r| !r.is_empty()));
            }
            pieces = finer;
        }
        Ok(pieces)
    }
}
