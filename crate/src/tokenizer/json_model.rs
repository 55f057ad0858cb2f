//! The `model` of a `tokenizer.json`: read piece by piece, checked, then built.
//!
//! The crate's own reader and models are not used: a merge whose result is longer than every token
//! makes the reader panic, and the models look for every token's text again.

use std::{fmt, marker::PhantomData};

use super::{
    bpe::{Bpe, BpeOptions, joined},
    limits,
    model::{LikelyPieces, Model, WordLevel, WordPieces},
    prefixes::Prefixes,
    sentence::Preparation,
    slots::TextIds,
    unigram::Unigram,
};
use crate::fault::{Blame, Fault, Result};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

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
    pub model: Model,
    /// Number of ids that the model counts; added tokens that are new get the next ones.
    pub count: u32,
    /// "BPE", "Unigram", ...
    pub name: &'static str,
    /// Token texts with their ids.
    pub tokens: Vec<(String, u32)>,
    pub unknown: Option<u32>,
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
        let ids = || TextIds::new(tokens.iter().map(|(text, id)| (text.as_bytes(), *id)));
        let (model, name) = match (kind.as_str(), &self.vocab) {
            ("BPE", Tokens::Ids(_)) => (Model::Bpe(Box::new(self.bpe(ids()?)?)), "BPE"),
            ("WordPiece", Tokens::Ids(_)) => (Model::WordPiece(self.word_piece(ids()?)), "WordPiece"),
            ("WordLevel", Tokens::Ids(_)) => {
                let unknown = self.unk_token.unwrap_or_else(|| "<unk>".to_owned());
                (Model::WordLevel(WordLevel { tokens: ids()?, unknown }), "WordLevel")
            }
            ("Unigram", Tokens::Scores(scores)) => {
                unknown = self.unk_id.and_then(|id| u32::try_from(id).ok());
                let model = unigram(scores, self.unk_id, byte_fallback, ids()?)?;
                (Model::Unigram(Box::new(model)), "Unigram")
            }
            ("BPE" | "WordPiece" | "WordLevel" | "Unigram", _) => {
                return Err(broken(format!("the vocabulary of the {kind} model has the shape of another model's")));
            }
            (other, _) => return Err(Fault::unsupported(format!("tokenizer models of type {other:?} are not known"))),
        };
        // Of equal texts the library counts one, but all entries of a list.
        let count = if name == "Unigram" { tokens.len() } else { model.tokens().len() };
        Ok(Built { model, count: count as u32, name, tokens, unknown, byte_fallback, had_dropout })
    }

    fn bpe(self, tokens: TextIds) -> Result<Bpe> {
        let prefix = self.continuing_subword_prefix.unwrap_or_default();
        let pairs = self.merges.ok_or_else(|| broken("the BPE model has no merges"))?.0;
        let merges = merges(&tokens, &pairs, &prefix)?;
        let options = BpeOptions {
            unknown: self.unk_token,
            fuse_unknown: self.fuse_unk.unwrap_or(false),
            byte_fallback: self.byte_fallback.unwrap_or(false),
            ignore_merges: self.ignore_merges.unwrap_or(false),
            prefix,
            suffix: self.end_of_word_suffix.unwrap_or_default(),
        };
        Bpe::new(tokens, merges, options)
    }

    fn word_piece(self, tokens: TextIds) -> WordPieces {
        let prefix = self.continuing_subword_prefix.unwrap_or_else(|| "##".to_owned());
        let rest = tokens.iter().filter_map(|(text, id)| Some((text.strip_prefix(prefix.as_bytes())?.to_vec(), id)));
        WordPieces {
            first: Prefixes::new(tokens.iter().map(|(text, id)| (text.to_vec(), id))),
            rest: Prefixes::new(rest),
            tokens,
            prefix,
            unknown: self.unk_token.unwrap_or_else(|| "[UNK]".to_owned()),
            longest: self.max_input_chars_per_word.unwrap_or(100),
        }
    }
}

fn unigram(
    scores: &[(String, f64)],
    unknown: Option<usize>,
    byte_fallback: bool,
    tokens: TextIds,
) -> Result<LikelyPieces> {
    if let Some(id) = unknown.filter(|id| *id >= scores.len()) {
        return Err(broken(format!("the Unigram model's unknown id is {id}, of {} tokens", scores.len())));
    }
    let unknown = unknown.map(|id| id as u32);
    let least = scores.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
    let unigram = Unigram {
        preparation: Preparation::default(),
        tokens: Prefixes::new(scores.iter().zip(0..).map(|((text, _), id)| (text.as_bytes().to_vec(), id))),
        scores: scores.iter().map(|(_, score)| *score).collect(),
        user_defined: Vec::new(),
        unknown,
        unknown_score: least - Unigram::UNKNOWN_PENALTY,
        native: false,
        best_score: 0.0,
        bytes: None,
    };
    Ok(LikelyPieces { tokens, unigram, unknown, byte_fallback })
}

/// Every merge joins two tokens to a third.
fn merges(tokens: &TextIds, pairs: &[(String, String)], prefix: &str) -> Result<Vec<[u32; 3]>> {
    let mut buffer = String::new();
    let mut merges = Vec::with_capacity(pairs.len());
    for (rank, (left, right)) in pairs.iter().enumerate() {
        if right.len() < prefix.len() || !right.is_char_boundary(prefix.len()) {
            return Err(broken(format!(
                "merge {rank}: {right:?} is shorter than the prefix {prefix:?} of continuing pieces"
            )));
        }
        let merge = joined(tokens, (left, right), prefix, &mut buffer)
            .map_err(|absent| broken(format!("merge {rank}: token {absent:?} is not in the vocabulary")))?;
        merges.push(merge);
    }
    Ok(merges)
}
