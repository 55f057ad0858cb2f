//! The `model` of a `tokenizer.json`: read piece by piece, checked, then built.
//!
//! The crate's own reader is not used: a merge whose result is longer than every token makes it
//! panic, and it would hold the vocabulary twice while reading.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use tokenizers::{
    ModelWrapper,
    models::{
        bpe::{BPE, Vocab},
        unigram::Unigram,
        wordlevel::WordLevel,
        wordpiece::WordPiece,
    },
};

use super::{limits, merges};
use crate::fault::{Blame, Fault, Result};

/// The `model` object.
#[derive(Deserialize)]
pub(super) struct RawModel {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Tokens,
    merges: Option<Merges>,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
    max_input_chars_per_word: Option<usize>,
    unk_id: Option<usize>,
}

/// A model and what the table of tokens needs to know about it.
pub(super) struct Built {
    pub model: ModelWrapper,
    /// "BPE", "Unigram", ...
    pub name: &'static str,
    /// Token texts with their ids.
    pub tokens: Vec<(String, u32)>,
    pub unknown: Option<u32>,
    /// Of BPE only.
    pub merges: Option<merges::Merges>,
    pub byte_fallback: bool,
    /// Random merge dropping was asked for, and switched off.
    pub had_dropout: bool,
}

enum Tokens {
    Ids(Vec<(String, u32)>),
    Scores(Vec<(String, f64)>),
}

struct Merges(Vec<(String, String)>);

fn too_many<E: Error>(what: &str, limit: usize) -> E {
    E::custom(format!("more than {limit} {what}"))
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TokensVisitor)
    }
}

struct TokensVisitor;
impl<'de> Visitor<'de> for TokensVisitor {
    type Value = Tokens;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tokens to ids, or a list of tokens with scores")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tokens, A::Error> {
        let mut tokens = Vec::new();
        while let Some((text, id)) = map.next_entry::<String, u32>()? {
            if id as usize >= limits::TOKENS || tokens.len() >= limits::TOKENS {
                return Err(too_many("tokens, or an id beyond that", limits::TOKENS));
            }
            tokens.push((text, id));
        }
        Ok(Tokens::Ids(tokens))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Tokens, A::Error> {
        list(seq, "tokens", limits::TOKENS).map(Tokens::Scores)
    }
}

fn list<'de, A: SeqAccess<'de>, T: DeserializeOwned>(mut seq: A, what: &str, limit: usize) -> Result<Vec<T>, A::Error> {
    let mut items = Vec::new();
    while let Some(item) = seq.next_element()? {
        if items.len() >= limit {
            return Err(too_many(what, limit));
        }
        items.push(item);
    }
    Ok(items)
}

impl<'de> Deserialize<'de> for Merges {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let merges: Vec<Merge> = from.deserialize_seq(ListVisitor { limit: limits::MERGES, item: PhantomData })?;
        // Files before tokenizers 0.14 may begin with the version line of a merges.txt.
        Ok(Self(merges.into_iter().filter(|m| !m.0.0.starts_with("#version")).map(|m| m.0).collect()))
    }
}

struct ListVisitor<T> {
    limit: usize,
    item: PhantomData<T>,
}
impl<'de, T: DeserializeOwned> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<T>, A::Error> {
        list(seq, "merges", self.limit)
    }
}

struct Merge((String, String));
impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MergeVisitor)
    }
}

struct MergeVisitor;
impl<'de> Visitor<'de> for MergeVisitor {
    type Value = Merge;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a merge: \"left right\" or [\"left\", \"right\"]")
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Merge, E> {
        match text.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => Ok(Merge((left.to_owned(), right.to_owned()))),
            _ => Err(E::custom(format!("merge {text:?} is not two tokens with one space between"))),
        }
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Merge, A::Error> {
        let left = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let right = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(Merge((left, right))),
            Some(_) => Err(A::Error::invalid_length(3, &self)),
        }
    }
}

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

fn refused(name: &str, e: impl fmt::Display) -> Fault {
    broken(format!("the {name} model is not valid: {e}"))
}

impl RawModel {
    /// Files before tokenizers 0.10 have no `type`; the fields tell.
    fn kind(&self) -> &str {
        match (&self.kind, &self.vocab) {
            (Some(kind), _) => kind,
            (None, Tokens::Scores(_)) => "Unigram",
            (None, _) if self.merges.is_some() => "BPE",
            (None, _) if self.continuing_subword_prefix.is_some() => "WordPiece",
            (None, _) => "WordLevel",
        }
    }

