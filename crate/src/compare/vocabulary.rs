//! Two tokenizers: kind, size, tokens, special tokens, merges.

use std::{collections::HashMap, rc::Rc};

use serde_json::Value;

use crate::{
    fault::Result,
    formats::ArrayItems,
    session::{Inspection, Vocabulary},
    tokenizer::PieceKind,
};

use super::{
    matching::Sides,
    settings::{in_words, is_same, json},
};

/// Tokens and merges that are told one by one.
const TOLD: usize = 50;
/// Items of an array read at a time.
const PAGE: u64 = 1 << 16;
/// The largest tokenizer.json whose parts are compared.
const FILE: u64 = 256 << 20;

/// A tokenizer on each side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tokenizers {
    /// The first one's kind and size in words; none where there is none.
    pub a: Option<String>,
    /// The second one's.
    pub b: Option<String>,
    /// Ids of the first.
    pub tokens_a: u64,
    /// Ids of the second.
    pub tokens_b: u64,
    /// Ids that both have and that stand for other tokens.
    pub changed: u64,
    /// Some of them.
    pub changes: Vec<Change>,
    /// Tokens of the first that the second has nowhere.
    pub only_a: u64,
    /// Tokens of the second that the first has nowhere.
    pub only_b: u64,
    /// Tokens that are special in one and not in the other.
    pub kinds: u64,
    /// Special tokens, parts and switches that differ: name, and what it is on each side.
    pub settings: Vec<(String, Option<String>, Option<String>)>,
    /// Merges of the two, where both say them.
    pub merges: Option<Merges>,
    /// They make the models differ.
    pub differs: bool,
    /// Why something was not compared.
    pub notes: Vec<String>,
}

/// An id that stands for other tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The id.
    pub id: u32,
    /// The token of the first.
    pub a: Option<String>,
    /// The token of the second.
    pub b: Option<String>,
}

/// Two lists of merges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merges {
    /// How many the first has.
    pub a: u64,
    /// How many the second has.
    pub b: u64,
    /// At how many places they are not the same.
    pub differing: u64,
    /// The first such place, from 0, and what stands there.
    pub first: Option<(u64, Option<String>, Option<String>)>,
}

/// Compares the tokenizers of two models; none where neither has one.
///
/// # Errors
/// A source fails.
pub(super) async fn compare(sides: &Sides<'_>) -> Result<Option<Tokenizers>> {
    let (a, b) = (sides.a.inspection, sides.b.inspection);
    let (has_a, has_b) = (has(a), has(b));
    let mut found = Tokenizers::default();
    if !has_a && !has_b {
        return Ok(None);
    }
    if has_a != has_b {
        let which = if has_a { "second" } else { "first" };
        found.notes.push(format!("the {which} model has no tokenizer next to it"));
        found.differs = sides.are_of_one_kind();
        let of = if has_a { a } else { b };
        let words = of.vocabulary().await.map(|v| v.describe()).ok();
        (found.a, found.b) = if has_a { (words, None) } else { (None, words) };
        return Ok(Some(found));
    }
    match (a.vocabulary().await, b.vocabulary().await) {
        (Ok(x), Ok(y)) => tables(&x, &y, !sides.are_of_one_kind(), &mut found),
        (x, y) => {
            for fault in [x.err(), y.err()].into_iter().flatten() {
                found.notes.push(format!("not compared token by token: {}", fault.what));
            }
        }
    }
    merges(a, b, &mut found).await?;
    if sides.are_of_one_kind() {
        parts(a, b, &mut found).await?;
    }
    found.differs |= found.changed > 0
        || found.tokens_a != found.tokens_b
        || found.merges.as_ref().is_some_and(|m| m.differing > 0)
        || !found.settings.is_empty();
    Ok(Some(found))
}

fn has(inspection: &Inspection) -> bool {
    inspection.model().metadata.string("tokenizer.ggml.model").is_some() || inspection.tokenizer_file().is_some()
}

