//! SentencePiece BPE (`llama` in GGUF): the pair that forms the best-scored token merges first.
//!
//! Not built on the `tokenizers` crate's BPE: that ranks merges by their order, but real
//! vocabularies hold tokens of equal score (Llama 2 has 15, Baichuan 353), and among equals
//! SentencePiece and llama.cpp take the leftmost pair. Source: llama.cpp,
//! `llm_tokenizer_spm_session` in `src/llama-vocab.cpp`.

use std::{cmp::Ordering, collections::BinaryHeap, ops::Range};

use super::{Token, mapped::Mapped, sentence::Preparation, table::Table};

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
    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    pub(super) fn encode(&self, table: &Table, text: &str, base: usize, out: &mut Vec<Token>) {
        if text.is_empty() {
            return;
        }
        if let Some(preparation) = &self.preparation {
            return self.encode_natively(table, &preparation.run(text, base), preparation, out);
        }
        let prefix = if self.add_space_prefix { SPACE.len_utf8() } else { 0 };
        let escaped: String = (prefix > 0)
            .then_some(SPACE)
            .into_iter()
            .chain(text.chars().map(|c| if c == ' ' { SPACE } else { c }))
            .collect();
        let symbols = self.merge(table, &escaped, characters(&escaped));
        // Each escaped space is two bytes longer than the space that it stands for.
        let mut at = base;
        let mut source = text.bytes();
        for (nth, symbol) in symbols.iter().filter(|symbol| !symbol.span.is_empty()).enumerate() {
            let piece = &escaped[symbol.span.clone()];
            let own = if nth == 0 { &piece[prefix..] } else { piece };
            let start = at;
            for c in own.chars() {
                let wide = source.next() != Some(b' ') && c.len_utf8() > 1;
                if wide {
                    source.nth(c.len_utf8() - 2);
                }
                at += if wide { c.len_utf8() } else { 1 };
            }
            self.emit(table, piece, start..at, out);
        }
    }

    /// The token of a merged symbol, or its bytes, or the unknown token, or nothing.
    fn emit(&self, table: &Table, piece: &str, span: Range<usize>, out: &mut Vec<Token>) {
        if let Some(id) = table.id_of(piece) {
            out.push(Token { id, span });
            return;
        }
        let bytes: Option<Vec<u32>> = piece.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        match (bytes, self.unknown) {
            (Some(ids), _) if ids.len() == span.len() => {
                out.extend(ids.into_iter().zip(span).map(|(id, at)| Token { id, span: at..at + 1 }));
            }
            // An escaped space: three bytes that stand for one.
            (Some(ids), _) => out.extend(ids.into_iter().map(|id| Token { id, span: span.clone() })),
            (None, Some(id)) => out.push(Token { id, span }),
            (None, None) => {}
        }
    }

    /// As sentencepiece does it: user-defined tokens are whole from the start, and a run of unknown characters is one token.
    fn encode_natively(&self, table: &Table, prepared: &Mapped, preparation: &Preparation, out: &mut Vec<Token>) {
        let symbols = self.merge(table, &prepared.text, preparation.units(&prepared.text));
        let mut unknown: Option<Range<usize>> = None;
        let finish = |unknown: &mut Option<Range<usize>>, out: &mut Vec<Token>| {
            if let (Some(part), Some(id)) = (unknown.take(), self.unknown) {
                out.push(Token { id, span: prepared.source(part) });
            }
        };
        for symbol in symbols.iter().filter(|symbol| !symbol.span.is_empty()) {
            let piece = &prepared.text[symbol.span.clone()];
            let bytes: Option<Vec<u32>> = piece.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
            match (table.id_of(piece), bytes) {
                (Some(id), _) => {
                    finish(&mut unknown, out);
                    out.push(Token { id, span: prepared.source(symbol.span.clone()) });
                }
                (None, Some(ids)) => {
                    finish(&mut unknown, out);
                    let places = symbol.span.clone().map(|at| prepared.source(at..at + 1));
                    out.extend(ids.into_iter().zip(places).map(|(id, span)| Token { id, span }));
                }
                (None, None) => {
                    unknown = Some(unknown.map_or(symbol.span.start, |before| before.start)..symbol.span.end);
                }
            }
        }
        finish(&mut unknown, out);
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
