//! What SentencePiece does to a text before cutting it: replacements, spaces, a prefix.
//!
//! Sources: sentencepiece, `Normalizer::Normalize` in `src/normalizer.cc`; llama.cpp,
//! `llm_tokenizer_ugm_session::normalize`, which differs at the ends of a text.

use std::ops::Range;

use super::{
    charsmap::Charsmap,
    mapped::Mapped,
    prefixes::{Prefixes, Work},
};

/// Stands for a space.
const SPACE: &str = "▁";

/// How a text is prepared.
#[derive(Debug, Default)]
pub(super) struct Preparation {
    /// Replacements, where the vocabulary has any.
    pub map: Option<Charsmap>,
    /// User-defined tokens, which are never changed.
    pub untouched: Option<Prefixes>,
    /// A space goes before the text.
    pub add_prefix: bool,
    /// ... or rather after it.
    pub as_suffix: bool,
    /// Runs of spaces become one, and none stays at the ends.
    pub merge_spaces: bool,
    /// Spaces are written `▁`.
    pub escape: bool,
    /// As sentencepiece itself does it, not llama.cpp.
    pub native: bool,
}

impl Preparation {
    /// The text as the tokens are to match it; it lies at byte `base` of the whole input.
    pub(super) fn run(&self, text: &str, base: usize) -> Mapped {
        if self.native { self.run_native(text, base) } else { self.run_llama_cpp(text, base) }
    }

    /// The prepared text in characters, but user-defined tokens whole and marked.
    pub(super) fn units(&self, text: &str) -> Vec<(Range<usize>, bool)> {
        let work = Work::on(text.len());
        let mut units = Vec::new();
        let mut at = 0;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let rest = &text.as_bytes()[at..];
            let whole = self.untouched.as_ref().and_then(|tokens| tokens.longest(rest, &work).ok().flatten());
            let length = whole.map_or(c.len_utf8(), |(length, _)| length);
            units.push((at..at + length, whole.is_some()));
            at += length;
        }
        units
    }

    fn space(&self) -> &'static str {
        if self.escape { SPACE } else { " " }
    }

    /// Stretches of the text with what each becomes.
    fn parts<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (Range<usize>, &'a str)> {
        let work = Work::on(text.len());
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
            let bytes = rest.as_bytes();
            let kept = self.untouched.as_ref().and_then(|tokens| tokens.longest(bytes, &work).ok().flatten());
            // A replacement that ends inside a character would leave half of one behind; no real map has any.
            let replaced = || self.map.as_ref()?.longest(bytes).filter(|(length, _)| rest.is_char_boundary(*length));
            let (length, part) = match kept {
                Some((length, _)) => (length, &rest[..length]),
                None => replaced().unwrap_or_else(|| {
                    let length = rest.chars().next().map_or(1, char::len_utf8);
                    (length, &rest[..length])
                }),
            };
            at += length;
            Some((at - length..at, part))
        })
    }

    fn push(&self, out: &mut Mapped, part: &str, span: &Range<usize>) {
        if part.len() == span.len() && !part.contains(' ') {
            out.push(part, span.clone());
            return;
        }
        for c in part.chars() {
            let mut buffer = [0; 4];
            out.push(if c == ' ' { self.space() } else { c.encode_utf8(&mut buffer) }, span.clone());
        }
    }

    fn run_native(&self, text: &str, base: usize) -> Mapped {
        let mut out = Mapped::default();
        let mut after_space = self.merge_spaces;
        let mut started = false;
        for (span, mut part) in self.parts(text) {
            let span = base + span.start..base + span.end;
            if after_space {
                part = part.trim_start_matches(' ');
            }
            if part.is_empty() {
                continue;
            }
            if !started && self.add_prefix && !self.as_suffix {
                out.push(self.space(), span.start..span.start);
            }
            started = true;
            self.push(&mut out, part, &span);
            after_space = self.merge_spaces && part.ends_with(' ');
        }
        if self.merge_spaces {
            while out.text.ends_with(self.space()) && !out.text.is_empty() {
                out.truncate(out.text.len() - self.space().len());
            }
        }
        if started && self.add_prefix && self.as_suffix {
            let end = out.end();
            out.push(self.space(), end..end);
        }
        out
    }

    fn run_llama_cpp(&self, text: &str, base: usize) -> Mapped {
        let mut out = Mapped::default();
        let (mut is_prefixed, mut in_word) = (false, false);
        // Spaces that were merged and not written yet.
        let mut waiting: Option<Range<usize>> = None;
        for (span, part) in self.parts(text) {
            let span = base + span.start..base + span.end;
            if !part.contains(' ') && in_word {
                self.push(&mut out, part, &span);
                continue;
            }
            for c in part.chars() {
                if c == ' ' {
                    in_word = false;
                    if self.merge_spaces {
                        waiting = Some(waiting.map_or(span.start, |before| before.start)..span.end);
                    } else {
                        out.push(self.space(), span.clone());
                    }
                    continue;
                }
                if !in_word {
                    in_word = true;
                    if (self.add_prefix && !self.as_suffix && !is_prefixed) || self.merge_spaces {
                        is_prefixed = true;
                        out.push(self.space(), waiting.take().unwrap_or(span.start..span.start));
                    }
                }
                let mut buffer = [0; 4];
                out.push(c.encode_utf8(&mut buffer), span.clone());
            }
        }
        if self.add_prefix && self.as_suffix {
            let end = out.end().max(base);
            out.push(self.space(), end..end);
        }
        out
    }
}