fn tables(a: &Rc<Vocabulary>, b: &Rc<Vocabulary>, across: bool, found: &mut Tokenizers) {
    (found.a, found.b) = (Some(a.describe()), Some(b.describe()));
    (found.tokens_a, found.tokens_b) = (a.len() as u64, b.len() as u64);
    for id in 0..a.len().max(b.len()) as u32 {
        let (x, y) = (a.token_text(id), b.token_text(id));
        if x == y {
            let special = |v: &Vocabulary| matches!(v.kind(id), PieceKind::Control | PieceKind::Unknown);
            found.kinds += u64::from(x.is_some() && special(a) != special(b));
            continue;
        }
        found.changed += u64::from(x.is_some() && y.is_some());
        if found.changes.len() < TOLD {
            found.changes.push(Change { id, a: x.map(str::to_owned), b: y.map(str::to_owned) });
        }
        found.only_a += u64::from(x.is_some_and(|text| b.id_of(text).is_none()));
        found.only_b += u64::from(y.is_some_and(|text| a.id_of(text).is_none()));
    }
    let mut setting = |name: &str, a: Option<String>, b: Option<String>| {
        if a != b {
            found.settings.push((name.to_owned(), a, b));
        }
    };
    let own = |text: Option<&str>| text.map(str::to_owned);
    setting("first token (BOS)", own(a.bos_text()), own(b.bos_text()));
    setting("end token (EOS)", own(a.eos_text()), own(b.eos_text()));
    if !across {
        let yes = |v: &Vocabulary| Some(if v.adds_bos() { "yes" } else { "no" }.to_owned());
        setting("BOS is added", yes(a), yes(b));
        let ends = |v: &Vocabulary| {
            let texts: Vec<String> =
                v.end_ids().iter().map(|id| v.token_text(*id).map_or_else(|| id.to_string(), str::to_owned)).collect();
            Some(texts.join(" "))
        };
        setting("tokens that end a generation", ends(a), ends(b));
        if found.kinds > 0 {
            found.settings.push((format!("special in one alone: {} tokens", found.kinds), None, None));
        }
    }
}

async fn merges(a: &Inspection, b: &Inspection, found: &mut Tokenizers) -> Result<()> {
    let (Some(x), Some(y)) = (merge_list(a).await?, merge_list(b).await?) else { return Ok(()) };
    let mut merges = Merges { a: x.len() as u64, b: y.len() as u64, differing: 0, first: None };
    for at in 0..x.len().max(y.len()) {
        let (one, other) = (x.get(at), y.get(at));
        if one != other {
            merges.differing += 1;
            merges.first.get_or_insert_with(|| (at as u64, one.cloned(), other.cloned()));
        }
    }
    found.merges = Some(merges);
    Ok(())
}

/// The merges that a tokenizer's file states, as "left right".
async fn merge_list(of: &Inspection) -> Result<Option<Vec<String>>> {
    const KEY: &str = "tokenizer.ggml.merges";
    if let Some(array) = of.model().metadata.array(KEY) {
        let mut all = Vec::new();
        for start in (0..array.len).step_by(PAGE as usize) {
            if let ArrayItems::Strings(page) = of.array(KEY, start..(start + PAGE).min(array.len)).await? {
                all.extend(page.iter().map(|text| String::from_utf8_lossy(text).into_owned()));
            }
        }
        return Ok(Some(all));
    }
    let Some(json) = json(of, "tokenizer.json", FILE).await? else { return Ok(None) };
    let Some(list) = json.get("model").and_then(|m| m.get("merges")).and_then(Value::as_array) else { return Ok(None) };
    let merge = |merge: &Value| match merge {
        Value::String(text) => Some(text.clone()),
        Value::Array(pair) => match pair.as_slice() {
            [Value::String(left), Value::String(right)] => Some(format!("{left} {right}")),
            _ => None,
        },
        _ => None,
    };
    Ok(list.iter().map(merge).collect())
}

