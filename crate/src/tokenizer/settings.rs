//! What `tokenizer_config.json` says about a tokenizer whose vocabulary lies in other files.

use serde_json::{Map, Value, json};

use crate::fault::{Blame, Fault, Result};

/// The settings; empty where there is no such file.
#[derive(Debug, Default)]
pub(super) struct Settings(Map<String, Value>);

impl Settings {
    /// Reads the file.
    pub(super) fn parse(json: Option<&[u8]>) -> Result<Self> {
        let Some(json) = json else { return Ok(Self::default()) };
        match serde_json::from_slice(json) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Fault::new(Blame::File, "tokenizer_config.json is not an object")),
            Err(e) => Err(Fault::new(Blame::File, format!("tokenizer_config.json is not JSON: {e}"))),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// "BertTokenizer" of `BertTokenizerFast`.
    pub(super) fn class(&self) -> Option<&str> {
        self.0.get("tokenizer_class").and_then(Value::as_str).map(|name| name.strip_suffix("Fast").unwrap_or(name))
    }

    /// The text of a token such as `bos_token`, written plainly or as an object.
    pub(super) fn token(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        value.as_str().or_else(|| value.get("content").and_then(Value::as_str))
    }

    /// `added_tokens_decoder` as tokenizer.json writes added tokens.
    pub(super) fn added(&self) -> Vec<Value> {
        let Some(all) = self.0.get("added_tokens_decoder").and_then(Value::as_object) else { return Vec::new() };
        let mut tokens: Vec<(u64, Value)> = all
            .iter()
            .filter_map(|(id, token)| {
                let id: u64 = id.parse().ok()?;
                let content = token.get("content")?.as_str()?;
                let flag = |name: &str, default: bool| token.get(name).and_then(Value::as_bool).unwrap_or(default);
                Some((id, added(id, content, flag("special", false), flag)))
            })
            .collect();
        crate::order::sort_by_key(&mut tokens, |(id, _)| *id);
        tokens.into_iter().map(|(_, token)| token).collect()
    }
}

/// An added token as tokenizer.json writes it.
pub(super) fn added(id: u64, content: &str, special: bool, flag: impl Fn(&str, bool) -> bool) -> Value {
    json!({
        "id": id, "content": content, "special": special,
        "single_word": flag("single_word", false), "lstrip": flag("lstrip", false),
        "rstrip": flag("rstrip", false), "normalized": flag("normalized", !special),
    })
}
