//! Two tokenizers on the same text: where they part, and what each makes of the same stretch.

use std::ops::Range;

use super::{EncodeOptions, Tokenized, Vocabulary};
use crate::fault::Result;

/// A stretch of the text whose two ends are ends of tokens on both sides, and no smaller one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// Tokens of the first side.
    pub a: Range<usize>,
    /// Tokens of the second side.
    pub b: Range<usize>,
    /// Cut at the same places.
    pub same_cuts: bool,
    /// ... and the ids are the same too.
    pub same_ids: bool,
}

/// Where two token lists part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Byte of the text.
    pub at: usize,
    /// Character of the text.
    pub character: usize,
    /// Tokens of the first side in the stretch that differs.
    pub a: Range<usize>,
    /// Tokens of the second side.
    pub b: Range<usize>,
}

/// One text by two tokenizers.
pub struct Comparison {
    /// By the first.
    pub a: Tokenized,
    /// By the second.
    pub b: Tokenized,
    /// The text in stretches, in order.
    pub stretches: Vec<Stretch>,
}

impl Comparison {
    /// Encodes a text twice.
    ///
    /// # Errors
    /// As [`Vocabulary::encode`], of either.
    pub fn new(a: &Vocabulary, b: &Vocabulary, text: &str, options: EncodeOptions) -> Result<Self> {
        let a = Tokenized::new(a, text.to_owned(), options)?;
        let b = Tokenized::new(b, text.to_owned(), options)?;
        let stretches = stretches(&a, &b);
        Ok(Self { a, b, stretches })
    }
    /// The ids are the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.a.ids().eq(self.b.ids())
    }
    /// The first stretch that is cut at different places.
    #[must_use]
    pub fn first_cut(&self) -> Option<Difference> {
        self.difference(|stretch| !stretch.same_cuts)
    }
    /// The first stretch whose ids differ.
    #[must_use]
    pub fn first_id(&self) -> Option<Difference> {
        self.difference(|stretch| !stretch.same_ids)
    }

    fn difference(&self, differs: impl Fn(&Stretch) -> bool) -> Option<Difference> {
        let found = self.stretches.iter().find(|stretch| differs(stretch))?;
        // The first token that is not the same on both sides.
        let same = found
            .a
            .clone()
            .zip(found.b.clone())
            .take_while(|(a, b)| self.a.span(*a) == self.b.span(*b) && self.a.id(*a) == self.b.id(*b))
            .count();
        let (a, b) = (found.a.start + same..found.a.end, found.b.start + same..found.b.end);
        let at = [(&self.a, a.clone()), (&self.b, b.clone())]
            .into_iter()
            .filter_map(|(side, mut range)| range.next().map(|nth| side.span(nth).start))
            .min()
            .unwrap_or(found.span.start);
        let before = self.a.text().as_bytes().get(..at).unwrap_or_default();
        // Bytes that go on with a character count for nothing.
        let character = before.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Some(Difference { at, character, a, b })
    }
}

fn stretches(a: &Tokenized, b: &Tokenized) -> Vec<Stretch> {
    let mut all = Vec::new();
    let (mut nth_a, mut nth_b, mut start) = (0, 0, 0);
    while nth_a < a.len() || nth_b < b.len() {
        let (first_a, first_b) = (nth_a, nth_b);
        let (mut end_a, mut end_b) = (start, start);
        // Each side in turn takes tokens until both end at one place.
        loop {
            let takes_a = nth_a < a.len() && (end_a < end_b || (end_a == end_b && nth_a == first_a));
            let takes_b = nth_b < b.len() && (end_b < end_a || (end_a == end_b && nth_b == first_b));
            if takes_a {
                end_a = end_a.max(a.span(nth_a).end);
                nth_a += 1;
            } else if takes_b {
                end_b = end_b.max(b.span(nth_b).end);
                nth_b += 1;
            } else {
                break;
            }
        }
        // Tokens that end where the stretch ends (unseen spaces, the rest of a character) belong to it.
        let end = end_a.max(end_b);
        while nth_a < a.len() && a.span(nth_a).end <= end && !a.is_added(nth_a) {
            nth_a += 1;
        }
        while nth_b < b.len() && b.span(nth_b).end <= end && !b.is_added(nth_b) {
            nth_b += 1;
        }
        let (of_a, of_b) = (first_a..nth_a, first_b..nth_b);
        // Tokens that cover nothing (BOS, a space that the tokenizer adds) cut nothing.
        let spans = |side: &Tokenized, range: &Range<usize>| {
            range.clone().map(|nth| side.span(nth)).filter(|span| !span.is_empty()).collect::<Vec<_>>()
        };
        let ids = |side: &Tokenized, range: &Range<usize>| range.clone().map(|nth| side.id(nth)).collect::<Vec<_>>();
        let same_ids = ids(a, &of_a) == ids(b, &of_b);
        all.push(Stretch {
            span: start..end,
            same_cuts: spans(a, &of_a) == spans(b, &of_b),
            same_ids,
            a: of_a,
            b: of_b,
        });
        start = end;
    }
    all
}
