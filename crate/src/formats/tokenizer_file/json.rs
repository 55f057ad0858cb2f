//! `tokenizer.json`, `tekken.json` and `vocab.json`: what they say of themselves, without building a tokenizer.

use super::{Told, sniff::TokenizerKind, strings};
use crate::{
    fault::{Fault, Result},
    formats::{
        codec::json::{Json, Scanner},
        merge,
    },
    model::{MetaType, MetaValue, Metadata},
};

/// Special tokens that are listed.
const LISTED: usize = 64;
/// Steps of a sequence that are named.
const STEPS: usize = 16;

/// What could be read, and the fault that ended it.
pub(super) fn read(kind: TokenizerKind, text: &[u8]) -> (Told, Option<Fault>) {
    let skipped = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut scanner = Scanner::new(text.get(skipped..).unwrap_or(&[]), skipped as u64);
    let mut found = Found::default();
    let result = found.document(kind, &mut scanner).and_then(|()| match scanner.peek() {
        None => Ok(()),
        Some(_) => Err(scanner.fault("the end of the document")),
    });
    (found.told(kind), result.err())
}

#[derive(Default)]
struct Found {
    algorithm: Option<String>,
    /// Entries of the vocabulary, and one past the highest id.
    vocab: u64,
    ids: u64,
    /// The vocabulary is a list with scores, not a map to ids.
    listed: bool,
    merges: Option<u64>,
    added: u64,
    special: Vec<MetaValue>,
    entries: Vec<(String, MetaValue)>,
    /// Of tekken: the size that the model uses.
    size: Option<u64>,
}

fn number(n: u64) -> MetaValue {
    MetaValue::Unsigned(n, MetaType::U64)
}

/// Calls `each` with every key of an object; it takes the value.
fn members(scanner: &mut Scanner<'_>, mut each: impl FnMut(&str, &mut Scanner<'_>) -> Result<()>) -> Result<()> {
    scanner.expect(b'{')?;
    let mut first = true;
    while scanner.member(b'}', first)? {
        first = false;
        let key = scanner.string()?;
        scanner.expect(b':')?;
        each(&key, scanner)?;
    }
    Ok(())
}

/// Calls `each` before every item of an array; it takes the item.
fn items(scanner: &mut Scanner<'_>, mut each: impl FnMut(&mut Scanner<'_>) -> Result<()>) -> Result<()> {
    scanner.expect(b'[')?;
    let mut first = true;
    while scanner.member(b']', first)? {
        first = false;
        each(scanner)?;
    }
    Ok(())
}

