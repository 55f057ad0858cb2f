//! SentencePiece's vocabularies: pieces with scores, from its own file or from a tokenizer.json made of one.

use serde_json::Value;

use super::{Files, Kind, Token, added, count, looks_special, tokens};
use crate::{
    convert::to_gguf::settings::Settings,
    fault::{Blame, Fault, Result},
    model::{MetaType, MetaValue},
    tokenizer::{SentencePieces, sentence_pieces},
};

/// The score of ids that have no piece.
const UNUSED: f32 = -10_000.0;
/// The score of tokens that were added.
const ADDED: f32 = -1000.0;

fn unused(count: u64) -> Vec<Token> {
    (0..count).map(|id| Token { text: format!("[PAD{id}]"), score: UNUSED, kind: Kind::Unused }).collect()
}

/// From a `.model`.
pub(super) async fn from_model(s: &mut Settings<'_>, found: &Files<'_>, name: &str, bytes: &[u8]) -> Result<()> {
    let model = sentence_pieces(bytes).map_err(|fault| fault.in_file(name))?;
    if let (Some(space), true) =
        (found.settings.get("add_prefix_space").and_then(Value::as_bool), s.architecture == "llama")
    {
        s.flag("tokenizer.ggml.add_space_prefix", space)?;
    }
    let count = count(s, &["vocab_size"], model.pieces.len() as u64)?;
    let mut list = unused(count);
    for (token, (text, score, kind)) in list.iter_mut().zip(&model.pieces) {
        let text = String::from_utf8_lossy(text).into_owned();
        // The converter takes pieces that a user defined for normal ones.
        let kind = match Kind::of(*kind) {
            Kind::UserDefined => Kind::Normal,
            kind => kind,
        };
        *token = Token { text, score: *score, kind };
    }
    if name == "sentencepiece.bpe.model" {
        realign(&mut list);
    }
    if let Some(bytes) = found.read("added_tokens.json").await? {
        let more = super::parsed("added_tokens.json", &bytes)?;
        for (text, id) in more.as_object().into_iter().flatten() {
            let at = id.as_u64().and_then(|id| usize::try_from(id).ok());
            if let Some(token) = at.and_then(|at| list.get_mut(at)) {
                *token = Token { text: text.clone(), score: ADDED, kind: Kind::UserDefined };
            }
        }
    }
    if model.model_type == 1 && ["t5encoder", "bert"].contains(&s.architecture) {
        return unigram(s, &list, &model);
    }
    decoder(found, &mut list);
    if s.architecture == "phi3" {
        for (id, text, special) in added(found) {
            if let Some(token) = usize::try_from(id).ok().and_then(|at| list.get_mut(at)) {
                let kind = if special { Kind::Control } else { Kind::UserDefined };
                *token = Token { text: text.to_owned(), score: ADDED, kind };
            }
        }
    }
    tokens(s, "llama", "default", &list, true)
}

/// Tokens that tokenizer_config.json describes.
fn decoder(found: &Files<'_>, list: &mut [Token]) {
    let described = found.settings.get("added_tokens_decoder").and_then(Value::as_object);
    for (id, token) in described.into_iter().flatten() {
        let (Some(at), Some(text)) = (id.parse::<usize>().ok(), token.get("content").and_then(Value::as_str)) else {
            continue;
        };
        let special = token.get("special").and_then(Value::as_bool) == Some(true) || looks_special(text);
        let (text, kind) =
            if special { (text.to_owned(), Kind::Control) } else { (text.replace('▁', " "), Kind::UserDefined) };
        if let Some(place) = list.get_mut(at) {
            *place = Token { text, score: ADDED, kind };
        }
    }
}

/// XLM-RoBERTa's ids: its own special tokens, then the pieces one further than the file has them.
fn realign(list: &mut Vec<Token>) {
    let special = |text: &str, kind| Token { text: text.to_owned(), score: 0.0, kind };
    let rest = list.get(3..list.len().saturating_sub(1)).unwrap_or_default().to_vec();
    *list = vec![
        special("<s>", Kind::Control),
        special("<pad>", Kind::Control),
        special("</s>", Kind::Control),
        special("<unk>", Kind::Unknown),
    ];
    list.extend(rest);
}

fn unigram(s: &mut Settings<'_>, list: &[Token], model: &SentencePieces) -> Result<()> {
    tokens(s, "t5", "default", list, true)?;
    s.flag("tokenizer.ggml.add_space_prefix", model.add_prefix)?;
    if s.architecture == "bert" {
        s.u32("tokenizer.ggml.token_type_count", s.config.whole(&["type_vocab_size"]).unwrap_or(1))?;
    }
    s.flag("tokenizer.ggml.remove_extra_whitespaces", model.merge_spaces)?;
    charsmap(s, &model.charsmap)
}

