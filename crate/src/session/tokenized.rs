//! A text that was tokenized, kept so that its tokens can be looked at a few at a time.

use std::ops::Range;

use crate::tokenizer::{Piece, Preview};

/// The tokens of a text, in the order of their places in it.
#[derive(Debug, Clone, Default)]
pub struct Tokenized {
    pieces: Vec<Piece>,
}

impl From<Preview> for Tokenized {
    fn from(preview: Preview) -> Self {
        Self { pieces: preview.pieces }
    }
}

impl Tokenized {
    /// At most `count` tokens from number `from` on.
    pub fn pieces(&self, from: usize, count: usize) -> &[Piece] {
        let from = from.min(self.pieces.len());
        let end = from.saturating_add(count).min(self.pieces.len());
        self.pieces.get(from..end).unwrap_or_default()
    }
    /// All ids.
    pub fn ids(&self) -> Vec<u32> {
        self.pieces.iter().map(|piece| piece.id).collect()
    }
    /// The tokens that touch a range of the text's bytes; of an empty range the one that it stands before.
    pub fn touching(&self, bytes: Range<usize>) -> Range<usize> {
        let hits = |piece: &Piece| {
            let Range { start, end } = piece.span;
            let is_caret = bytes.start == bytes.end;
            start < end
                && if is_caret {
                    start <= bytes.start && bytes.start < end
                } else {
                    start < bytes.end && end > bytes.start
                }
        };
        let first = self.pieces.iter().position(hits);
        let last = self.pieces.iter().rposition(hits);
        first.zip(last).map_or(0..0, |(first, last)| first..last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::PieceKind;

    fn tokenized(spans: &[Range<usize>]) -> Tokenized {
        let piece = |(id, span): (usize, &Range<usize>)| Piece {
            id: id as u32,
            text: String::new(),
            bytes: Vec::new(),
            span: span.clone(),
            kind: PieceKind::Normal,
        };
        Tokenized { pieces: spans.iter().enumerate().map(piece).collect() }
    }

    #[test]
    fn a_selection_has_the_tokens_that_it_touches_and_a_caret_the_one_behind_it() {
        let text = tokenized(&[0..0, 0..3, 3..4, 4..8, 8..8]);
        assert_eq!(text.touching(0..8), 1..4);
        assert_eq!(text.touching(2..4), 1..3);
        assert_eq!(text.touching(3..3), 2..3);
        assert_eq!(text.touching(8..8), 0..0);
        assert_eq!(text.touching(900..1000), 0..0);
    }

    #[test]
    fn any_part_of_the_list_may_be_asked_for() {
        let text = tokenized(&[0..1, 1..2, 2..3]);
        let ids = |from, count| text.pieces(from, count).iter().map(|piece| piece.id).collect::<Vec<_>>();
        assert_eq!(ids(1, 1), [1]);
        assert_eq!(ids(1, usize::MAX), [1, 2]);
        assert_eq!(ids(7, 2), Vec::<u32>::new());
        assert_eq!(text.ids(), [0, 1, 2]);
    }
}
