//! Byte-level BPE: tokens in the byte alphabet, merges, and the name of the rules that split a text.

use std::collections::HashMap;

use serde_json::Value;

use super::{Files, Kind, Token, added, count, looks_special, tokens};
use crate::{
    convert::to_gguf::{plan::Options, settings::Settings},
    fault::{Blame, Fault, Result},
    model::{MetaType, MetaValue},
    tokenizer::{GgufVocabulary, Vocabulary, rules_of},
};

fn broken(what: &str) -> Fault {
    Fault::new(Blame::File, what).in_file("tokenizer.json")
}

/// From tokenizer.json.
pub(super) fn write(s: &mut Settings<'_>, found: &Files<'_>, options: &Options, notes: &mut Vec<String>) -> Result<()> {
    let model = found.model().ok_or_else(|| broken("no model"))?;
    let vocab =
        model.get("vocab").and_then(Value::as_object).ok_or_else(|| broken("model.vocab is no map of tokens"))?;
    let base = vocab.iter().filter_map(|(text, id)| Some((text.as_str(), id.as_u64()?)));
    let merges = merges(model.get("merges"))?;
    let list = list(s, base, &added(found))?;
    let ignore = model.get("ignore_merges").and_then(Value::as_bool).unwrap_or(false);
    let pre = match &options.pre {
        Some(pre) => pre.clone(),
        None => pre(s, &list, &merges, &found.json_bytes, ignore, notes)?,
    };
    write_all(s, &pre, &list, merges)
}

