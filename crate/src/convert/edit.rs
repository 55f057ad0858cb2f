//! Metadata set anew and removed; tensors stay as they are.

use super::{gguf::Header, split::joined};
use crate::{
    fault::{Fault, Result},
    model::{MetaArray, MetaType, MetaValue, ModelFile},
};

/// Alignments above are taken for damage by readers.
const ALIGNMENT_MOST: u64 = 1 << 20;

/// One wish.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A key becomes what the text says, of the type that is stated, else of the type that it has, else of the one that the text looks like.
    Set {
        /// The key.
        key: String,
        /// The type stated: "u32", "string", "[f32]".
        kind: Option<Kind>,
        /// The value as written.
        text: String,
    },
    /// A key goes.
    Remove(String),
}

/// A type of values that can be written on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One value.
    One(MetaType),
    /// A list, written as JSON or with commas.
    List(MetaType),
}

impl Kind {
    fn parse(name: &str) -> Option<Self> {
        let of = |name: &str| MetaType::ALL.into_iter().find(|t| *t != MetaType::Array && t.name() == name);
        match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(item) => of(item).map(Self::List),
            None => of(name).map(Self::One),
        }
    }
}

impl Change {
    /// From "KEY=VALUE" or "KEY:TYPE=VALUE".
    ///
    /// # Errors
    /// There is no `=`, or no key before it.
    pub fn set(text: &str) -> Result<Self> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Fault::caller(format!("\"{text}\" is not of the form KEY=VALUE or KEY:TYPE=VALUE")))?;
        let stated = key.rsplit_once(':').and_then(|(key, kind)| Some((key, Kind::parse(kind)?)));
        let (key, kind) = stated.map_or((key, None), |(key, kind)| (key, Some(kind)));
        Ok(Self::Set { key: key.to_owned(), kind, text: value.to_owned() })
    }
}

/// What became of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The key.
    pub key: String,
    /// Its value before; `None` where it is new.
    pub before: Option<MetaValue>,
    /// Its value now; `None` where it is gone.
    pub after: Option<MetaValue>,
}

/// The header of a model after some changes, and what they did.
///
/// # Errors
/// The model is no GGUF file, not whole or a part of one; a value does not fit; a key to be removed is not there.
pub fn edited(model: &ModelFile, changes: &[Change]) -> Result<(Header, Vec<Changed>)> {
    if model.metadata.unsigned("split.count").is_some_and(|n| n > 1) {
        return Err(Fault::unsupported("the model lies in several files: `glassbox merge` makes one of them first"));
    }
    let mut header = joined(model)?;
    let mut done = Vec::with_capacity(changes.len());
    for change in changes {
        let key = match change {
            Change::Set { key, .. } | Change::Remove(key) => key,
        };
        if key.starts_with("split.") {
            return Err(Fault::caller(format!("{key} follows from the files: `glassbox split` and `merge` write it")));
        }
        let known = header.entries.iter().any(|entry| entry.key == *key);
        let before = if known { model.metadata.get(key).cloned() } else { None };
        let after = match change {
            Change::Remove(_) if !known => {
                return Err(Fault::caller(format!(
                    "there is no key {key} to remove; `glassbox inspect --metadata` lists them"
                )));
            }
            Change::Remove(_) => {
                header.remove(|k| k == key);
                None
            }
            Change::Set { kind, text, .. } => {
                let kind = kind.or_else(|| before.as_ref().map(kind_of)).unwrap_or_else(|| looks_like(text));
                let named = |fault: Fault| Fault::caller(format!("{key}: {}", fault.what));
                let value = value(kind, text).map_err(named)?;
                header.set(key, &value).map_err(named)?;
                Some(value)
            }
        };
        if key == "general.alignment" {
            header.alignment = alignment(after.as_ref())?;
        }
        done.push(Changed { key: key.clone(), before, after });
    }
    Ok((header, done))
}

fn kind_of(value: &MetaValue) -> Kind {
    match value {
        MetaValue::Array(array) => Kind::List(array.item),
        one => Kind::One(one.kind()),
    }
}

/// The type of a value without one: truth values, whole numbers and fractions by their spelling, text otherwise.
fn looks_like(text: &str) -> Kind {
    Kind::One(match text {
        "true" | "false" => MetaType::Bool,
        _ if text.parse::<u32>().is_ok() => MetaType::U32,
        _ if text.parse::<i32>().is_ok() => MetaType::I32,
        _ if text.parse::<u64>().is_ok() => MetaType::U64,
        _ if text.parse::<i64>().is_ok() => MetaType::I64,
        _ if text.parse::<f32>().is_ok_and(f32::is_finite) => MetaType::F32,
        _ => MetaType::String,
    })
}

fn value(kind: Kind, text: &str) -> Result<MetaValue> {
    match kind {
        Kind::One(kind) => one(kind, text),
        Kind::List(item) => {
            let head = items(text)?.iter().map(|text| one(item, text)).collect::<Result<Vec<_>>>()?;
            Ok(MetaValue::Array(MetaArray { item, len: head.len() as u64, head, place: None }))
        }
    }
}

/// Items of a list: of a JSON array where the text is one, else what stands between commas.
fn items(text: &str) -> Result<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return Ok(if text.is_empty() { Vec::new() } else { text.split(',').map(|t| t.trim().to_owned()).collect() });
    }
    let json: Vec<serde_json::Value> =
        serde_json::from_str(text).map_err(|e| Fault::caller(format!("\"{text}\" is not a JSON array: {e}")))?;
    let spelt = |item: serde_json::Value| match item {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(json.into_iter().map(spelt).collect())
}

fn one(kind: MetaType, text: &str) -> Result<MetaValue> {
    let wrong = || Fault::caller(format!("\"{text}\" is no {}", kind.name()));
    Ok(match kind {
        MetaType::String => MetaValue::String(text.to_owned()),
        MetaType::Bool => MetaValue::Bool(text.parse().map_err(|_| wrong())?),
        MetaType::F32 | MetaType::F64 => MetaValue::Float(text.parse().map_err(|_| wrong())?, kind),
        MetaType::U8 | MetaType::U16 | MetaType::U32 | MetaType::U64 => {
            MetaValue::Unsigned(text.parse().map_err(|_| wrong())?, kind)
        }
        MetaType::I8 | MetaType::I16 | MetaType::I32 | MetaType::I64 => {
            MetaValue::Signed(text.parse().map_err(|_| wrong())?, kind)
        }
        MetaType::Array => return Err(Fault::unsupported("arrays within arrays cannot be written")),
    })
}

/// The alignment that a header states; where it states none, the usual one.
fn alignment(value: Option<&MetaValue>) -> Result<u64> {
    match value {
        None => Ok(super::gguf::ALIGNMENT),
        Some(MetaValue::Unsigned(n, MetaType::U32)) if n.is_power_of_two() && *n <= ALIGNMENT_MOST => Ok(*n),
        Some(_) => Err(Fault::caller(format!(
            "general.alignment must be a u32 and a power of two up to {ALIGNMENT_MOST}: readers refuse others"
        ))),
    }
}

/// A value whose bytes are given, for keys whose value is a file's: a chat template.
pub fn text_of(key: &str, text: String) -> Change {
    Change::Set { key: key.to_owned(), kind: Some(Kind::One(MetaType::String)), text }
}
