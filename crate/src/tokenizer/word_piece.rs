//! WordPiece (`bert` in GGUF): words cut off at spaces and punctuation, then the longest tokens first.
//!
//! Source: llama.cpp, `llm_tokenizer_wpm_session` in `src/llama-vocab.cpp`, and
//! `scripts/gen-unicode-data.py` for what it keeps of each character: one, where lower case or
//! decomposition have several.

use std::{collections::HashMap, sync::LazyLock};

use fancy_regex::Regex;
use tokenizers::NormalizedString;

use super::{
    Token,
    mapped::Mapped,
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
    pub lowercase: bool,
    pub strip_accents: bool,
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

fn class(c: char) -> Class {
    static CONTROL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{Cc}\p{Cf}\p{Co}]").ok());
    static ACCENT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\p{M}").ok());
    static PUNCTUATION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\p{P}").ok());
    let mut buffer = [0; 4];
    let text: &str = c.encode_utf8(&mut buffer);
    let is = |regex: &Option<Regex>| regex.as_ref().is_some_and(|r| r.is_match(text).unwrap_or(false));
    if c.is_whitespace() {
        Class::Space
    } else if c.is_ascii_alphanumeric() {
        Class::Letter
    } else if c == '\0' || c == char::REPLACEMENT_CHARACTER || is(&CONTROL) {
        Class::Dropped
    } else if is(&ACCENT) {
        Class::Accent
    } else if c.is_ascii() || is(&PUNCTUATION) || is_chinese(c) {
        Class::Alone
    } else {
        Class::Letter
    }
}

/// The first character of the canonical decomposition.
fn decomposed(c: char) -> char {
    let mut text = NormalizedString::from(c.to_string());
    text.nfd();
    text.get().chars().next().unwrap_or(c)
}

impl WordPiece {
    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    pub(super) fn encode(&self, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        let work = Work::on(text.len());
        let mut known = HashMap::new();
        let mut word = Mapped::default();
        for (at, c) in text.char_indices() {
            let span = base + at..base + at + c.len_utf8();
            let (c, class) = *known.entry(c).or_insert_with(|| self.character(c));
            match class {
                Class::Dropped => {}
                Class::Accent if self.strip_accents => {}
                Class::Space => self.finish(&mut word, &work, out)?,
                Class::Alone => {
                    self.finish(&mut word, &work, out)?;
                    add(&mut word, c, span);
                    self.finish(&mut word, &work, out)?;
                }
                Class::Letter | Class::Accent => add(&mut word, c, span),
            }
        }
        self.finish(&mut word, &work, out)
    }

    /// What becomes of a character, and what it is to the splitter.
    pub(super) fn character(&self, c: char) -> (char, Class) {
        let c = if self.strip_accents && !c.is_ascii() { decomposed(c) } else { c };
        let lower = if self.lowercase { c.to_lowercase().next().unwrap_or(c) } else { c };
        (lower, class(c))
    }

    /// Appends the tokens of one word, or the unknown token, and begins the next.
    fn finish(&self, word: &mut Mapped, work: &Work, out: &mut Vec<Token>) -> Result<()> {
        let word = std::mem::take(word);
        let before = out.len();
        let mut at = 0;
        while at < word.text.len() {
            match self.tokens.longest(&word.text.as_bytes()[at..], work)? {
                Some((length, id)) => {
                    out.push(Token { id, span: word.source(at..at + length) });
                    at += length;
                }
                None => {
                    out.truncate(before);
                    out.extend(self.unknown.map(|id| Token { id, span: word.source(0..word.text.len()) }));
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