impl Found {
    fn document(&mut self, kind: TokenizerKind, scanner: &mut Scanner<'_>) -> Result<()> {
        match kind {
            TokenizerKind::Tekken => members(scanner, |key, scanner| self.tekken(key, scanner)),
            TokenizerKind::Lists => self.vocabulary(scanner),
            _ => members(scanner, |key, scanner| self.tokenizer(key, scanner)),
        }
    }
    /// Texts with their ids.
    fn vocabulary(&mut self, scanner: &mut Scanner<'_>) -> Result<()> {
        members(scanner, |_, scanner| {
            let id = scanner.whole()?;
            self.vocab += 1;
            self.ids = self.ids.max(id.saturating_add(1));
            Ok(())
        })
    }
    fn tokenizer(&mut self, key: &str, scanner: &mut Scanner<'_>) -> Result<()> {
        match key {
            "added_tokens" if scanner.peek() == Some(b'[') => items(scanner, |scanner| {
                let token = scanner.value()?;
                self.added += 1;
                if let Some(Json::Number(id)) = token.get("id") {
                    self.ids = self.ids.max(id.as_u64().unwrap_or(0).saturating_add(1));
                }
                if let (Some(Json::Bool(true)), Some(Json::String(text))) = (token.get("special"), token.get("content"))
                    && self.special.len() < LISTED
                {
                    self.special.push(MetaValue::String(text.clone()));
                }
                Ok(())
            }),
            "model" if scanner.peek() == Some(b'{') => members(scanner, |key, scanner| self.model(key, scanner)),
            "normalizer" | "pre_tokenizer" | "post_processor" | "decoder" => {
                let told = step(&scanner.value()?);
                self.entries.push((format!("tokenizer.{key}"), MetaValue::String(told)));
                Ok(())
            }
            "version" | "truncation" | "padding" => {
                let value = scanner.value()?;
                let mut out = Metadata::default();
                merge::flatten(&format!("tokenizer.{key}"), &value, &mut out);
                self.entries.extend(out.iter().map(|(key, value)| (key.to_owned(), value.clone())));
                Ok(())
            }
            _ => scanner.value().map(drop),
        }
    }
    fn model(&mut self, key: &str, scanner: &mut Scanner<'_>) -> Result<()> {
        match (key, scanner.peek()) {
            ("vocab", Some(b'{')) => self.vocabulary(scanner),
            ("vocab", Some(b'[')) => items(scanner, |scanner| {
                scanner.value()?;
                self.listed = true;
                self.vocab += 1;
                self.ids = self.ids.max(self.vocab);
                Ok(())
            }),
            ("merges", Some(b'[')) => {
                let mut count = 0;
                items(scanner, |scanner| {
                    count += 1;
                    scanner.value().map(drop)
                })?;
                self.merges = Some(count);
                Ok(())
            }
            _ => {
                let value = scanner.value()?;
                if let ("type", Json::String(name)) = (key, &value) {
                    self.algorithm = Some(name.clone());
                }
                let mut out = Metadata::default();
                merge::flatten(&format!("tokenizer.model.{key}"), &value, &mut out);
                self.entries.extend(out.iter().map(|(key, value)| (key.to_owned(), value.clone())));
                Ok(())
            }
        }
    }
    fn tekken(&mut self, key: &str, scanner: &mut Scanner<'_>) -> Result<()> {
        match (key, scanner.peek()) {
            ("config", _) => {
                let value = scanner.value()?;
                if let Some(Json::Number(n)) = value.get("default_vocab_size") {
                    self.size = n.as_u64();
                }
                let mut out = Metadata::default();
                merge::flatten("tekken", &value, &mut out);
                self.entries.extend(out.iter().map(|(key, value)| (key.to_owned(), value.clone())));
                Ok(())
            }
            ("vocab", Some(b'[')) => items(scanner, |scanner| {
                self.vocab += 1;
                scanner.value().map(drop)
            }),
            ("special_tokens", Some(b'[')) => items(scanner, |scanner| {
                if let Some(Json::String(text)) = scanner.value()?.get("token_str")
                    && self.special.len() < LISTED
                {
                    self.special.push(MetaValue::String(text.clone()));
                }
                Ok(())
            }),
            _ => scanner.value().map(drop),
        }
    }
    /// Files of before the field `type` are told apart by what they hold.
    fn guessed(&self) -> &'static str {
        let has = |key: &str| self.entries.iter().any(|(k, _)| k == key);
        match () {
            () if self.listed => "Unigram",
            () if self.merges.is_some() => "BPE",
            () if has("tokenizer.model.continuing_subword_prefix") => "WordPiece",
            () => "WordLevel",
        }
    }
    fn told(mut self, kind: TokenizerKind) -> Told {
        let mut entries = std::mem::take(&mut self.entries);
        entries.push(("tokenizer.vocabulary".to_owned(), number(self.vocab)));
        if let Some(merges) = self.merges {
            entries.push(("tokenizer.merges".to_owned(), number(merges)));
        }
        if self.added > 0 {
            entries.push(("tokenizer.added_tokens".to_owned(), number(self.added)));
        }
        if !self.special.is_empty() {
            let special = std::mem::take(&mut self.special);
            entries.push(("tokenizer.special_tokens".to_owned(), strings(special)));
        }
        self.entries = std::mem::take(&mut entries);
        let (name, algorithm) = match kind {
            TokenizerKind::Tekken => ("Tekken", "byte-level BPE by ranks".to_owned()),
            TokenizerKind::Lists => ("vocab.json", "BPE, with its merges in merges.txt".to_owned()),
            _ => ("tokenizer.json", self.algorithm.clone().unwrap_or_else(|| self.guessed().to_owned())),
        };
        let tokens = self.size.unwrap_or(self.ids.max(self.vocab));
        Told { kind: name, algorithm, tokens: Some(tokens), entries: self.entries }
    }
}

/// "ByteLevel"; of a sequence its steps: "Sequence (Split, ByteLevel)".
fn step(value: &Json) -> String {
    let name = match value.get("type") {
        Some(Json::String(name)) => name.clone(),
        _ if matches!(value, Json::Null) => return "none".to_owned(),
        _ => return "without a type".to_owned(),
    };
    let list = ["normalizers", "pretokenizers", "processors", "decoders"].iter().find_map(|key| match value.get(key) {
        Some(Json::Array(items)) => Some(items),
        _ => None,
    });
    let Some(list) = list else { return name };
    let steps: Vec<String> = list.iter().take(STEPS).map(step).collect();
    format!("{name} ({})", steps.join(", "))
}
