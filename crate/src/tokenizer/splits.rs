//! How text is cut before it is encoded: rules applied in turn, each to the pieces that the one before it left.

use std::ops::Range;

use fancy_regex::Regex;

use super::{
    limits,
    splitters::{self, Digits},
    words::Words,
};
use crate::fault::{Fault, Result};

/// One rule, ready to run. A match becomes a piece, and so does what lies between matches.
pub(super) enum Split {
    /// A pattern that is written out.
    Words(Words),
    /// Any other.
    Regex(Regex),
    Digits(Digits),
    /// Each numeric character alone.
    Numeric,
}

impl Split {
    /// A pattern's rule.
    pub(super) fn of(pattern: &str) -> Result<Self, fancy_regex::Error> {
        match Words::of(pattern) {
            Some(words) => Ok(Self::Words(words)),
            None => Regex::new(pattern).map(Self::Regex),
        }
    }
}

/// Calls back with every piece in order; together they are the whole text.
pub(super) fn split(
    splits: &[Split],
    text: &str,
    piece: Range<usize>,
    each: &mut dyn FnMut(Range<usize>) -> Result<()>,
) -> Result<()> {
    if piece.is_empty() {
        return Ok(());
    }
    let Some((first, rest)) = splits.split_first() else { return each(piece) };
    let part = &text[piece.clone()];
    let base = piece.start;
    let mut finer = |found: Range<usize>| split(rest, text, base + found.start..base + found.end, each);
    match first {
        Split::Words(words) => words.split(part, |start, end| finer(start..end)),
        Split::Regex(regex) => {
            limits::check_spaces(part)?;
            let mut done = 0;
            for found in regex.find_iter(part) {
                let found = found.map_err(|e| {
                    Fault::limit(format!("the pre-tokenizer's regular expression gave up on this text: {e}"))
                })?;
                finer(done..found.start())?;
                finer(found.range())?;
                done = found.end();
            }
            finer(done..part.len())
        }
        Split::Digits(how) => splitters::group(part, *how).into_iter().try_for_each(finer),
        Split::Numeric => {
            let mut done = 0;
            for (at, c) in part.char_indices().filter(|(_, c)| c.is_numeric()) {
                finer(done..at)?;
                finer(at..at + c.len_utf8())?;
                done = at + c.len_utf8();
            }
            finer(done..part.len())
        }
    }
}

/// All pieces in order.
pub(super) fn pieces(splits: &[Split], text: &str) -> Result<Vec<Range<usize>>> {
    let mut pieces = Vec::new();
    split(splits, text, 0..text.len(), &mut |piece| {
        pieces.push(piece);
        Ok(())
    })?;
    Ok(pieces)
}
