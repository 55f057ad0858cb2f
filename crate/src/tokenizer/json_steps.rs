//! The normalizer and the pre-tokenizer of a `tokenizer.json`, as flat lists of steps.
//!
//! Steps with a regular expression run it themselves: the crate silently stops splitting where
//! its engine gives up on a text, and ignores what a normalizer reports.

use fancy_regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::{
    NormalizedString, Normalizer, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior,
    normalizers::NormalizerWrapper, pattern::Invert, pre_tokenizers::PreTokenizerWrapper,
};

use super::{charsmap, limits};
use crate::fault::{Blame, Fault, Result};

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

/// What a step reported: a fault of ours, or a regular expression that gave up.
pub(super) fn gave_up(e: Box<dyn std::error::Error + Send + Sync>) -> Fault {
    match e.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(e) => Fault::limit(format!("a regular expression of the tokenizer gave up on this text: {e}")),
    }
}

/// The steps of a normalizer or pre-tokenizer, nested sequences flattened.
pub(super) fn steps(value: Value, list_key: &str) -> Result<Vec<Value>> {
    let mut steps = Vec::new();
    flatten(value, list_key, &mut steps)?;
    Ok(steps)
}

fn flatten(value: Value, list_key: &str, out: &mut Vec<Value>) -> Result<()> {
    match value {
        Value::Null => Ok(()),
        Value::Object(mut fields) if fields.get("type").and_then(Value::as_str) == Some("Sequence") => {
            match fields.remove(list_key) {
                Some(Value::Array(steps)) => steps.into_iter().try_for_each(|step| flatten(step, list_key, out)),
                _ => Err(broken(format!("a Sequence without its list {list_key:?}"))),
            }
        }
        step if step.get("type").is_some_and(Value::is_string) => {
            out.push(step);
            Ok(())
        }
        other => Err(broken(format!("a step without a type: {}", excerpt(&other)))),
    }
}

fn excerpt(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}

/// The `type` of a step.
pub(super) fn kind(step: &Value) -> &str {
    step.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// The `pattern` of a step, and whether it is a regular expression or a literal text.
pub(super) fn pattern_text(step: &Value) -> Option<(&str, bool)> {
    let pattern = step.get("pattern")?;
    let text = |key| pattern.get(key).and_then(Value::as_str);
    text("Regex").map(|regex| (regex, true)).or(text("String").map(|literal| (literal, false)))
}

/// The `pattern` of a step, compiled.
fn pattern(step: &Value) -> Result<Regex> {
    let (text, is_regex) = pattern_text(step)
        .ok_or_else(|| broken(format!("a {} step without a pattern: {}", kind(step), excerpt(step))))?;
    let source = if is_regex { text.to_owned() } else { fancy_regex::escape(text).into_owned() };
    limits::check("bytes in a regular expression", source.len(), limits::PATTERN_BYTES)?;
    Regex::new(&source).map_err(|e| broken(format!("the regular expression {source:?} is not valid: {e}")))
}

enum Normal {
    Replace { regex: Regex, content: String },
    Other(NormalizerWrapper, Untouched),
}

/// Texts that a step certainly leaves as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Untouched {
    None,
    /// Of these ASCII characters.
    Ascii(Box<[bool; 128]>),
    /// Of characters that NFC neither composes nor reorders.
    Composed,
    /// Without white space at the ends.
    Trimmed,
}

impl Untouched {
    fn by(step: &NormalizerWrapper, name: &str) -> Self {
        match name {
            "NFC" => Self::Composed,
            "Strip" => Self::Trimmed,
            "NFD" | "NFKC" | "NFKD" | "Precompiled" => {
                let mut kept = Box::new([false; 128]);
                for (byte, kept) in (0..128_u8).zip(kept.iter_mut()) {
                    let alone = char::from(byte).to_string();
                    let mut text = NormalizedString::from(alone.as_str());
                    // CR and LF are one grapheme, which a map may treat as such.
                    *kept = byte != b'\r' && step.normalize(&mut text).is_ok() && text.get() == alone;
                }
                Self::Ascii(kept)
            }
            _ => Self::None,
        }
    }

    fn covers(&self, text: &str) -> bool {
        match self {
            Self::None => false,
            Self::Ascii(kept) => text.bytes().all(|byte| kept.get(usize::from(byte)) == Some(&true)),
            Self::Composed => text.chars().all(is_composed),
            Self::Trimmed => !text.starts_with(char::is_whitespace) && !text.ends_with(char::is_whitespace),
        }
    }
}

/// Characters of class 0 that are in normal form C by themselves and compose with nothing before them; not all of them.
fn is_composed(c: char) -> bool {
    matches!(c, '\0'..='\u{2FF}' | '\u{400}'..='\u{482}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205E}'
        | '\u{2190}'..='\u{21CC}' | '\u{2500}'..='\u{25FF}' | '\u{3001}'..='\u{3029}' | '\u{3041}'..='\u{3096}'
        | '\u{30A0}'..='\u{30FF}' | '\u{3105}'..='\u{312F}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}'
        | '\u{FF01}'..='\u{FFDC}' | '\u{1F300}'..='\u{1FAFF}')
}

/// The normalizer.
pub(super) struct Normals(Vec<Normal>);

impl Normals {
    pub(super) fn new(steps: &[Value]) -> Result<Self> {
        steps.iter().map(Self::step).collect::<Result<_>>().map(Self)
    }

