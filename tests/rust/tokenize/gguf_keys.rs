//! The tokenizer keys of a GGUF file (little endian, v2 or v3), read independently of the crate's reader.

use std::{collections::HashMap, path::Path};

use glassbox::tokenizer::GgufVocabulary;

/// A metadata value, as far as tokenizers need one.
enum Value {
    Whole(i64),
    Real(f32),
    Text(Vec<u8>),
    List(Vec<Value>),
}

struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.bytes[self.at..self.at + N].try_into().unwrap();
        self.at += N;
        taken
    }
    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
    fn text(&mut self) -> Vec<u8> {
        let length = self.u64() as usize;
        let text = self.bytes[self.at..self.at + length].to_vec();
        self.at += length;
        text
    }
    fn value(&mut self, kind: u32) -> Value {
        match kind {
            0 | 1 | 7 => Value::Whole(i64::from(self.take::<1>()[0])),
            2 | 3 => Value::Whole(i64::from(u16::from_le_bytes(self.take()))),
            4 => Value::Whole(i64::from(self.u32())),
            5 => Value::Whole(i64::from(i32::from_le_bytes(self.take()))),
            6 => Value::Real(f32::from_le_bytes(self.take())),
            8 => Value::Text(self.text()),
            9 => {
                let (item, count) = (self.u32(), self.u64());
                Value::List((0..count).map(|_| self.value(item)).collect())
            }
            10 | 11 => Value::Whole(self.u64() as i64),
            12 => Value::Real(f64::from_le_bytes(self.take()) as f32),
            other => panic!("value type {other} is not of GGUF"),
        }
    }
}

impl Value {
    fn list(self) -> Vec<Value> {
        if let Self::List(items) = self { items } else { panic!("expected a list") }
    }
    fn text(self) -> Vec<u8> {
        if let Self::Text(text) = self { text } else { panic!("expected a text") }
    }
    fn whole(&self) -> i64 {
        if let Self::Whole(number) = self { *number } else { panic!("expected a whole number") }
    }
    fn real(&self) -> f32 {
        if let Self::Real(number) = self { *number } else { panic!("expected a real number") }
    }
}

/// Reads the keys of a file.
pub(crate) fn read(path: &Path) -> GgufVocabulary {
    let mut reader = Reader { bytes: std::fs::read(path).unwrap(), at: 0 };
    assert_eq!(&reader.take::<4>(), b"GGUF");
    assert!(matches!(reader.u32(), 2 | 3));
    let (_tensors, count) = (reader.u64(), reader.u64());
    let mut keys = HashMap::new();
    for _ in 0..count {
        let key = String::from_utf8(reader.text()).unwrap();
        let kind = reader.u32();
        let value = reader.value(kind);
        let short = key.strip_prefix("tokenizer.ggml.").or_else(|| key.strip_prefix("general."));
        if let Some(short) = short {
            keys.insert(short.to_owned(), value);
        }
    }
    let special = keys
        .iter()
        .filter_map(|(key, value)| Some((key.strip_suffix("_token_id")?.to_owned(), value.whole() as u32)))
        .collect();
    let flag = |name: &str| keys.get(name).map(|value| value.whole() != 0);
    let (add_bos, add_eos) = (flag("add_bos_token"), flag("add_eos_token"));
    let (add_space_prefix, remove_extra_whitespaces) = (flag("add_space_prefix"), flag("remove_extra_whitespaces"));
    let (lowercase, strip_accents) = (flag("normalizer.lowercase"), flag("normalizer.strip_accents"));
    let mut text = |name: &str| keys.remove(name).map_or_else(String::new, |v| String::from_utf8(v.text()).unwrap());
    let (name, architecture) = (text("name"), text("architecture"));
    let mut list = |name: &str| keys.remove(name).map_or_else(Vec::new, Value::list);
    GgufVocabulary {
        tokens: list("tokens").into_iter().map(Value::text).collect(),
        token_types: list("token_type").iter().map(|value| value.whole() as i32).collect(),
        scores: list("scores").iter().map(Value::real).collect(),
        merges: list("merges").into_iter().map(Value::text).collect(),
        precompiled_charsmap: list("precompiled_charsmap").iter().map(|value| value.whole() as u8).collect(),
        model: String::from_utf8(keys.remove("model").unwrap().text()).unwrap(),
        pre: keys.remove("pre").map(|pre| String::from_utf8(pre.text()).unwrap()),
        special,
        add_bos,
        add_eos,
        add_space_prefix,
        remove_extra_whitespaces,
        lowercase,
        strip_accents,
        name,
        architecture,
    }
}