fn charsmap(s: &mut Settings<'_>, map: &[u8]) -> Result<()> {
    let items = map.iter().map(|b| MetaValue::Unsigned(u64::from(*b), MetaType::U8)).collect::<Vec<_>>();
    if items.is_empty() { Ok(()) } else { s.list("tokenizer.ggml.precompiled_charsmap", MetaType::U8, items) }
}

/// From a tokenizer.json of SentencePiece's BPE: it has no scores, so all tokens have the one of added ones.
pub(super) fn from_json(s: &mut Settings<'_>, found: &Files<'_>) -> Result<()> {
    let wrong = || Fault::new(Blame::File, "model.vocab is no map of tokens").in_file("tokenizer.json");
    let vocab = found.model().and_then(|m| m.get("vocab")).and_then(Value::as_object).ok_or_else(wrong)?;
    if let (Some(space), true) =
        (found.settings.get("add_prefix_space").and_then(Value::as_bool), s.architecture == "llama")
    {
        s.flag("tokenizer.ggml.add_space_prefix", space)?;
    }
    let more = added(found);
    let last = vocab.values().filter_map(Value::as_u64).chain(more.iter().map(|(id, ..)| *id)).max().unwrap_or(0);
    let count = count(s, &["vocab_size"], last.saturating_add(1))?;
    let mut list = unused(count);
    let mut put = |id: u64, token: Token| match usize::try_from(id).ok().and_then(|at| list.get_mut(at)) {
        Some(place) => {
            *place = token;
            Ok(())
        }
        None => {
            Err(Fault::new(Blame::File, format!("token {id} of a vocabulary of {count}")).in_file("tokenizer.json"))
        }
    };
    for (text, id) in vocab {
        let byte = text.len() == 6 && text.starts_with("<0x") && text.ends_with('>');
        let kind = if byte { Kind::Byte } else { Kind::Normal };
        put(id.as_u64().ok_or_else(wrong)?, Token { text: text.clone(), score: ADDED, kind })?;
    }
    for (id, text, special) in more {
        let kind = if special { Kind::Control } else { Kind::UserDefined };
        put(id, Token { text: text.to_owned(), score: ADDED, kind })?;
    }
    tokens(s, "llama", "default", &list, true)
}

/// From a tokenizer.json of Unigram's kind.
pub(super) fn from_unigram(s: &mut Settings<'_>, found: &Files<'_>) -> Result<()> {
    let broken = |what: &str| Fault::new(Blame::File, what).in_file("tokenizer.json");
    let model = found.model().ok_or_else(|| broken("no model"))?;
    let vocab =
        model.get("vocab").and_then(Value::as_array).ok_or_else(|| broken("model.vocab is no list of pieces"))?;
    let more = added(found);
    let unknown = model.get("unk_id").and_then(Value::as_u64);
    let count = count(s, &["vocab_size"], vocab.len() as u64)?.max(vocab.len() as u64);
    let mut list = unused(count);
    for (id, (token, piece)) in list.iter_mut().zip(vocab).enumerate() {
        let text = piece.get(0).and_then(Value::as_str).ok_or_else(|| broken("a piece without a text"))?;
        let score = piece.get(1).and_then(Value::as_f64).ok_or_else(|| broken("a piece without a score"))?;
        let of_added = more.iter().find(|(other, ..)| *other == id as u64);
        let kind = match of_added {
            _ if unknown == Some(id as u64) => Kind::Unknown,
            Some((.., true)) => Kind::Control,
            Some(_) => Kind::UserDefined,
            None => Kind::Normal,
        };
        *token = Token { text: text.to_owned(), score: score as f32, kind };
    }
    tokens(s, "t5", "default", &list, true)?;
    s.flag(
        "tokenizer.ggml.add_space_prefix",
        found.settings.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(true),
    )?;
    s.u32("tokenizer.ggml.token_type_count", s.config.whole(&["type_vocab_size"]).unwrap_or(1))?;
    let tidy = found.settings.get("clean_up_tokenization_spaces").and_then(Value::as_bool).unwrap_or(true);
    s.flag("tokenizer.ggml.remove_extra_whitespaces", tidy)?;
    match map_of(found.json.as_ref().and_then(|json| json.get("normalizer"))) {
        Some(text) => {
            let bytes =
                crate::tokenizer::from_base64(text).ok_or_else(|| broken("precompiled_charsmap is no base64"))?;
            charsmap(s, &bytes)
        }
        None => Ok(()),
    }
}

/// The compiled normalization of a normalizer or of one within it.
fn map_of(normalizer: Option<&Value>) -> Option<&str> {
    let normalizer = normalizer?;
    let own = normalizer.get("precompiled_charsmap").and_then(Value::as_str);
    own.or_else(|| {
        normalizer.get("normalizers")?.as_array()?.iter().find_map(|inner| inner.get("precompiled_charsmap")?.as_str())
    })
}
