//! JSON read forward from a slice, with the byte offset of everything and no copy of what is passed.
//!
//! serde_json parses the scalars; the structure is walked here because its errors name lines, not bytes,
//! and because what came before an error should be kept.

use std::borrow::Cow;

use crate::fault::{Fault, Result};

/// Values within values, at most.
const DEEPEST: usize = 64;

/// A position in JSON text; offsets in faults are `base` plus the position.
pub(in crate::formats) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    base: u64,
}

impl<'a> Scanner<'a> {
    pub(in crate::formats) fn new(text: &'a [u8], base: u64) -> Self {
        Self { text, at: 0, base }
    }
    /// Absolute offset of the next byte.
    pub(in crate::formats) fn position(&self) -> u64 {
        self.base + self.at as u64
    }
    /// Bytes not yet read.
    pub(in crate::formats) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or(&[])
    }
    pub(in crate::formats) fn fault(&self, expected: &str) -> Fault {
        let found = match self.rest().first() {
            None => "the end of the text".to_owned(),
            Some(b @ b'!'..=b'~') => format!("'{}'", *b as char),
            Some(b) => format!("byte {b:#04x}"),
        };
        Fault::file(self.position(), format!("{expected} expected, {found} found"))
    }
    /// The next byte that is no white space, not taken.
    pub(in crate::formats) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }
    /// Takes this byte after white space.
    pub(in crate::formats) fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.fault(&format!("'{}'", byte as char)));
        }
        self.at += 1;
        Ok(())
    }
    /// Inside `open ... close`: true before each member, false after the last. `first` is true before any.
    pub(in crate::formats) fn member(&mut self, close: u8, first: bool) -> Result<bool> {
        match self.peek() {
            Some(b) if b == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                if self.peek() == Some(close) { Err(self.fault("another member")) } else { Ok(true) }
            }
            Some(_) if first => Ok(true),
            _ => Err(self.fault(&format!("',' or '{}'", close as char))),
        }
    }
    /// A string.
    pub(in crate::formats) fn string(&mut self) -> Result<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("a string"));
        }
        let start = self.at;
        let mut end = start + 1;
        let mut plain = true;
        loop {
            // Most bytes are plain: pass them in one tight loop.
            let ahead = self.text.get(end..).unwrap_or(&[]);
            end += ahead.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(ahead.len());
            match self.text.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    end += 2;
                }
                Some(_) => {
                    self.at = end;
                    return Err(self.fault("a string without control characters"));
                }
                None => {
                    self.at = self.text.len();
                    return Err(self.fault("the end of a string"));
                }
            }
        }
        let wrong = |what: String| Fault::file(self.base + start as u64, what);
        let text = if plain {
            Cow::Borrowed(
                std::str::from_utf8(&self.text[start + 1..end])
                    .map_err(|e| Fault::file(self.base + (start + 1 + e.valid_up_to()) as u64, "UTF-8 expected"))?,
            )
        } else {
            let quoted = &self.text[start..=end];
            Cow::Owned(serde_json::from_slice(quoted).map_err(|e| wrong(format!("a string expected: {e}")))?)
        };
        self.at = end + 1;
        Ok(text)
    }
    /// A whole number.
    pub(in crate::formats) fn whole(&mut self) -> Result<u64> {
        self.peek();
        if let Some((n, len)) = plain_number(self.rest()) {
            self.at += len;
            return Ok(n);
        }
        let at = self.position();
        let raw = self.number_text();
        std::str::from_utf8(raw)
            .ok()
            .filter(|t| t.len() == 1 || !t.starts_with('0'))
            .filter(|t| t.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|t| t.parse().ok())
            .ok_or_else(|| {
                let found = if raw.is_empty() { "something else".into() } else { String::from_utf8_lossy(raw) };
                Fault::file(at, format!("a whole number from 0 to 2^64 - 1 expected, {found} found"))
            })
    }
    fn number_text(&mut self) -> &'a [u8] {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }
    /// Any value.
    pub(in crate::formats) fn value(&mut self) -> Result<Json> {
        self.nested(0)
    }
    fn nested(&mut self, depth: usize) -> Result<Json> {
        if depth > DEEPEST {
            return Err(Fault::limit(format!("JSON nested more than {DEEPEST} deep")).at(self.position()));
        }
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                let mut members = Vec::new();
                while self.member(b'}', members.is_empty())? {
                    let key = self.string()?.into_owned();
                    self.expect(b':')?;
                    members.push((key, self.nested(depth + 1)?));
                }
                Ok(Json::Object(members))
            }
            Some(b'[') => {
                self.at += 1;
                let mut items = Vec::new();
                while self.member(b']', items.is_empty())? {
                    items.push(self.nested(depth + 1)?);
                }
                Ok(Json::Array(items))
            }
            Some(b'"') => Ok(Json::String(self.string()?.into_owned())),
            Some(b'-' | b'0'..=b'9') => {
                let at = self.position();
                let raw = self.number_text();
                serde_json::from_slice(raw)
                    .map(Json::Number)
                    .map_err(|_| Fault::file(at, format!("a number expected, {} found", String::from_utf8_lossy(raw))))
            }
            _ => {
                for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
                    if self.rest().starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.fault("a value"))
            }
        }
    }
}

