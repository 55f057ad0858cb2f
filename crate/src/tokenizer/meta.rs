//! Text in which spaces are written `▁`, cut where pieces may be encoded alone.

use super::{Token, bpe::Found, memo::Memo};
use crate::fault::Result;

/// The character that stands for a space.
pub(super) const META: char = '▁';

/// Where a stretch is cut; `▁` is a space too, written or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nowhere.
    No,
    /// Before every run of spaces: no token of the vocabulary reaches across.
    Runs,
    /// Before every space.
    Each,
}

/// A stretch of text.
pub(super) struct Stretch<'a> {
    pub text: &'a str,
    /// Its first byte in the whole text.
    pub base: usize,
    /// Whether a space goes before it.
    pub is_prefixed: bool,
    pub cut: Cut,
}

/// How a piece, spelt with `▁`, becomes tokens.
pub(super) type Encode<'a> = dyn Fn(&str, &mut Vec<Found>) -> Result<()> + 'a;

impl Stretch<'_> {
    /// Appends its tokens.
    pub(super) fn encode(&self, memo: &mut Memo, out: &mut Vec<Token>, encode: &Encode) -> Result<()> {
        let bytes = self.text.as_bytes();
        let mut start = 0;
        // The space that goes before the stretch is a part of its first piece.
        let (mut after_space, mut is_headless) = (self.is_prefixed, self.is_prefixed);
        let mut finish = |start: usize, end: usize| -> Result<()> {
            let (part, base) = (&self.text[start..end], self.base + start);
            if !std::mem::take(&mut is_headless) {
                return piece(memo, part, base, out, encode);
            }
            let first = out.len();
            piece(memo, &format!(" {part}"), base, out, encode)?;
            for Token { span, .. } in &mut out[first..] {
                *span = span.start.saturating_sub(1).max(base)..span.end.saturating_sub(1).max(base);
            }
            Ok(())
        };
        let mut at = 0;
        while at < bytes.len() {
            let (length, is_space) = match bytes[at] {
                b' ' => (1, true),
                // The first byte of `▁`.
                0xE2 if bytes[at..].starts_with("▁".as_bytes()) => (META.len_utf8(), true),
                _ => (1, false),
            };
            let begins = is_space && (self.cut == Cut::Each || (self.cut == Cut::Runs && !after_space));
            if begins && (at > start || (self.is_prefixed && at == 0)) {
                finish(start, at)?;
                start = at;
            }
            after_space = is_space;
            at += length;
        }
        if start < bytes.len() {
            finish(start, bytes.len())?;
        }
        Ok(())
    }
}

/// Appends the tokens of a piece.
fn piece(memo: &mut Memo, text: &str, base: usize, out: &mut Vec<Token>, encode: &Encode) -> Result<()> {
    memo.tokens(text.as_bytes(), base, out, &|spelt, found| {
        if !text.contains(' ') {
            return encode(text, found);
        }
        spelt.clear();
        spelt.extend(text.chars().map(|c| if c == ' ' { META } else { c }));
        encode(spelt, found)?;
        let mut places = Places { text, from: 0, written: 0 };
        for token in found {
            (token.start, token.end) = (places.source(token.start, false), places.source(token.end, true));
        }
        Ok(())
    })
}

/// From bytes of a spelt text to those that they stand for: each space is two bytes shorter than its `▁`.
struct Places<'a> {
    text: &'a str,
    /// A character of the text.
    from: usize,
    /// ... and where it is spelt.
    written: usize,
}

impl Places<'_> {
    fn source(&mut self, place: u32, is_end: bool) -> u32 {
        let place = place as usize;
        if place < self.written {
            (self.from, self.written) = (0, 0);
        }
        while let Some(c) = self.text[self.from..].chars().next() {
            let wide = if c == ' ' { META.len_utf8() } else { c.len_utf8() };
            if place < self.written + wide {
                let inside = place - self.written;
                // A part of `▁` stands for the whole space.
                let inside = if c == ' ' { usize::from(is_end && inside > 0) } else { inside };
                return (self.from + inside) as u32;
            }
            self.from += c.len_utf8();
            self.written += wide;
        }
        self.from as u32
    }
}
