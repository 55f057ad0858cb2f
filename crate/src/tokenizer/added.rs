//! The added tokens of a `tokenizer.json`: their ids, and where they are written out in a text.
//!
//! As the `tokenizers` crate does it (`src/tokenizer/added_vocabulary.rs`).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
};

use tokenizers::AddedToken;

use super::{
    json_steps::Normals,
    limits,
    prefixes::{Prefixes, Work},
    slots::TextIds,
};
use crate::fault::{Blame, Fault, Result};

/// All of them.
pub(super) struct Added {
    /// By text.
    ids: HashMap<String, u32>,
    /// By id; whether it counts as special.
    tokens: BTreeMap<u32, (AddedToken, bool)>,
    /// Those that are found in the text as it is given.
    raw: Finder,
    /// Those that are found in the normalized text.
    normalized: Finder,
}

/// Texts that are looked for together.
struct Finder {
    texts: Prefixes,
    begins: Box<[bool; 256]>,
    is_empty: bool,
}

/// Where to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum In {
    /// In the text as it is given.
    Raw,
    /// In the normalized text.
    Normalized,
}

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

impl Finder {
    fn new(texts: Vec<(String, u32)>) -> Result<Self> {
        let mut begins = Box::new([false; 256]);
        let mut seen = HashSet::new();
        for (text, _) in &texts {
            let first = text
                .bytes()
                .next()
                .ok_or_else(|| broken("the added tokens are not valid: one is empty once normalized"))?;
            begins[usize::from(first)] = true;
            if !seen.insert(text.as_str()) {
                return Err(broken(format!("the added tokens are not valid: two are {text:?} once normalized")));
            }
        }
        let is_empty = texts.is_empty();
        let texts = Prefixes::new(texts.iter().map(|(text, id)| (text.as_bytes().to_vec(), *id)));
        Ok(Self { texts, begins, is_empty })
    }
}

impl Added {
    /// Gives tokens their ids: that of a model's token of the same text, or the next one.
    pub(super) fn new<'a>(
        list: impl Iterator<Item = &'a AddedToken>,
        model: &TextIds,
        count: u32,
        normals: &Normals,
    ) -> Result<Self> {
        let mut ids: HashMap<String, u32> = HashMap::new();
        let mut tokens: BTreeMap<u32, (AddedToken, bool)> = BTreeMap::new();
        let mut special = HashSet::new();
        let mut next = count;
        for token in list.filter(|token| !token.content.is_empty()) {
            limits::check("bytes in a token", token.content.len(), limits::TOKEN_BYTES)?;
            let known = ids.get(&token.content).copied().or_else(|| model.get(token.content.as_bytes()));
            let id = known.unwrap_or(next);
            next += u32::from(known.is_none());
            ids.insert(token.content.clone(), id);
            if token.special {
                special.insert(token.content.clone());
            }
            tokens.insert(id, (token.clone(), false));
        }
        let (mut raw, mut normalized) = (Vec::new(), Vec::new());
        for (id, (token, is_special)) in &mut tokens {
            *is_special = special.contains(&token.content);
            if token.normalized {
                normalized.push((normals.text(&token.content)?, *id));
            } else {
                raw.push((token.content.clone(), *id));
            }
        }
        Ok(Self { ids, tokens, raw: Finder::new(raw)?, normalized: Finder::new(normalized)? })
    }

    /// The id of a text.
    pub(super) fn id_of(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// All of them by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &AddedToken)> {
        self.tokens.iter().map(|(id, (token, _))| (*id, token))
    }

    /// Whether any is looked for in the normalized text.
    pub(super) fn has_normalized(&self) -> bool {
        !self.normalized.is_empty
    }

    /// Calls back with every stretch of a text, with the id of the added token that it is; of
    /// special ones only where they are parsed.
    pub(super) fn cut(
        &self,
        text: &str,
        place: In,
        parse_special: bool,
        each: &mut dyn FnMut(Option<u32>, Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let finder = if place == In::Raw { &self.raw } else { &self.normalized };
        let work = Work::on(text.len());
        let bytes = text.as_bytes();
        let (mut at, mut done) = (0, 0);
        let next = |at: usize| match finder.is_empty {
            true => None,
            false => bytes[at..].iter().position(|byte| finder.begins[usize::from(*byte)]),
        };
        while let Some(step) = next(at) {
            at += step;
            let Some((length, id)) = finder.texts.longest(&bytes[at..], &work)? else {
                at += 1;
                continue;
            };
            let (mut start, mut end) = (at, at + length);
            // What is not taken is not looked into again either.
            at = end;
            let Some((token, is_special)) = self.tokens.get(&id) else { continue };
            let in_word = || {
                text[..start].chars().next_back().is_some_and(is_word)
                    || text[end..].chars().next().is_some_and(is_word)
            };
            if (*is_special && !parse_special) || (token.single_word && in_word()) {
                continue;
            }
            if token.lstrip {
                start = text[..start].trim_end_matches(char::is_whitespace).len().max(done);
            }
            if token.rstrip {
                // What the token before it took is white space.
                let from = end.max(done);
                end = text.len() - text[from..].trim_start_matches(char::is_whitespace).len();
            }
            if done < start {
                each(None, done..start)?;
            }
            each(Some(id), start..end)?;
            done = end;
        }
        if done < text.len() {
            each(None, done..text.len())?;
        }
        Ok(())
    }
}

/// `\w`.
fn is_word(c: char) -> bool {
    static WORD: std::sync::LazyLock<Option<fancy_regex::Regex>> =
        std::sync::LazyLock::new(|| fancy_regex::Regex::new(r"\w").ok());
    WORD.as_ref().is_some_and(|regex| regex.is_match(c.encode_utf8(&mut [0; 4])).unwrap_or(false))
}