/// The whole number that `text` starts with, and its length; `None` leaves what is longer or odd to the careful way.
fn plain_number(text: &[u8]) -> Option<(u64, usize)> {
    // 19 digits always fit 64 bits.
    const DIGITS: usize = 19;
    let mut n = 0;
    for (len, byte) in text.iter().take(DIGITS + 1).enumerate() {
        match byte {
            b'0'..=b'9' if len < DIGITS => n = n * 10 + u64::from(byte - b'0'),
            b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E' => return None,
            _ => return (len == 1 || len > 1 && text.first() != Some(&b'0')).then_some((n, len)),
        }
    }
    None
}

/// A JSON value; members keep their order and may repeat.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::formats) enum Json {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A whole document.
    pub(in crate::formats) fn parse(text: &[u8]) -> Result<Self> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut scanner = Scanner::new(text, 0);
        let value = scanner.value()?;
        if scanner.peek().is_some() {
            return Err(scanner.fault("the end of the document"));
        }
        Ok(value)
    }
    /// The first member of this name.
    pub(in crate::formats) fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same value as serde_json has it; of repeated members it keeps the last.
    fn plain(json: &Json) -> serde_json::Value {
        match json {
            Json::Null => serde_json::Value::Null,
            Json::Bool(b) => (*b).into(),
            Json::Number(n) => n.clone().into(),
            Json::String(s) => s.clone().into(),
            Json::Array(items) => items.iter().map(plain).collect(),
            Json::Object(members) => members.iter().map(|(k, v)| (k.clone(), plain(v))).collect(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn it_accepts_and_reads_what_serde_json_does(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""), Just("\"\\u00e9\\n\""),
                    Just("1"), Just("-0.5e3"), Just("01"), Just("1."), Just("null"), Just("true"), Just("nul"), Just(" "),
                    Just("\"\\ud83d\\ude00\""), Just("\"\\ud83d\""), Just("\"open"), Just("18446744073709551616"),
                ], 0..8)
        ) {
            let text = parts.concat();
            let ours = Json::parse(text.as_bytes());
            match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(theirs) => prop_assert_eq!(plain(&ours.unwrap()), theirs),
                Err(e) => prop_assert!(ours.is_err(), "{} accepted, serde_json: {}", text, e),
            }
        }
    }

    #[test]
    fn a_deep_document_is_refused_not_a_stack_overflow() {
        let deep = "[".repeat(1_000_000);
        assert!(Json::parse(deep.as_bytes()).unwrap_err().what.contains("nested more than 64"));
    }

    #[test]
    fn a_fault_names_its_byte() {
        let fault = Json::parse(b"{\"a\": 1,, }").unwrap_err();
        assert_eq!((fault.at, fault.what.as_str()), (Some(8), "a string expected, ',' found"));
    }
}