/// From vocab.json and merges.txt.
pub(super) async fn from_lists(
    s: &mut Settings<'_>,
    found: &Files<'_>,
    vocab: &[u8],
    merges: &[u8],
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<()> {
    let json = super::parsed("vocab.json", vocab)?;
    let map = json.as_object().ok_or_else(|| Fault::new(Blame::File, "no map of tokens").in_file("vocab.json"))?;
    let base = map.iter().filter_map(|(text, id)| Some((text.as_str(), id.as_u64()?)));
    let more = match found.read("added_tokens.json").await? {
        Some(bytes) => super::parsed("added_tokens.json", &bytes)?,
        None => Value::Null,
    };
    let more: Vec<(u64, &str, bool)> =
        more.as_object().into_iter().flatten().filter_map(|(t, id)| Some((id.as_u64()?, t.as_str(), false))).collect();
    let list = list(s, base, &more)?;
    let lines = String::from_utf8_lossy(merges);
    let pairs = lines.lines().filter(|line| !line.starts_with("#version") && !line.trim().is_empty());
    let merges: Vec<String> = pairs.map(|line| line.trim().to_owned()).collect();
    let pre = match &options.pre {
        Some(pre) => pre.clone(),
        None => {
            let config = serde_json::to_vec(&found.settings).ok().filter(|_| !found.settings.is_null());
            let own = Vocabulary::from_vocab_and_merges(vocab, lines.as_bytes(), config.as_deref())?;
            named(s, &list, &merges, &own, false, notes)?
        }
    };
    write_all(s, &pre, &list, merges)
}

fn write_all(s: &mut Settings<'_>, pre: &str, list: &[Token], merges: Vec<String>) -> Result<()> {
    tokens(s, "gpt2", pre, list, false)?;
    let merges = merges.into_iter().map(MetaValue::String).collect::<Vec<_>>();
    if merges.is_empty() { Ok(()) } else { s.list("tokenizer.ggml.merges", MetaType::String, merges) }
}

/// Tokens by their ids; ids without one are said to be unused.
fn list<'t>(
    s: &Settings<'_>,
    base: impl Iterator<Item = (&'t str, u64)>,
    more: &[(u64, &'t str, bool)],
) -> Result<Vec<Token>> {
    let mut by_id: HashMap<u64, &str> = base.map(|(text, id)| (id, text)).collect();
    let special: HashMap<u64, bool> = more.iter().map(|(id, _, special)| (*id, *special)).collect();
    by_id.extend(more.iter().map(|(id, text, _)| (*id, *text)));
    let have = by_id.keys().max().map_or(0, |last| last.saturating_add(1));
    let count = count(s, &["vocab_size"], have)?;
    if have > count {
        let what = format!("token {} of a vocabulary of {count}, as config.json says", have - 1);
        return Err(broken(&what));
    }
    let token = |id: u64| {
        let (text, kind) = match (by_id.get(&id), special.get(&id)) {
            (None, _) => (format!("[PAD{id}]"), Kind::Unused),
            (Some(text), None) => ((*text).to_owned(), Kind::Normal),
            (Some(text), Some(special)) if *special || looks_special(text) => ((*text).to_owned(), Kind::Control),
            (Some(text), Some(_)) => (text.replace('▁', " "), Kind::UserDefined),
        };
        Token { text, score: 0.0, kind }
    };
    Ok((0..count).map(token).collect())
}

/// Merges as "a b"; a space within a part is written as the byte alphabet has it.
fn merges(value: Option<&Value>) -> Result<Vec<String>> {
    let Some(list) = value.and_then(Value::as_array) else { return Ok(Vec::new()) };
    let merge = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(pair) => match pair.as_slice() {
            [Value::String(a), Value::String(b)] => Some(format!("{} {}", a.replace(' ', "Ġ"), b.replace(' ', "Ġ"))),
            _ => None,
        },
        _ => None,
    };
    list.iter().map(|value| merge(value).ok_or_else(|| broken("a merge that is no pair"))).collect()
}

fn pre(
    s: &Settings<'_>,
    list: &[Token],
    merges: &[String],
    json: &[u8],
    ignore_merges: bool,
    notes: &mut Vec<String>,
) -> Result<String> {
    let own = Vocabulary::from_json(json).map_err(|fault| fault.in_file("tokenizer.json"))?;
    named(s, list, merges, &own, ignore_merges, notes)
}

/// The name of the rules, by what the model's own tokenizer makes of probing texts.
fn named(
    s: &Settings<'_>,
    list: &[Token],
    merges: &[String],
    own: &Vocabulary,
    ignore_merges: bool,
    notes: &mut Vec<String>,
) -> Result<String> {
    let keys = GgufVocabulary {
        model: "gpt2".into(),
        tokens: list.iter().map(|t| t.text.clone().into_bytes()).collect(),
        token_types: list.iter().map(|t| t.kind as i32).collect(),
        merges: merges.iter().map(|m| m.clone().into_bytes()).collect(),
        architecture: s.architecture.to_owned(),
        ..GgufVocabulary::default()
    };
    let pre = rules_of(keys, own, ignore_merges, hints(s.architecture))?;
    notes.push(format!(
        "text is split by the rules of {pre:?} (tokenizer.ggml.pre), by what the tokenizer makes of probing texts"
    ));
    Ok(pre.to_owned())
}

/// Names under which an architecture's models have their rules, where those agree.
fn hints(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "qwen2" | "qwen2moe" | "qwen3" | "qwen3moe" => &["qwen2"],
        "llama" => &["llama-bpe", "tekken", "smollm", "deepseek-llm"],
        "smollm3" | "lfm2" => &["llama-bpe"],
        "command-r" | "cohere2" => &["command-r"],
        "granite" | "granitemoe" => &["refact"],
        "olmo" | "olmo2" | "olmoe" | "gptneox" | "mamba" => &["olmo"],
        "phi2" => &["phi-2"],
        "exaone4" => &["exaone4"],
        "modern-bert" => &["modern-bert"],
        "bert" => &["roberta-bpe"],
        "stablelm" => &["stablelm2"],
        "starcoder2" => &["starcoder"],
        "glm4" => &["glm4"],
        "hunyuan-dense" => &["hunyuan-dense", "hunyuan"],
        "seed_oss" => &["seed-coder"],
        _ => &[],
    }
}
