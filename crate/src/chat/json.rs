//! JSON as Python's `json.dumps` writes it.

use minijinja::{Error, ErrorKind, Value, value::ValueKind};

/// Options of `json.dumps`.
#[derive(Debug, Default)]
pub(super) struct Style {
    /// `ensure_ascii`.
    pub ascii: bool,
    /// Spaces a level.
    pub indent: Option<usize>,
    /// `sort_keys`.
    pub sort: bool,
    /// Between items, and between key and value.
    pub separators: Option<Vec<String>>,
}

/// Objects and lists inside each other.
const DEPTH: usize = 200;
/// Spaces of one level; more would pay for memory that no one counts.
const INDENT: usize = 64;

/// The value as JSON. `pay` is asked before each item and text is written: lists that a template
/// doubles share their items, so they may be longer than memory.
pub(super) fn dump(value: &Value, style: &Style, pay: &dyn Fn(usize) -> Result<(), Error>) -> Result<String, Error> {
    if style.indent.is_some_and(|indent| indent > INDENT) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("tojson: an indent of at most {INDENT} is taken")));
    }
    let mut out = String::new();
    let between = |nth: usize, default: &str| {
        style.separators.as_ref().and_then(|both| both.get(nth)).map_or_else(|| default.to_owned(), Clone::clone)
    };
    let writer =
        Writer { style, item: between(0, if style.indent.is_some() { "," } else { ", " }), key: between(1, ": "), pay };
    writer.write(value, 0, &mut out)?;
    Ok(out)
}

struct Writer<'a> {
    style: &'a Style,
    item: String,
    key: String,
    pay: &'a dyn Fn(usize) -> Result<(), Error>,
}

impl Writer<'_> {
    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.style.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    /// What goes before an item, which is paid for.
    fn between(&self, is_first: &mut bool, depth: usize, out: &mut String) -> Result<(), Error> {
        (self.pay)(64 + self.item.len() + self.style.indent.unwrap_or(0) * depth)?;
        if !std::mem::replace(is_first, false) {
            out.push_str(&self.item);
        }
        self.line(depth + 1, out);
        Ok(())
    }

    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        let cannot = |what: String| Err(Error::new(ErrorKind::BadSerialization, what));
        if depth > DEPTH {
            return cannot(format!("tojson: more than {DEPTH} lists and objects inside each other"));
        }
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)),
            ValueKind::String => {
                let text = value.as_str().unwrap_or_default();
                (self.pay)(text.len())?;
                self.string(text, out);
            }
            ValueKind::Seq | ValueKind::Iterable => {
                out.push('[');
                let mut is_empty = true;
                for item in value.try_iter()? {
                    self.between(&mut is_empty, depth, out)?;
                    self.write(&item, depth + 1, out)?;
                }
                if !is_empty {
                    self.line(depth, out);
                }
                out.push(']');
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.style.sort {
                    keys.sort();
                }
                out.push('{');
                let mut is_empty = true;
                for key in &keys {
                    self.between(&mut is_empty, depth, out)?;
                    match key.kind() {
                        ValueKind::String => self.string(key.as_str().unwrap_or_default(), out),
                        ValueKind::Number | ValueKind::Bool | ValueKind::None => {
                            let mut text = String::new();
                            self.write(key, depth + 1, &mut text)?;
                            self.string(&text, out);
                        }
                        other => return cannot(format!("tojson: a key is of type {other}")),
                    }
                    out.push_str(&self.key);
                    self.write(&value.get_item(key)?, depth + 1, out)?;
                }
                if !is_empty {
                    self.line(depth, out);
                }
                out.push('}');
            }
            other => return cannot(format!("tojson: a value of type {other} has no JSON")),
        }
        Ok(())
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{C}' => out.push_str("\\f"),
                c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c if self.style.ascii && !c.is_ascii() => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

/// A number as Python's `repr` writes it.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    let Ok(real) = f64::try_from(value.clone()) else { return value.to_string() };
    if real.is_nan() {
        return "NaN".to_owned();
    }
    if real.is_infinite() {
        return if real > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = real.abs();
    if real != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{real:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = real.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference: Python's `json.dumps(x, ensure_ascii=False)`.
    #[test]
    fn values_are_written_as_python_writes_them() {
        for (value, expected) in [
            (Value::from(1.0), "1.0"),
            (Value::from(1e16), "1e+16"),
            (Value::from(1.5e-7), "1.5e-07"),
            (Value::from(0.0001), "0.0001"),
            (Value::from(123_456_789_012_345.6), "123456789012345.6"),
            (Value::from(-0.0), "-0.0"),
            (Value::from(f64::INFINITY), "Infinity"),
            (Value::from(7), "7"),
            (Value::from("a\"\\\n\u{1}\u{7f}é<>&'/"), "\"a\\\"\\\\\\n\\u0001\u{7f}é<>&'/\""),
            (Value::from(vec![Value::from(true), Value::from(())]), "[true, null]"),
            (Value::from(Vec::<i32>::new()), "[]"),
        ] {
            assert_eq!(dump(&value, &Style::default(), &|_| Ok(())).unwrap(), expected);
        }
        let ascii = Style { ascii: true, ..Style::default() };
        assert_eq!(dump(&Value::from("é😀"), &ascii, &|_| Ok(())).unwrap(), "\"\\u00e9\\ud83d\\ude00\"");
    }
}
