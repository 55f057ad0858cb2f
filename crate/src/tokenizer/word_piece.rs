//! WordPiece (`bert` in GGUF): words cut off at spaces and punctuation, then the longest tokens first.
//!
//! Source: llama.cpp, `llm_tokenizer_wpm_session` in `src/llama-vocab.cpp`, and
//! `scripts/gen-unicode-data.py` for what it keeps of each character: one, where lower case or
//! decomposition have several.

use tokenizers::NormalizedString;

use super::{
    Token,
    bpe::Found,
    chars::{self, Chars, fate},
    classes::{self, CONTROL, MARK, PUNCTUATION},
    mapped::Mapped,
    memo::Shared,
    prefixes::{Prefixes, Work},
};
use crate::fault::Result;

/// Begins a word in the vocabulary.
const WORD: &str = "▁";

/// How `bert` vocabularies encode.
#[derive(Debug)]
pub(super) struct WordPiece {
    pub tokens: Prefixes,
    /// Stands for a word that the tokens do not make up.
    pub unknown: Option<u32>,
    lowercase: bool,
    pub strip_accents: bool,
    chars: Chars,
    memo: Shared,
}

/// What a character is to the splitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Space,
    Dropped,
    Accent,
    /// A word of its own.
    Alone,
    Letter,
}

fn is_chinese(c: char) -> bool {
    matches!(u32::from(c),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F | 0x2B740..=0x2B81F
        // Begins at 2B820 in Unicode; the reference tokenizers share this gap.
        | 0x2B920..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

/// The first character of the canonical decomposition.
fn decomposed(c: char) -> char {
    let mut text = NormalizedString::from(c.to_string());
    text.nfd();
    text.get().chars().next().unwrap_or(c)
}

impl WordPiece {
    pub(super) fn new(tokens: Prefixes, unknown: Option<u32>, lowercase: bool, strip_accents: bool) -> Self {
        Self { tokens, unknown, lowercase, strip_accents, chars: Chars::default(), memo: Shared::default() }
    }

    /// What becomes of a character, and what it is to the splitter.
    pub(super) fn character(&self, c: char) -> (char, Class) {
        let c = if self.strip_accents && !c.is_ascii() { decomposed(c) } else { c };
        let c = if self.lowercase { c.to_lowercase().next().unwrap_or(c) } else { c };
        let classes = classes::of(c);
        let class = if c.is_whitespace() {
            Class::Space
        } else if c.is_ascii_alphanumeric() {
            Class::Letter
        } else if c == '\0' || c == char::REPLACEMENT_CHARACTER || classes & CONTROL != 0 {
            Class::Dropped
        } else if classes & MARK != 0 {
            Class::Accent
        } else if c.is_ascii() || classes & PUNCTUATION != 0 || is_chinese(c) {
            Class::Alone
        } else {
            Class::Letter
        };
        (c, class)
    }

    /// The same as a number, kept.
    fn fate(&self, c: char) -> u32 {
        self.chars.get(c, |c| {
            let (c, class) = self.character(c);
            let fate = match class {
                Class::Space => fate::SPACE,
                Class::Dropped => fate::DROPPED,
                Class::Accent if self.strip_accents => fate::DROPPED,
                Class::Accent | Class::Letter => fate::PART,
                Class::Alone => fate::ALONE,
            };
            fate | u32::from(c) << fate::BITS
        })
    }

    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    pub(super) fn encode(&self, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        let work = Work::on(text.len());
        self.memo.with(|memo| {
            chars::words(text, &|c| self.fate(c), &mut |start, end| {
                let part = &text[start..end];
                memo.tokens(part.as_bytes(), base + start, out, &|_, found| self.word(part, &work, found))
            })
        })?;
        Ok(())
    }

    /// Appends the tokens of one word, or the unknown token.
    fn word(&self, part: &str, work: &Work, found: &mut Vec<Found>) -> Result<()> {
        let mut word = Mapped::default();
        for (at, c) in part.char_indices() {
            let (fate, span) = (self.fate(c), at..at + c.len_utf8());
            if let Some(c) = char::from_u32(fate >> fate::BITS).filter(|_| fate & fate::MASK != fate::DROPPED) {
                add(&mut word, c, span);
            }
        }
        let token = |id, part: std::ops::Range<usize>| {
            let span = word.source(part);
            Found { id, start: span.start as u32, end: span.end as u32 }
        };
        let mut at = 0;
        while at < word.text.len() {
            match self.tokens.longest(&word.text.as_bytes()[at..], work)? {
                Some((length, id)) => {
                    found.push(token(id, at..at + length));
                    at += length;
                }
                None => {
                    found.clear();
                    found.extend(self.unknown.map(|id| token(id, 0..word.text.len())));
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Appends a character to a word, which begins with `▁`.
pub(super) fn add(word: &mut Mapped, c: char, span: std::ops::Range<usize>) {
    if word.text.is_empty() {
        word.push(WORD, span.start..span.start);
    }
    let mut buffer = [0; 4];
    word.push(c.encode_utf8(&mut buffer), span);
}