    fn step(step: &Value) -> Result<Normal> {
        let name = kind(step);
        match name {
            "Replace" => {
                let content = step.get("content").and_then(Value::as_str);
                let content = content.ok_or_else(|| broken("a Replace step without its content"))?.to_owned();
                return Ok(Normal::Replace { regex: pattern(step)?, content });
            }
            "Precompiled" => charsmap::check(step.get("precompiled_charsmap").and_then(Value::as_str))?,
            "BertNormalizer" | "ByteLevel" | "Lowercase" | "NFC" | "NFD" | "NFKC" | "NFKD" | "Nmt" | "Prepend"
            | "Strip" | "StripAccents" => {}
            other => return Err(Fault::unsupported(format!("normalizers of type {other:?} are not known"))),
        }
        let wrapper = NormalizerWrapper::deserialize(step).map_err(|e| broken(format!("normalizer {name}: {e}")))?;
        let untouched = Untouched::by(&wrapper, name);
        Ok(Normal::Other(wrapper, untouched))
    }

    /// Whether it certainly leaves a text as it is; it may do so where this says no.
    pub(super) fn keeps(&self, text: &str) -> bool {
        self.0.iter().all(|step| match step {
            Normal::Replace { regex, .. } => regex.is_match(text).is_ok_and(|found| !found),
            Normal::Other(_, untouched) => untouched.covers(text),
        })
    }

    /// Normalizes a text.
    pub(super) fn run(&self, text: &mut NormalizedString) -> Result<()> {
        for step in &self.0 {
            match step {
                Normal::Replace { regex, content } => text.replace(regex, content),
                Normal::Other(step, _) => step.normalize(text),
            }
            .map_err(gave_up)?;
        }
        Ok(())
    }

    /// What a text becomes.
    pub(super) fn text(&self, text: &str) -> Result<String> {
        let mut normalized = NormalizedString::from(text);
        self.run(&mut normalized)?;
        Ok(normalized.get().to_owned())
    }
}

enum Split {
    Regex { regex: Regex, behavior: SplitDelimiterBehavior, invert: bool },
    Other(PreTokenizerWrapper),
}

/// The pre-tokenizer.
pub(super) struct Splits(Vec<Split>);

impl Splits {
    pub(super) fn new(steps: &[Value]) -> Result<Self> {
        steps.iter().map(Self::step).collect::<Result<_>>().map(Self)
    }

    fn step(step: &Value) -> Result<Split> {
        match kind(step) {
            "Split" => {
                let regex = pattern(step)?;
                let behavior = step.get("behavior").cloned().unwrap_or_default();
                let behavior =
                    serde_json::from_value(behavior).map_err(|e| broken(format!("a Split's behavior: {e}")))?;
                let invert = step.get("invert").and_then(Value::as_bool).unwrap_or(false);
                return Ok(Split::Regex { regex, behavior, invert });
            }
            "FixedLength" if step.get("length").and_then(Value::as_u64) == Some(0) => {
                return Err(broken("pre-tokenizer FixedLength has length 0"));
            }
            "BertPreTokenizer" | "ByteLevel" | "CharDelimiterSplit" | "Digits" | "FixedLength" | "Metaspace"
            | "Punctuation" | "UnicodeScripts" | "Whitespace" | "WhitespaceSplit" => {}
            other => return Err(Fault::unsupported(format!("pre-tokenizers of type {other:?} are not known"))),
        }
        let wrapper =
            PreTokenizerWrapper::deserialize(step).map_err(|e| broken(format!("pre-tokenizer {}: {e}", kind(step))))?;
        Ok(Split::Other(wrapper))
    }

    pub(super) fn run(&self, text: &mut PreTokenizedString) -> Result<()> {
        for step in &self.0 {
            let result = match step {
                Split::Regex { regex, behavior, invert: false } => text.split(|_, part| part.split(regex, *behavior)),
                Split::Regex { regex, behavior, invert: true } => {
                    text.split(|_, part| part.split(Invert(regex), *behavior))
                }
                Split::Other(step) => step.pre_tokenize(text),
            };
            result.map_err(gave_up)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_taken_for_composed_stay_as_they_are_whatever_stands_beside_them() {
        let all: Vec<char> = ('\0'..=char::MAX).filter(|c| is_composed(*c)).collect();
        let mut state = 1_u32;
        let mut pick = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            all[(state >> 8) as usize % all.len()]
        };
        let mut text: String = all.iter().collect();
        text.extend((0..50_000).map(|_| pick()));
        let mut normalized = NormalizedString::from(text.as_str());
        normalized.nfc();
        assert_eq!(normalized.get(), text);
    }

    #[test]
    fn a_step_that_says_it_keeps_a_text_keeps_it() {
        for step in ["NFC", "NFD", "NFKC", "NFKD"] {
            let normals = Normals::new(&[serde_json::json!({ "type": step })]).unwrap();
            for text in ["plain text", "tab\tand\nline", "中文，字", "é", "e\u{301}", "ﬁ", "한"] {
                assert!(!normals.keeps(text) || normals.text(text).unwrap() == text, "{step}: {text:?}");
            }
            assert!(normals.keeps("plain text"), "{step}");
        }
        let normals = Normals::new(&[serde_json::json!({"type": "Lowercase"})]).unwrap();
        assert!(!normals.keeps("plain text"));
    }
}
