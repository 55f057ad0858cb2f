//! A text with its tokens, from which any stretch can be shown: a long text is shown piece by piece.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::{EncodeOptions, Piece, PieceKind, Token, Vocabulary, Wholeness, preview};
use crate::{fault::Result, model::Note};

/// An encoded text.
pub struct Tokenized {
    text: String,
    tokens: Vec<Token>,
    /// By token.
    wholeness: Vec<Wholeness>,
    /// Tokens put before and after the text.
    added: (usize, usize),
    /// Characters as people see them.
    graphemes: usize,
    roundtrips: bool,
    notes: Vec<Note>,
}

impl Tokenized {
    /// Encodes a text and keeps it.
    ///
    /// # Errors
    /// As [`Vocabulary::encode`].
    pub fn new(vocabulary: &Vocabulary, text: String, options: EncodeOptions) -> Result<Self> {
        let tokens = vocabulary.tokens(&text, options)?;
        let (roundtrips, notes) = preview::findings(vocabulary, &text, &tokens);
        let added = if options.add_special { (vocabulary.before.len(), vocabulary.after.len()) } else { (0, 0) };
        let (wholeness, graphemes) = wholeness(vocabulary, &text, &tokens);
        Ok(Self { text, tokens, wholeness, added, graphemes, roundtrips, notes })
    }
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }
    /// True without tokens.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
    /// Characters as people see them (extended grapheme clusters).
    pub fn graphemes(&self) -> usize {
        self.graphemes
    }
    /// Whether decoding the ids gives the text back.
    pub fn roundtrips(&self) -> bool {
        self.roundtrips
    }
    /// Findings about this text.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
    /// Ids in order.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.tokens.iter().map(|token| token.id)
    }
    /// The id of a token.
    pub fn id(&self, nth: usize) -> Option<u32> {
        self.tokens.get(nth).map(|token| token.id)
    }
    /// The bytes of the text that a token covers.
    pub fn span(&self, nth: usize) -> Range<usize> {
        self.tokens.get(nth).map_or(0..0, |token| token.span.clone())
    }
    /// Whether a token is a part of a character only.
    pub fn wholeness(&self, nth: usize) -> Wholeness {
        self.wholeness.get(nth).copied().unwrap_or_default()
    }
    /// Whether a token was put around the text.
    pub fn is_added(&self, nth: usize) -> bool {
        nth < self.added.0 || nth + self.added.1 >= self.len()
    }
    /// Tokens of control kind, added or written out.
    pub fn specials(&self, vocabulary: &Vocabulary) -> usize {
        self.ids().filter(|id| vocabulary.kind(*id) == PieceKind::Control).count()
    }
    /// The tokens that touch a range of the text's bytes; of an empty range the one that it stands before.
    pub fn touching(&self, bytes: Range<usize>) -> Range<usize> {
        let hits = |token: &Token| {
            let Range { start, end } = token.span;
            let is_hit = if bytes.is_empty() {
                start <= bytes.start && bytes.start < end
            } else {
                start < bytes.end && end > bytes.start
            };
            start < end && is_hit
        };
        let first = self.tokens.iter().position(hits);
        let last = self.tokens.iter().rposition(hits);
        first.zip(last).map_or(0..0, |(first, last)| first..last + 1)
    }
    /// Some of the pieces; a range beyond the end is cut.
    pub fn pieces(&self, vocabulary: &Vocabulary, range: Range<usize>) -> Vec<Piece> {
        let range = range.start.min(self.len())..range.end.min(self.len());
        range.map(|nth| self.piece(vocabulary, nth)).collect()
    }

    fn piece(&self, vocabulary: &Vocabulary, nth: usize) -> Piece {
        let Token { id, span } = self.tokens[nth].clone();
        let (kind, added) = (vocabulary.kind(id), self.is_added(nth));
        let bytes = vocabulary.token_bytes(id);
        let is_named = added || matches!(kind, PieceKind::Control | PieceKind::Unknown) || bytes.is_empty();
        let text = if is_named {
            vocabulary.token_text(id).unwrap_or_default().to_owned()
        } else {
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Piece { id, text, bytes, span, kind, wholeness: self.wholeness(nth), added }
    }
}

/// For each token whether it is cut off inside a character, and how many characters people see.
///
/// One sweep over text and tokens: their spans begin in order.
fn wholeness(vocabulary: &Vocabulary, text: &str, tokens: &[Token]) -> (Vec<Wholeness>, usize) {
    let mut ends = text.grapheme_indices(true).map(|(at, grapheme)| at + grapheme.len());
    let (mut graphemes, mut start, mut end) = (0, 0, 0);
    let mut cut_at = |at: usize| {
        while end < at {
            let Some(next) = ends.next() else { break };
            (start, end) = (end, next);
            graphemes += 1;
        }
        // Ends of spans may go back a little; what lies before this grapheme is then unknown, and taken for whole.
        at > start && at < end
    };
    let mut all = Vec::with_capacity(tokens.len());
    for Token { id, span } in tokens {
        let is_inside = cut_at(span.start) | cut_at(span.end);
        let is_cut = !text.is_char_boundary(span.start) || !text.is_char_boundary(span.end);
        let is_half = || !vocabulary.table.is_whole(*id);
        all.push(match () {
            () if span.is_empty() => Wholeness::Whole,
            () if is_cut || is_half() => Wholeness::OfCharacter,
            () if is_inside => Wholeness::OfGrapheme,
            () => Wholeness::Whole,
        });
    }
    cut_at(text.len());
    (all, graphemes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_has_the_tokens_that_it_touches_and_a_caret_the_one_behind_it() {
        let tokens = [0..0, 0..3, 3..4, 4..8, 8..8].map(|span| Token { id: 0, span });
        let text = Tokenized {
            text: "12345678".into(),
            tokens: tokens.into(),
            wholeness: Vec::new(),
            added: (1, 1),
            graphemes: 8,
            roundtrips: true,
            notes: Vec::new(),
        };
        assert_eq!(text.touching(0..8), 1..4);
        assert_eq!(text.touching(2..4), 1..3);
        assert_eq!(text.touching(3..3), 2..3);
        assert_eq!(text.touching(8..8), 0..0);
        assert_eq!(text.touching(900..1000), 0..0);
    }
}
