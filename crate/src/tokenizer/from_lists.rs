//! Vocabularies of the years before tokenizer.json: `vocab.txt`, and `vocab.json` with `merges.txt`.
//!
//! Each becomes the tokenizer.json that transformers' converters make of it. Source: transformers,
//! `src/transformers/convert_slow_tokenizer.py`.

use serde_json::{Map, Value, json};

use super::{
    Vocabulary, alphabet, from_json, limits,
    settings::{Settings, added},
};
use crate::{
    fault::{Blame, Fault, Result},
    model::{Note, Severity},
};

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

/// See [`Vocabulary::from_vocab_txt`].
pub(super) fn word_piece(vocab: &[u8], config: Option<&[u8]>) -> Result<Vocabulary> {
    let settings = Settings::parse(config)?;
    if let Some(class) = settings.class().filter(|class| !is_bert(class)) {
        return Err(Fault::unsupported(format!("vocab.txt of a {class}: Glassbox knows BERT's kind only")));
    }
    let text = std::str::from_utf8(vocab).map_err(|e| broken("vocab.txt is not UTF-8").at(e.valid_up_to() as u64))?;
    let mut ids = Map::new();
    for (id, line) in text.lines().enumerate() {
        limits::check("tokens in the vocabulary", id + 1, limits::TOKENS)?;
        ids.insert(line.trim_end().to_owned(), json!(id));
    }
    if !ids.contains_key("[UNK]") && settings.token("unk_token").is_none() {
        return Err(broken("vocab.txt has no token [UNK], which WordPiece needs"));
    }
    let mut notes = Vec::new();
    let has_capitals =
        || ids.keys().any(|token| !token.starts_with('[') && token.chars().any(|c| c.is_ascii_uppercase()));
    let lowercase = settings.flag("do_lower_case").unwrap_or_else(|| {
        let lowercase = !has_capitals();
        let made = if lowercase {
            "made small, because no token has capital ones"
        } else {
            "kept, because tokens have capital ones"
        };
        notes.push(
            Note::new(
                Severity::Warning,
                format!("No tokenizer_config.json says whether letters are made small; they are {made}."),
            )
            .advice("Add tokenizer_config.json."),
        );
        lowercase
    });
    let name = |key: &str, default: &'static str| settings.token(key).unwrap_or(default).to_owned();
    let (unknown, cls, sep) = (name("unk_token", "[UNK]"), name("cls_token", "[CLS]"), name("sep_token", "[SEP]"));
    let specials = [&unknown, &sep, &name("pad_token", "[PAD]"), &cls, &name("mask_token", "[MASK]")];
    let id_of = |token: &str| ids.get(token).and_then(Value::as_u64);
    let mut list = settings.added();
    if list.is_empty() {
        list = specials.iter().filter_map(|text| Some(added(id_of(text)?, text, true, |_, default| default))).collect();
        crate::order::sort_by_key(&mut list, |token| token["id"].as_u64());
    }
    let processor = match (id_of(&cls), id_of(&sep)) {
        (Some(first), Some(last)) => json!({"type": "BertProcessing", "cls": [cls, first], "sep": [sep, last]}),
        _ => Value::Null,
    };
    let file = json!({
        "version": "1.0",
        "added_tokens": list,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": settings.flag("tokenize_chinese_chars").unwrap_or(true),
            "strip_accents": settings.flag("strip_accents"), "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": processor,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": ids,
        },
    });
    finish(&file, "WordPiece (vocab.txt)", &settings, notes)
}

fn is_bert(class: &str) -> bool {
    [
        "BertTokenizer",
        "DistilBertTokenizer",
        "ElectraTokenizer",
        "MobileBertTokenizer",
        "DPRQuestionEncoderTokenizer",
        "PreTrainedTokenizer",
    ]
    .contains(&class)
}

fn template(first: Option<(&str, u64)>, last: Option<(&str, u64)>) -> Value {
    let token = |(text, _): (&str, u64)| json!({"SpecialToken": {"id": text, "type_id": 0}});
    let mut single: Vec<Value> = first.map(token).into_iter().collect();
    single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
    single.extend(last.map(token));
    let ids: Map<String, Value> = first
        .into_iter()
        .chain(last)
        .map(|(text, id)| (text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]})))
        .collect();
    json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": ids})
}

