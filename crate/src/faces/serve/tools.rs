//! Calls of tools, found in what a model says. Each family of models writes them in its own way; what is no call stays text.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::session::begun;

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    /// A JSON object as text.
    pub(super) arguments: String,
}

/// What calls begin with: Hermes and Qwen, Mistral, Llama 3.
const MARKS: [&str; 3] = ["<tool_call>", "[TOOL_CALLS]", "<|python_tag|>"];
/// Calls of one answer.
const CALLS: usize = 128;

/// Text that comes in pieces; from where a call may begin it is held back.
#[derive(Debug, Default)]
pub(super) struct Watch {
    held: String,
    has_begun: bool,
    has_said: bool,
}

impl Watch {
    /// What is certainly no call.
    pub(super) fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        if self.has_begun {
            return String::new();
        }
        // Llama 3 writes a call as JSON and nothing else.
        let first = self.held.trim_start();
        if !self.has_said && (first.is_empty() || first.starts_with('{')) {
            self.has_begun = !first.is_empty();
            return String::new();
        }
        let until = match MARKS.iter().filter_map(|mark| self.held.find(mark)).min() {
            Some(at) => {
                self.has_begun = true;
                at
            }
            None => self.held.len() - MARKS.iter().map(|mark| begun(&self.held, mark)).max().unwrap_or(0),
        };
        let rest = self.held.split_off(until);
        self.has_said |= until > 0;
        std::mem::replace(&mut self.held, rest)
    }
    /// The calls, and the text that is none.
    pub(super) fn finish(self) -> (String, Vec<Call>) {
        match calls(&self.held) {
            Some(calls) => (String::new(), calls),
            None => (self.held, Vec::new()),
        }
    }
}

/// The calls of a text that begins with one; `None` where it is not all calls.
fn calls(text: &str) -> Option<Vec<Call>> {
    let text = text.trim();
    let found = if text.starts_with(MARKS[0]) {
        between(text)?
    } else if let Some(rest) = text.strip_prefix(MARKS[1]) {
        mistral(rest)?
    } else {
        let rest = text.strip_prefix(MARKS[2]).unwrap_or(text);
        // Llama 3.1 puts several calls behind each other, with semicolons between them.
        rest.split("; ").map(one).collect::<Option<Vec<_>>>().or_else(|| one(rest).map(|call| vec![call]))?
    };
    (!found.is_empty() && found.len() <= CALLS).then_some(found)
}

/// A call as a JSON object with its name and its arguments, or parameters.
fn one(json: &str) -> Option<Call> {
    let fields = fields(json.trim())?;
    let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
    let name: String = serde_json::from_str(field("name")?).ok()?;
    let arguments = field("arguments").or_else(|| field("parameters")).unwrap_or("{}");
    let arguments = match serde_json::from_str(arguments).ok()? {
        Value::Object(_) => arguments.to_owned(),
        // Some write the object as a text once more.
        Value::String(text) if serde_json::from_str::<Value>(&text).is_ok_and(|v| v.is_object()) => text,
        Value::Null => "{}".to_owned(),
        _ => return None,
    };
    (!name.is_empty()).then_some(Call { name, arguments })
}

