//! SentencePiece BPE (`llama` in GGUF): the pair that forms the best-scored token merges first.
//!
//! Not built on the `tokenizers` crate's BPE: that ranks merges by their order, but real
//! vocabularies hold tokens of equal score (Llama 2 has 15, Baichuan 353), and among equals
//! SentencePiece and llama.cpp take the leftmost pair. Source: llama.cpp,
//! `llm_tokenizer_spm_session` in `src/llama-vocab.cpp`.

use std::{cmp::Ordering, collections::BinaryHeap, ops::Range};

use super::{
    Token,
    bpe::Found,
    mapped::Mapped,
    memo::Shared,
    meta::{Cut, Stretch},
    sentence::Preparation,
    table::Table,
};
use crate::fault::Result;

/// The character that stands for a space.
pub(super) const SPACE: char = '▁';

/// The merging half of a SentencePiece vocabulary.
#[derive(Debug)]
pub(super) struct Spm {
    /// By id; higher merges first.
    pub scores: Vec<f32>,
    /// Token of each byte.
    pub bytes: Box<[Option<u32>; 256]>,
    /// Stands for characters that have neither token nor byte tokens.
    pub unknown: Option<u32>,
    /// Text after the start or after a special token gets a leading space.
    pub add_space_prefix: bool,
    /// Set where sentencepiece's own rules hold, not llama.cpp's.
    pub preparation: Option<Box<Preparation>>,
    /// Whether text may be cut before spaces.
    pub cut: Cut,
    pub memo: Shared,
}

/// A stretch of the escaped text; empty once merged into its left neighbour.
struct Symbol {
    span: Range<usize>,
    frozen: bool,
    before: Option<usize>,
    after: Option<usize>,
}

/// Each character as a unit that may merge.
fn characters(text: &str) -> Vec<(Range<usize>, bool)> {
    text.char_indices().map(|(at, c)| (at..at + c.len_utf8(), false)).collect()
}

/// Two neighbours that together are a token. `end` tells whether they still are what they were.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    end: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left)).then(other.end.cmp(&self.end))
    }
}
impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Pair {}

impl Spm {
    /// Text may be cut before a run of spaces if no token reaches across: two parts merge only to a token.
    pub(super) fn cut(table: &Table) -> Cut {
        let crosses = |text: &str| text.trim_start_matches(SPACE).contains(SPACE);
        // Also a run of spaces may have something before it.
        let is_safe = table.entries().iter().all(|entry| !crosses(&entry.text));
        if is_safe { Cut::Runs } else { Cut::No }
    }

    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    ///
    /// # Errors
    /// None of its own.
    pub(super) fn encode(&self, table: &Table, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        if let Some(preparation) = &self.preparation {
            return self.encode_natively(table, &preparation.run(text, base), preparation, out);
        }
        let stretch = Stretch { text, base, is_prefixed: self.add_space_prefix, cut: self.cut };
        self.memo.with(|memo| {
            stretch.encode(memo, out, &|spelt, found| {
                let symbols = self.merge(table, spelt, characters(spelt));
                symbols.iter().filter(|symbol| !symbol.span.is_empty()).for_each(|symbol| {
                    self.emit(table, &spelt[symbol.span.clone()], symbol.span.start as u32, found);
                });
                Ok(())
            })
        })
    }

    /// The token of a merged symbol, or its bytes, or the unknown token, or nothing.
    fn emit(&self, table: &Table, piece: &str, start: u32, found: &mut Vec<Found>) {
        let whole = |id| Found { id, start, end: start + piece.len() as u32 };
        if let Some(id) = table.id_of(piece) {
            found.push(whole(id));
            return;
        }
        let bytes: Option<Vec<u32>> = piece.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        match (bytes, self.unknown) {
            (Some(ids), _) => {
                found.extend(ids.into_iter().zip(start..).map(|(id, at)| Found { id, start: at, end: at + 1 }));
            }
            (None, Some(id)) => found.push(whole(id)),
            (None, None) => {}
        }
    }

