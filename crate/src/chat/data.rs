//! JSON for templates, with its keys in the order of the file: templates write them out so.

use std::fmt;

use minijinja::Value;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::fault::{Blame, Fault, Result};

/// A JSON value as a template sees it; null by default.
#[derive(Debug, Clone)]
pub struct Data(pub(super) Value);

impl Default for Data {
    fn default() -> Self {
        Self(Value::from(()))
    }
}

impl Data {
    /// Reads JSON.
    ///
    /// # Errors
    /// The text is not JSON, or lists and objects lie too deep inside each other.
    pub fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|e| Fault::new(Blame::Caller, format!("not JSON: {e}")))
    }
    /// A conversation of one message of a user.
    pub fn said(text: &str) -> Self {
        Self(Value::from(vec![Value::from_pairs([("role", "user"), ("content", text)])]))
    }
    /// A list.
    pub fn list(items: Vec<Self>) -> Self {
        Self(Value::from(items.into_iter().map(|Data(item)| item).collect::<Vec<_>>()))
    }
    /// A text.
    pub fn text(text: &str) -> Self {
        Self(Value::from(text))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::default())
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Data, E> {
        Ok(Data(Value::from(flag)))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Data, E> {
        Ok(Data(Value::from(number)))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Data, E> {
        Ok(Data(Value::from(number)))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Data, E> {
        Ok(Data(Value::from(number)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Data, E> {
        Ok(Data(Value::from(text)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Data, A::Error> {
        let mut all = Vec::new();
        while let Some(Data(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(Data(Value::from(all)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Data, A::Error> {
        let mut all = Vec::new();
        while let Some((name, Data(item))) = fields.next_entry::<String, Data>()? {
            all.push((name, item));
        }
        Ok(Data(Value::from_pairs(all)))
    }
}
