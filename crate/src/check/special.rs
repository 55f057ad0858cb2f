//! Special tokens: their ids lie in the vocabulary, and the files that name them agree.

use serde_json::Value;

use super::{Subject, evidence::SideFile, vocabulary};
use crate::{
    formats::{Findings, quoted},
    model::{MetaValue, Note, NoteCode, Severity},
};

/// An id as one file states it.
struct Stated {
    id: u64,
    /// "bos_token_id in generation_config.json".
    told: String,
    place: Option<(usize, u64)>,
}

/// Names of ids in config.json and generation_config.json.
const IDS: &[&str] = &["bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"];

/// Checks ranges and agreement.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let rows = vocabulary::embedding(subject).map(|(_, rows)| rows);
    let meta = &subject.model.metadata;
    let listed = meta.array("tokenizer.ggml.tokens").map(|a| a.len);
    let most = rows.or(listed).or_else(|| meta.unsigned("config.vocab_size").filter(|_| subject.configured()));
    let mut all = from_keys(subject);
    for name in IDS {
        all.extend(ids(subject, name));
    }
    if let Some(most) = most {
        for stated in all.iter().filter(|s| s.id >= most) {
            let what =
                format!("{} is {}; the vocabulary has ids up to {}", stated.told, stated.id, most.saturating_sub(1));
            let note = Note::new(Severity::Error, what)
                .place(stated.place)
                .why("the token has no row in the embedding: using it is an error");
            findings
                .note(NoteCode::Ids, note.advice("correct the id, or take the file from the model's own repository"));
        }
    }
    agree(subject, findings);
    texts(subject, findings);
}

fn from_keys(subject: &Subject<'_>) -> Vec<Stated> {
    let meta = &subject.model.metadata;
    let ids = meta.iter().filter(|(key, _)| key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id"));
    ids.filter_map(|(key, _)| Some(Stated { id: meta.unsigned(key)?, told: key.to_owned(), place: meta.place(key) }))
        .collect()
}

/// What config.json and generation_config.json say of one id: one number, or a list.
fn ids(subject: &Subject<'_>, name: &str) -> Vec<Stated> {
    let meta = &subject.model.metadata;
    let key = format!("config.{name}");
    let place = meta.place(&key);
    let number = |v: &MetaValue| if let MetaValue::Unsigned(n, _) = v { Some(*n) } else { None };
    let found: Vec<u64> = match meta.get(&key).filter(|_| subject.configured()) {
        Some(MetaValue::Array(a)) => a.head.iter().filter_map(number).collect(),
        Some(v) => number(v).into_iter().collect(),
        None => Vec::new(),
    };
    let mut all: Vec<Stated> =
        found.into_iter().map(|id| Stated { id, told: format!("{name} in config.json"), place }).collect();
    if let Some(side) = subject.evidence.side("generation_config.json") {
        let told = format!("{name} in generation_config.json");
        let many = side.json.get(name).map(|v| v.as_array().cloned().unwrap_or_else(|| vec![v.clone()]));
        let many = many.unwrap_or_default();
        all.extend(many.iter().filter_map(Value::as_u64).map(|id| Stated {
            id,
            told: told.clone(),
            place: side.place(name),
        }));
    }
    all
}

/// config.json and generation_config.json: the second counts when text is generated.
fn agree(subject: &Subject<'_>, findings: &mut Findings) {
    for name in ["bos_token_id", "eos_token_id"] {
        let all = ids(subject, name);
        let (first, second): (Vec<&Stated>, Vec<&Stated>) = all.iter().partition(|s| s.told.ends_with(" config.json"));
        let (Some(odd), Some(other)) = (first.iter().find(|s| second.iter().all(|o| o.id != s.id)), second.first())
        else {
            continue;
        };
        let what = format!("{} is {}, {} is {}", odd.told, odd.id, other.told, other.id);
        let note = Note::new(Severity::Warning, what)
            .place(other.place)
            .why("programs differ in which file they read, so text may begin otherwise, or not end");
        findings.note(
            NoteCode::IdsThatDisagree,
            note.advice("make both files name the token that the model was trained with"),
        );
    }
}

/// A token's text in tokenizer_config.json or special_tokens_map.json: a string, or an object with its content.
fn text<'a>(side: &'a SideFile, name: &str) -> Option<&'a str> {
    let value = side.json.get(name)?;
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// The id of a token's text, by tokenizer_config.json's own list.
fn id_of(side: &SideFile, text: &str) -> Option<u64> {
    let list = side.json.get("added_tokens_decoder")?.as_object()?;
    list.iter()
        .find(|(_, v)| v.get("content").and_then(Value::as_str) == Some(text))
        .and_then(|(id, _)| id.parse().ok())
}

fn texts(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(config) = subject.evidence.side("tokenizer_config.json") else { return };
    let map = subject.evidence.side("special_tokens_map.json");
    for (name, id_name) in [("bos_token", "bos_token_id"), ("eos_token", "eos_token_id"), ("pad_token", "pad_token_id")]
    {
        let Some(here) = text(config, name) else { continue };
        if let Some(map) = map
            && let Some(there) = text(map, name).filter(|there| *there != here)
        {
            let what = format!(
                "{name} is {} in tokenizer_config.json and {} in special_tokens_map.json",
                quoted(here),
                quoted(there)
            );
            let note = Note::new(Severity::Warning, what)
                .place(config.place(name))
                .why("programs differ in which file they read");
            findings.note(
                NoteCode::TextsThatDisagree,
                note.advice("make both files name the token that the model was trained with"),
            );
        }
        let stated = ids(subject, id_name);
        let Some(id) = id_of(config, here).filter(|id| !stated.is_empty() && stated.iter().all(|s| s.id != *id)) else {
            continue;
        };
        let what = format!(
            "{name} {} is token {id} by tokenizer_config.json; {} is {}",
            quoted(here),
            stated[0].told,
            stated[0].id
        );
        let note = Note::new(Severity::Warning, what).place(stated[0].place.or_else(|| config.place(name)));
        let why = if name == "eos_token" {
            "generation may not stop where the text ends"
        } else {
            "the model may see another token than the tokenizer writes"
        };
        findings.note(NoteCode::IdsAndTexts, note.why(why).advice("make the id the one of the token's text"));
    }
}