    /// Checks and builds.
    pub(super) fn build(self) -> Result<Built> {
        let kind = self.kind().to_owned();
        let had_dropout = self.dropout.is_some_and(|p| p > 0.0);
        let byte_fallback = self.byte_fallback.unwrap_or(false);
        let mut unknown = None;
        let mut merge_ids = None;
        let tokens: Vec<(String, u32)> = match &self.vocab {
            Tokens::Ids(ids) => ids.clone(),
            Tokens::Scores(scores) => scores.iter().map(|(text, _)| text.clone()).zip(0..).collect(),
        };
        for (text, id) in &tokens {
            limits::check("bytes in a token", text.len(), limits::TOKEN_BYTES)?;
            if self.unk_token.as_ref() == Some(text) {
                unknown = Some(*id);
            }
        }
        let (model, name): (ModelWrapper, _) = match (kind.as_str(), self.vocab) {
            ("BPE", Tokens::Ids(ids)) => {
                let vocab: Vocab = ids.into_iter().collect();
                let prefix = self.continuing_subword_prefix.unwrap_or_default();
                let pairs = self.merges.ok_or_else(|| broken("the BPE model has no merges"))?.0;
                merge_ids = Some(merges::Merges::new(check_merges(&vocab, &pairs, &prefix)?));
                let mut builder = BPE::builder()
                    .vocab_and_merges(vocab, pairs)
                    .fuse_unk(self.fuse_unk.unwrap_or(false))
                    .byte_fallback(byte_fallback)
                    .ignore_merges(self.ignore_merges.unwrap_or(false))
                    .continuing_subword_prefix(prefix)
                    .end_of_word_suffix(self.end_of_word_suffix.unwrap_or_default());
                if let Some(unk) = self.unk_token {
                    builder = builder.unk_token(unk);
                }
                (builder.build().map_err(|e| refused("BPE", e))?.into(), "BPE")
            }
            ("WordPiece", Tokens::Ids(ids)) => {
                let mut builder = WordPiece::builder()
                    .vocab(ids.into_iter().collect::<Vocab>())
                    .max_input_chars_per_word(self.max_input_chars_per_word.unwrap_or(100))
                    .unk_token(self.unk_token.unwrap_or_else(|| "[UNK]".to_owned()));
                if let Some(prefix) = self.continuing_subword_prefix {
                    builder = builder.continuing_subword_prefix(prefix);
                }
                (builder.build().map_err(|e| refused("WordPiece", e))?.into(), "WordPiece")
            }
            ("WordLevel", Tokens::Ids(ids)) => {
                let unk = self.unk_token.unwrap_or_else(|| "<unk>".to_owned());
                let model = WordLevel::builder().vocab(ids.into_iter().collect::<Vocab>()).unk_token(unk).build();
                (model.map_err(|e| refused("WordLevel", e))?.into(), "WordLevel")
            }
            ("Unigram", Tokens::Scores(scores)) => {
                unknown = self.unk_id.and_then(|id| u32::try_from(id).ok());
                let model = Unigram::from(scores, self.unk_id, byte_fallback);
                (model.map_err(|e| refused("Unigram", e))?.into(), "Unigram")
            }
            ("BPE" | "WordPiece" | "WordLevel" | "Unigram", _) => {
                return Err(broken(format!("the vocabulary of the {kind} model has the shape of another model's")));
            }
            (other, _) => return Err(Fault::unsupported(format!("tokenizer models of type {other:?} are not known"))),
        };
        Ok(Built { model, name, tokens, unknown, merges: merge_ids, byte_fallback, had_dropout })
    }
}

/// Every merge joins two tokens to a third, whose ids these are; the crate relies on it unchecked.
fn check_merges(vocab: &Vocab, merges: &[(String, String)], prefix: &str) -> Result<Vec<[u32; 3]>> {
    let mut joined = String::new();
    let mut all = Vec::with_capacity(merges.len());
    for (rank, (left, right)) in merges.iter().enumerate() {
        let tail = right.get(prefix.len()..).ok_or_else(|| {
            broken(format!("merge {rank}: {right:?} is shorter than the prefix {prefix:?} of continuing pieces"))
        })?;
        joined.clear();
        joined.extend([left.as_str(), tail]);
        let mut ids = [0; 3];
        for (id, part) in ids.iter_mut().zip([left, right, &joined]) {
            let found = vocab.get(part.as_str());
            *id = *found.ok_or_else(|| broken(format!("merge {rank}: token {part:?} is not in the vocabulary")))?;
        }
        all.push(ids);
    }
    Ok(all)
}
