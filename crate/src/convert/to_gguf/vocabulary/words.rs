//! WordPiece: tokens that begin a word are marked, instead of those that go on.

use std::collections::HashMap;

use serde_json::Value;

use super::{Files, Kind, Token, added, count, looks_special, tokens};
use crate::{
    convert::to_gguf::settings::Settings,
    fault::{Blame, Fault, Result},
};

/// From tokenizer.json.
pub(super) fn write(s: &mut Settings<'_>, found: &Files<'_>) -> Result<()> {
    let wrong = || Fault::new(Blame::File, "model.vocab is no map of tokens").in_file("tokenizer.json");
    let vocab = found.model().and_then(|m| m.get("vocab")).and_then(Value::as_object).ok_or_else(wrong)?;
    let by_id = vocab.iter().filter_map(|(text, id)| Some((id.as_u64()?, text.as_str()))).collect();
    list(s, by_id, &added(found))
}

/// From vocab.txt: a token a line.
pub(super) fn from_list(s: &mut Settings<'_>, found: &Files<'_>, bytes: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::new(Blame::File, "no UTF-8").in_file("vocab.txt"))?;
    let by_id: HashMap<u64, &str> = (0..).zip(text.lines().map(|l| l.trim_end_matches('\r'))).collect();
    let special = ["unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
    let usual = ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"];
    let named: Vec<&str> = special.iter().zip(usual).map(|(key, usual)| found.setting(key).unwrap_or(usual)).collect();
    let more: Vec<(u64, &str, bool)> =
        by_id.iter().filter(|(_, t)| named.contains(*t)).map(|(id, text)| (*id, *text, true)).collect();
    list(s, by_id, &more)
}

fn list<'t>(s: &mut Settings<'_>, mut by_id: HashMap<u64, &'t str>, more: &[(u64, &'t str, bool)]) -> Result<()> {
    by_id.extend(more.iter().map(|(id, text, _)| (*id, *text)));
    let special: HashMap<u64, bool> =
        more.iter().map(|(id, text, special)| (*id, *special || looks_special(text))).collect();
    let have = by_id.keys().max().map_or(0, |last| last.saturating_add(1));
    let count = count(s, &["vocab_size"], have)?;
    if have > count {
        return Err(Fault::new(
            Blame::File,
            format!("token {} of a vocabulary of {count}, as config.json says", have - 1),
        ));
    }
    s.u32("tokenizer.ggml.token_type_count", s.config.whole(&["type_vocab_size"]).unwrap_or(1))?;
    let marked = |text: &str| text.strip_prefix("##").map_or_else(|| format!("▁{text}"), str::to_owned);
    let token = |id: u64| {
        let (text, kind) = match (by_id.get(&id), special.get(&id)) {
            (None, _) => (marked(&format!("[PAD{id}]")), Kind::Unused),
            (Some(text), Some(true)) => ((*text).to_owned(), Kind::Control),
            (Some(text), Some(false)) => (marked(&text.replace('▁', " ")), Kind::UserDefined),
            (Some(text), None) => (marked(text), Kind::Normal),
        };
        Token { text, score: 0.0, kind }
    };
    let all: Vec<Token> = (0..count).map(token).collect();
    // llama.cpp splits all of this kind alike, whatever name stands here.
    tokens(s, "bert", "default", &all, false)
}