/// The fields of a JSON object, their values as they are written: a model finds its own words again in the next turn.
fn fields(json: &str) -> Option<Vec<(String, &str)>> {
    let mut rest = json.strip_prefix('{')?.trim_start();
    let mut found = Vec::new();
    while !rest.starts_with('}') {
        let (name, length) = first::<String>(rest)?;
        rest = rest.get(length..)?.trim_start().strip_prefix(':')?.trim_start();
        let (_, length) = first::<IgnoredAny>(rest)?;
        found.push((name, rest.get(..length)?));
        rest = rest.get(length..)?.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
    (rest == "}").then_some(found)
}

/// The JSON value that a text begins with, and its length in bytes.
fn first<T: DeserializeOwned>(text: &str) -> Option<(T, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<T>();
    let value = values.next()?.ok()?;
    Some((value, values.byte_offset()))
}

/// `<tool_call>` ... `</tool_call>`, one or several; within, JSON or Qwen3-Coder's own form. The last one may be cut short of its end mark.
fn between(text: &str) -> Option<Vec<Call>> {
    let mut found = Vec::new();
    for part in text.split(MARKS[0]).skip(1) {
        let (inner, behind) = part.split_once("</tool_call>").unwrap_or((part, ""));
        let inner = inner.trim();
        found.push(one(inner).or_else(|| coder(inner))?);
        if !behind.trim().is_empty() {
            return None;
        }
    }
    Some(found)
}

/// `<function=NAME><parameter=KEY>VALUE</parameter>...</function>`; a value that is JSON is taken as that.
fn coder(text: &str) -> Option<Call> {
    let rest = text.strip_prefix("<function=")?;
    let (name, rest) = rest.split_once('>')?;
    let body = rest.split_once("</function>").map_or(rest, |(body, _)| body);
    let mut arguments = serde_json::Map::new();
    for part in body.split("<parameter=").skip(1) {
        let (key, value) = part.split_once('>')?;
        let value = value.split_once("</parameter>").map_or(value, |(value, _)| value);
        let value = value.strip_prefix('\n').unwrap_or(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        let read = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        arguments.insert(key.trim().to_owned(), read);
    }
    let name = name.trim().to_owned();
    (!name.is_empty()).then(|| Call { name, arguments: Value::Object(arguments).to_string() })
}

/// A list of objects; or, since late 2025's models, `NAME[ARGS]{...}` behind each mark.
fn mistral(text: &str) -> Option<Vec<Call>> {
    if text.trim_start().starts_with('[') {
        let mut rest = text.trim().strip_prefix('[')?.trim_start();
        let mut found = Vec::new();
        while !rest.starts_with(']') {
            let (_, length) = first::<IgnoredAny>(rest)?;
            found.push(one(rest.get(..length)?)?);
            rest = rest.get(length..)?.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        return (rest == "]").then_some(found);
    }
    let named = |part: &str| {
        let at = part.find(['{', '['])?;
        let (name, rest) = part.split_at(at);
        let arguments = rest.strip_prefix("[ARGS]").unwrap_or(rest).trim();
        serde_json::from_str::<Value>(arguments).ok().filter(Value::is_object)?;
        Some(Call { name: name.trim().to_owned(), arguments: arguments.to_owned() })
    };
    text.split(MARKS[1]).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said and what is called, of a text in pieces of `n` characters.
    fn told(text: &str, n: usize) -> (String, Vec<Call>) {
        let (mut watch, mut said) = (Watch::default(), String::new());
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(n) {
            said.push_str(&watch.push(&piece.iter().collect::<String>()));
        }
        let (rest, calls) = watch.finish();
        (said + &rest, calls)
    }

    #[test]
    fn calls_of_every_family_are_found_however_the_text_is_cut_and_all_else_stays_text() {
        let f = |name: &str, arguments: &str| Call { name: name.into(), arguments: arguments.into() };
        let cases = [
            (
                "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"z\": 1, \"a\": [2]}}\n</tool_call>",
                "Let me see.\n",
                vec![f("f", "{\"z\": 1, \"a\": [2]}")],
            ),
            (
                "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":\"{\\\"x\\\":1}\"}",
                "",
                vec![f("f", "{}"), f("g", "{\"x\":1}")],
            ),
            (
                "<tool_call>\n<function=f>\n<parameter=city>\nParis\n</parameter>\n<parameter=n>\n3\n</parameter>\n</function>\n</tool_call>",
                "",
                vec![f("f", "{\"city\":\"Paris\",\"n\":3}")],
            ),
            ("[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"x\": 1}}]", "", vec![f("f", "{\"x\": 1}")]),
            ("[TOOL_CALLS]f[ARGS]{\"x\": 1}[TOOL_CALLS]g[ARGS]{}", "", vec![f("f", "{\"x\": 1}"), f("g", "{}")]),
            ("<|python_tag|>{\"name\": \"f\", \"parameters\": {\"x\": \"y\"}}", "", vec![f("f", "{\"x\": \"y\"}")]),
            (
                "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {\"a\": 1}}",
                "",
                vec![f("f", "{}"), f("g", "{\"a\": 1}")],
            ),
            ("{\"name\": \"f\", \"parameters\": {\"a\": \"x; y\"}}", "", vec![f("f", "{\"a\": \"x; y\"}")]),
            ("{\"answer\": 42}", "{\"answer\": 42}", vec![]),
            ("a < b, a <tool is no call", "a < b, a <tool is no call", vec![]),
            ("<tool_call>{\"name\": </tool_call>", "<tool_call>{\"name\": </tool_call>", vec![]),
            ("  plain", "  plain", vec![]),
            ("", "", vec![]),
        ];
        for (text, said, calls) in cases {
            for n in 1..9 {
                assert_eq!(told(text, n), (said.to_owned(), calls.clone()), "{text:?} in pieces of {n}");
            }
        }
    }
}