/// See [`Vocabulary::from_vocab_and_merges`].
pub(super) fn byte_level(vocab: &[u8], merges: &[u8], config: Option<&[u8]>) -> Result<Vocabulary> {
    let settings = Settings::parse(config)?;
    let ids: Map<String, Value> =
        serde_json::from_slice(vocab).map_err(|e| broken(format!("vocab.json is not a list of tokens: {e}")))?;
    let text = std::str::from_utf8(merges).map_err(|e| broken("merges.txt is not UTF-8").at(e.valid_up_to() as u64))?;
    let mut pairs = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        if line.is_empty() || (nth == 0 && line.starts_with("#version")) {
            continue;
        }
        limits::check("merges in the vocabulary", nth, limits::MERGES)?;
        let pair = line.split_once(' ').filter(|(_, right)| !right.contains(' '));
        let (left, right) = pair.ok_or_else(|| {
            broken(format!("merges.txt, line {}: two tokens with one space between expected, {line:?} found", nth + 1))
        })?;
        pairs.push(json!([left, right]));
    }
    let mut notes = Vec::new();
    let class = settings.class().unwrap_or_else(|| {
        notes.push(
            Note::new(
                Severity::Warning,
                "No tokenizer_config.json names the kind of this vocabulary; GPT-2's rules split the text.",
            )
            .advice("Add tokenizer_config.json, or use tokenizer.json."),
        );
        "GPT2Tokenizer"
    });
    let covered = (0..=255).filter(|byte| ids.contains_key(&alphabet::to_char(*byte).to_string())).count();
    if covered < 128 {
        return Err(Fault::unsupported(format!(
            "vocab.json has tokens for {covered} of the 256 byte characters: not a byte-level vocabulary, so how it splits text is not known"
        )));
    }
    let id_of = |token: &str| ids.get(token).and_then(Value::as_u64);
    let own = |key: &str, default: &str| {
        let text = settings.token(key).unwrap_or(default).to_owned();
        id_of(&text).map(|id| (text, id))
    };
    let prefix = settings.flag("add_prefix_space").unwrap_or(false);
    let level = json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true});
    let (normalizer, splitter, processor) = match class {
        "GPT2Tokenizer" | "CodeGenTokenizer" | "WhisperTokenizer" | "BlenderbotTokenizer" => {
            let bos = own("bos_token", "<|endoftext|>").filter(|_| settings.flag("add_bos_token") == Some(true));
            let processor = bos.map_or(Value::Null, |(text, id)| template(Some((&text, id)), None));
            (Value::Null, level, processor)
        }
        "RobertaTokenizer" | "BartTokenizer" | "LongformerTokenizer" | "LEDTokenizer" => {
            let (first, last) = (own("bos_token", "<s>"), own("eos_token", "</s>"));
            let processor = template(
                first.as_ref().map(|(text, id)| (text.as_str(), *id)),
                last.as_ref().map(|(text, id)| (text.as_str(), *id)),
            );
            (Value::Null, level, processor)
        }
        "Qwen2Tokenizer" => {
            let pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
            let split =
                json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
            let level =
                json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": false});
            (json!({"type": "NFC"}), json!({"type": "Sequence", "pretokenizers": [split, level]}), Value::Null)
        }
        other => {
            return Err(Fault::unsupported(format!(
                "vocab.json and merges.txt of a {other}: Glassbox does not know its splitting rules; add tokenizer.json"
            )));
        }
    };
    let mut list = settings.added();
    if list.is_empty() {
        let named = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
        let usual = ["<s>", "</s>", "<unk>", "<pad>", "<mask>", "<|endoftext|>"];
        let texts = named.iter().filter_map(|key| settings.token(key)).chain(usual);
        let mut seen = std::collections::BTreeMap::new();
        seen.extend(texts.filter_map(|text| Some((id_of(text)?, text))));
        list = seen.into_iter().map(|(id, text)| added(id, text, true, |_, default| default)).collect();
    }
    let file = json!({
        "version": "1.0",
        "added_tokens": list,
        "normalizer": normalizer,
        "pre_tokenizer": splitter,
        "post_processor": processor,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": ids, "merges": pairs, "unk_token": null},
    });
    finish(&file, "Byte-level BPE (vocab.json, merges.txt)", &settings, notes)
}

fn finish(file: &Value, title: &str, settings: &Settings, notes: Vec<Note>) -> Result<Vocabulary> {
    let mut vocabulary = from_json::build(file.to_string().as_bytes())?;
    title.clone_into(&mut vocabulary.title);
    vocabulary.notes.extend(notes);
    vocabulary.name_ends(settings);
    Ok(vocabulary)
}
