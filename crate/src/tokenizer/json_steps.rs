//! The normalizer and the pre-tokenizer of a `tokenizer.json`, as flat lists of steps.
//!
//! Steps with a regular expression run it themselves: the crate silently stops splitting where
//! its engine gives up on a text, and ignores what a normalizer reports.

use std::sync::Mutex;

use fancy_regex::Regex;
use serde_json::Value;
use tokenizers::{
    NormalizedString, Normalizer, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior,
    normalizers::NormalizerWrapper, pattern::Invert, pre_tokenizers::PreTokenizerWrapper,
};

use super::{charsmap, limits};
use crate::fault::{Blame, Fault, Result};

type CrateResult<T> = tokenizers::Result<T>;

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

fn gave_up(e: impl std::fmt::Display) -> Fault {
    Fault::limit(format!("a regular expression of the tokenizer gave up on this text: {e}"))
}

/// Flattens nested sequences.
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

fn kind(step: &Value) -> &str {
    step.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// The `pattern` of a step: a regular expression, or a literal text turned into one.
fn pattern(step: &Value) -> Result<Regex> {
    let pattern = step.get("pattern");
    let text = |key| pattern.and_then(|p| p.get(key)).and_then(Value::as_str);
    let source = match (text("Regex"), text("String")) {
        (Some(regex), _) => regex.to_owned(),
        (None, Some(literal)) => fancy_regex::escape(literal).into_owned(),
        (None, None) => return Err(broken(format!("a {} step without a pattern: {}", kind(step), excerpt(step)))),
    };
    limits::check("bytes in a regular expression", source.len(), limits::PATTERN_BYTES)?;
    Regex::new(&source).map_err(|e| broken(format!("the regular expression {source:?} is not valid: {e}")))
}

enum Normal {
    Replace { regex: Regex, content: String },
    Other(NormalizerWrapper),
}

/// The normalizer. Remembers the failure that the crate does not pass on.
pub(super) struct Normals {
    steps: Vec<Normal>,
    failed: Mutex<Option<Fault>>,
}

impl Normals {
    pub(super) fn new(value: Value) -> Result<Self> {
        let mut values = Vec::new();
        flatten(value, "normalizers", &mut values)?;
        let steps = values.into_iter().map(Self::step).collect::<Result<_>>()?;
        Ok(Self { steps, failed: Mutex::new(None) })
    }

    fn step(step: Value) -> Result<Normal> {
        match kind(&step) {
            "Replace" => {
                let content = step.get("content").and_then(Value::as_str);
                let content = content.ok_or_else(|| broken("a Replace step without its content"))?.to_owned();
                return Ok(Normal::Replace { regex: pattern(&step)?, content });
            }
            "Precompiled" => charsmap::check(step.get("precompiled_charsmap").and_then(Value::as_str))?,
            "BertNormalizer" | "ByteLevel" | "Lowercase" | "NFC" | "NFD" | "NFKC" | "NFKD" | "Nmt" | "Prepend"
            | "Strip" | "StripAccents" => {}
            other => return Err(Fault::unsupported(format!("normalizers of type {other:?} are not known"))),
        }
        let name = kind(&step).to_owned();
        let wrapper = serde_json::from_value(step).map_err(|e| broken(format!("normalizer {name}: {e}")))?;
        Ok(Normal::Other(wrapper))
    }

    /// What went wrong since the last call.
    pub(super) fn take_failure(&self) -> Option<Fault> {
        self.failed.lock().ok().and_then(|mut failed| failed.take())
    }

    fn run(&self, text: &mut NormalizedString) -> CrateResult<()> {
        for step in &self.steps {
            match step {
                Normal::Replace { regex, content } => text.replace(regex, content)?,
                Normal::Other(step) => step.normalize(text)?,
            }
        }
        Ok(())
    }
}

impl Normalizer for Normals {
    fn normalize(&self, text: &mut NormalizedString) -> CrateResult<()> {
        self.run(text).inspect_err(|e| {
            if let Ok(mut failed) = self.failed.lock() {
                failed.get_or_insert_with(|| gave_up(e));
            }
        })
    }
}

enum Split {
    Regex { regex: Regex, behavior: SplitDelimiterBehavior, invert: bool },
    Other(PreTokenizerWrapper),
}

/// The pre-tokenizer.
pub(super) struct Splits(Vec<Split>);

impl Splits {
    pub(super) fn new(value: Value) -> Result<Self> {
        let mut values = Vec::new();
        flatten(value, "pretokenizers", &mut values)?;
        values.into_iter().map(Self::step).collect::<Result<_>>().map(Self)
    }

    fn step(step: Value) -> Result<Split> {
        match kind(&step) {
            "Split" => {
                let regex = pattern(&step)?;
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
        let name = kind(&step).to_owned();
        let wrapper = serde_json::from_value(step).map_err(|e| broken(format!("pre-tokenizer {name}: {e}")))?;
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