/// What else two tokenizers of one form say otherwise: parts of tokenizer.json, keys of GGUF.
async fn parts(a: &Inspection, b: &Inspection, found: &mut Tokenizers) -> Result<()> {
    let gguf = |i: &Inspection| i.model().metadata.string("tokenizer.ggml.model").is_some();
    if gguf(a) && gguf(b) {
        return keys(a, b, found).await;
    }
    let (Some(x), Some(y)) = (json(a, "tokenizer.json", FILE).await?, json(b, "tokenizer.json", FILE).await?) else {
        return Ok(());
    };
    for part in ["normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens"] {
        let (one, other) = (x.get(part).filter(|v| !v.is_null()), y.get(part).filter(|v| !v.is_null()));
        if one != other {
            let kind = |v: Option<&Value>| v.map(|v| v.get("type").and_then(Value::as_str).unwrap_or("set").to_owned());
            found.settings.push((part.to_owned(), kind(one), kind(other)));
        }
    }
    let scalars = |v: &Value| -> HashMap<String, String> {
        let fields = v.get("model").and_then(Value::as_object).into_iter().flatten();
        fields
            .filter(|(k, _)| !matches!(k.as_str(), "vocab" | "merges"))
            .map(|(k, v)| (k.clone(), v.to_string()))
            .collect()
    };
    let (x, y) = (scalars(&x), scalars(&y));
    let mut names: Vec<&String> = x.keys().chain(y.keys().filter(|k| !x.contains_key(*k))).collect();
    names.sort();
    for name in names.into_iter().filter(|k| x.get(*k) != y.get(*k)) {
        found.settings.push((format!("model.{name}"), x.get(name).cloned(), y.get(name).cloned()));
    }
    Ok(())
}

/// GGUF keys of a tokenizer: numbers and words, and the arrays beside the tokens.
async fn keys(a: &Inspection, b: &Inspection, found: &mut Tokenizers) -> Result<()> {
    let (one, other) = (&a.model().metadata, &b.model().metadata);
    let of = |m: &crate::model::Metadata| -> Vec<String> {
        m.iter().map(|(k, _)| k.to_owned()).filter(|k| k.starts_with("tokenizer.ggml.")).collect()
    };
    let mut names = of(one);
    names.extend(of(other).into_iter().filter(|k| one.get(k).is_none()));
    for key in names.iter().filter(|k| !matches!(k.as_str(), "tokenizer.ggml.tokens" | "tokenizer.ggml.merges")) {
        let (x, y) = (one.get(key), other.get(key));
        let say = |v: Option<&crate::model::MetaValue>| v.map(in_words);
        match (one.array(key), other.array(key)) {
            (Some(p), Some(q)) if p.len == q.len => {
                let mut differing = 0;
                for start in (0..p.len).step_by(PAGE as usize) {
                    let range = start..(start + PAGE).min(p.len);
                    differing += differences(&a.array(key, range.clone()).await?, &b.array(key, range).await?);
                }
                if differing > 0 {
                    let words = |n: u64| Some(format!("{n} items"));
                    found.settings.push((
                        format!("{key}: {differing} of {} differ", p.len),
                        words(p.len),
                        words(q.len),
                    ));
                }
            }
            _ if x.zip(y).is_some_and(|(x, y)| is_same(x, y)) => {}
            _ => found.settings.push((key.clone(), say(x), say(y))),
        }
    }
    Ok(())
}

fn differences(a: &ArrayItems, b: &ArrayItems) -> u64 {
    fn count<T: PartialEq>(a: &[T], b: &[T]) -> u64 {
        a.iter().zip(b).filter(|(x, y)| x != y).count() as u64 + a.len().abs_diff(b.len()) as u64
    }
    match (a, b) {
        (ArrayItems::Strings(a), ArrayItems::Strings(b)) => count(a, b),
        (ArrayItems::Integers(a), ArrayItems::Integers(b)) => count(a, b),
        (ArrayItems::Floats(a), ArrayItems::Floats(b)) => {
            let bits = |all: &[f64]| all.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            count(&bits(a), &bits(b))
        }
        // Of two types: none is like another.
        _ => 1,
    }
}
