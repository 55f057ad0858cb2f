//! JSON as metadata: nested objects by dotted keys.

use std::collections::HashSet;

use super::Text;
use crate::formats::codec::json::Json;
use crate::model::{MetaArray, MetaType, MetaValue, Metadata};

/// Writes a JSON value as metadata: nested keys joined by dots, lists of plain values as arrays; null says nothing.
pub(in crate::formats) fn flatten(key: &str, value: &Json, out: &mut Metadata) {
    flatten_at(key, value, &mut Text::nowhere(), None, out);
}

/// The same, with the places of the keys; `at` is that of `key` itself.
pub(in crate::formats) fn flatten_at(
    key: &str,
    value: &Json,
    text: &mut Text<'_>,
    at: Option<u64>,
    out: &mut Metadata,
) {
    let value = match value {
        Json::Object(members) => {
            for (name, value) in members {
                let at = text.find(name);
                flatten_at(&format!("{key}.{name}"), value, text, at, out);
            }
            return;
        }
        Json::Array(items) if items.iter().any(|i| matches!(i, Json::Object(_) | Json::Array(_) | Json::Null)) => {
            for (i, item) in items.iter().enumerate() {
                flatten_at(&format!("{key}.{i}"), item, text, at, out);
            }
            return;
        }
        Json::Array(items) => MetaValue::Array(plain_array(items)),
        other => match scalar(other) {
            Some(value) => value,
            None => return,
        },
    };
    match at {
        Some(at) => out.push_at(key.to_owned(), value, text.file, at),
        None => out.push(key, value),
    }
}

fn plain_array(items: &[Json]) -> MetaArray {
    let head: Vec<MetaValue> = items.iter().filter_map(scalar).collect();
    let kinds: HashSet<MetaType> = head.iter().map(MetaValue::kind).collect();
    let item = match kinds.len() {
        1 => kinds.into_iter().next().unwrap_or(MetaType::String),
        2 if kinds.contains(&MetaType::U64) && kinds.contains(&MetaType::I64) => MetaType::I64,
        _ if !kinds.contains(&MetaType::String) && !kinds.contains(&MetaType::Bool) && !kinds.is_empty() => {
            MetaType::F64
        }
        _ => MetaType::String,
    };
    let uniform = |value: MetaValue| match (item, value) {
        (MetaType::I64, MetaValue::Unsigned(n, _)) if i64::try_from(n).is_ok() => MetaValue::Signed(n as i64, item),
        (MetaType::F64, MetaValue::Unsigned(n, _)) => MetaValue::Float(n as f64, item),
        (MetaType::F64, MetaValue::Signed(n, _)) => MetaValue::Float(n as f64, item),
        (MetaType::String, MetaValue::Unsigned(n, _)) => MetaValue::String(n.to_string()),
        (MetaType::String, MetaValue::Signed(n, _)) => MetaValue::String(n.to_string()),
        (MetaType::String, MetaValue::Float(n, _)) => MetaValue::String(n.to_string()),
        (MetaType::String, MetaValue::Bool(b)) => MetaValue::String(b.to_string()),
        (_, value) => value,
    };
    let head: Vec<MetaValue> = head.into_iter().map(uniform).collect();
    MetaArray { item, len: head.len() as u64, head, place: None }
}

fn scalar(value: &Json) -> Option<MetaValue> {
    Some(match value {
        Json::Bool(b) => MetaValue::Bool(*b),
        Json::String(s) => MetaValue::String(s.clone()),
        Json::Number(n) => match (n.as_u64(), n.as_i64(), n.as_f64()) {
            (Some(n), ..) => MetaValue::Unsigned(n, MetaType::U64),
            (None, Some(n), _) => MetaValue::Signed(n, MetaType::I64),
            (.., Some(n)) => MetaValue::Float(n, MetaType::F64),
            _ => return None,
        },
        _ => return None,
    })
}