    /// As sentencepiece does it.
    fn encode_natively(
        &self,
        table: &Table,
        prepared: &Mapped,
        preparation: &Preparation,
        out: &mut Vec<Token>,
    ) -> Result<()> {
        let native = |spelt: &str, found: &mut Vec<Found>| self.native(table, spelt, preparation, found);
        let mut tokens = Vec::new();
        self.memo.with(|memo| {
            if preparation.escape {
                let stretch = Stretch { text: &prepared.text, base: 0, is_prefixed: false, cut: self.cut };
                stretch.encode(memo, &mut tokens, &native)
            } else {
                // Spaces are no `▁` here.
                memo.tokens(prepared.text.as_bytes(), 0, &mut tokens, &|_, found| native(&prepared.text, found))
            }
        })?;
        out.extend(tokens.into_iter().map(|token| Token { id: token.id, span: prepared.source(token.span) }));
        Ok(())
    }

    /// User-defined tokens are whole from the start, and a run of unknown characters is one token.
    fn native(&self, table: &Table, text: &str, preparation: &Preparation, found: &mut Vec<Found>) -> Result<()> {
        let symbols = self.merge(table, text, preparation.units(text));
        let mut unknown: Option<Found> = None;
        for symbol in symbols.iter().filter(|symbol| !symbol.span.is_empty()) {
            let piece = &text[symbol.span.clone()];
            let (start, end) = (symbol.span.start as u32, symbol.span.end as u32);
            let bytes: Option<Vec<u32>> = piece.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
            match (table.id_of(piece), bytes) {
                (Some(id), _) => {
                    found.extend(unknown.take());
                    found.push(Found { id, start, end });
                }
                (None, Some(ids)) => {
                    found.extend(unknown.take());
                    found.extend(ids.into_iter().zip(start..).map(|(id, at)| Found { id, start: at, end: at + 1 }));
                }
                (None, None) => {
                    let start = unknown.map_or(start, |before| before.start);
                    unknown = self.unknown.map(|id| Found { id, start, end });
                }
            }
        }
        found.extend(unknown);
        Ok(())
    }

    /// Merges a text that starts as these units, of which frozen ones stay as they are.
    fn merge(&self, table: &Table, text: &str, units: Vec<(Range<usize>, bool)>) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = units
            .into_iter()
            .enumerate()
            .map(|(nth, (span, frozen))| Symbol { span, frozen, before: nth.checked_sub(1), after: Some(nth + 1) })
            .collect();
        if let Some(last) = symbols.last_mut() {
            last.after = None;
        }
        let mut queue = BinaryHeap::new();
        for right in 1..symbols.len() {
            self.consider(table, text, &symbols, right - 1, right, &mut queue);
        }
        while let Some(Pair { left, right, end, .. }) = queue.pop() {
            let is_stale =
                symbols[left].span.is_empty() || symbols[right].span.is_empty() || symbols[right].span.end != end;
            if is_stale || symbols[left].after != Some(right) {
                continue;
            }
            symbols[left].span.end = end;
            symbols[left].after = symbols[right].after;
            symbols[right].span = end..end;
            if let Some(after) = symbols[left].after {
                symbols[after].before = Some(left);
                self.consider(table, text, &symbols, left, after, &mut queue);
            }
            if let Some(before) = symbols[left].before {
                self.consider(table, text, &symbols, before, left, &mut queue);
            }
        }
        symbols
    }

    fn consider(
        &self,
        table: &Table,
        text: &str,
        symbols: &[Symbol],
        left: usize,
        right: usize,
        queue: &mut BinaryHeap<Pair>,
    ) {
        if symbols[left].frozen || symbols[right].frozen {
            return;
        }
        let (start, end) = (symbols[left].span.start, symbols[right].span.end);
        if let Some(id) = table.id_of(&text[start..end]) {
            let score = self.scores.get(id as usize).copied().unwrap_or(0.0);
            queue.push(Pair { score, left, right, end });
        }
    }
}
