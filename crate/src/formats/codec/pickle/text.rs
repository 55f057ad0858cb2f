//! Values in words, and words as the text protocols spell them.

use super::{Id, Machine, Node};

impl Machine {
    /// A value in few words, for a sentence.
    pub(in crate::formats) fn describe(&self, id: Id) -> String {
        let mut out = String::new();
        self.describe_into(id, 0, &mut out);
        out
    }
    fn describe_into(&self, id: Id, depth: u32, out: &mut String) {
        const LONGEST: usize = 160;
        if out.len() > LONGEST || depth > 4 {
            if !out.ends_with('…') {
                out.push('…');
            }
            return;
        }
        let list = |open: &str, items: &[Id], close: &str, out: &mut String| {
            out.push_str(open);
            for (i, item) in items.iter().take(8).enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                self.describe_into(*item, depth + 1, out);
            }
            if items.len() > 8 {
                out.push_str(", …");
            }
            out.push_str(close);
        };
        match self.node(id) {
            Node::Unknown => out.push('?'),
            Node::None => out.push_str("None"),
            Node::Bool(b) => out.push_str(if *b { "True" } else { "False" }),
            Node::Int(n) => out.push_str(&n.to_string()),
            Node::Huge(n) => out.push_str(&format!("a number of {n} bytes")),
            Node::Float(x) => out.push_str(&x.to_string()),
            Node::Text(Some(text), _) | Node::Bytes(_, Some(text)) => {
                let short: String = text.chars().take(80).collect();
                out.push('\'');
                out.extend(short.chars().flat_map(|c| if c == '\'' { vec![c] } else { c.escape_debug().collect() }));
                out.push_str(if short.len() < text.len() { "…'" } else { "'" });
            }
            Node::Text(None, at) => out.push_str(&format!("a text of {} bytes", at.end - at.start)),
            Node::Bytes(at, None) => {
                let n = at.as_ref().map_or_else(|| "some".into(), |at| (at.end - at.start).to_string());
                out.push_str(&format!("{n} bytes"));
            }
            Node::List(items) => list("[", items, "]", out),
            Node::Tuple(items) => list("(", items, if items.len() == 1 { ",)" } else { ")" }, out),
            Node::Set(items) => list("{", items, "}", out),
            Node::Dict(pairs) => out.push_str(&format!("a dict of {}", pairs.len())),
            Node::Global(module, name) => {
                let short: String = format!("{module}.{name}").chars().take(100).flat_map(char::escape_debug).collect();
                out.push_str(&short);
            }
            Node::Call(call) => {
                self.describe_into(call.callable, depth + 1, out);
                match self.node(call.args) {
                    Node::Tuple(items) => list("(", items, ")", out),
                    _ => out.push_str("(…)"),
                }
            }
            Node::Persistent(_) => out.push_str("a value stored elsewhere"),
        }
    }
    /// A module's or name's text; what is computed instead is described between `<` and `>`.
    pub(super) fn describe_name(&self, id: Id) -> String {
        self.text(id).map_or_else(|| format!("<{}>", self.describe(id)), str::to_owned)
    }
}

/// Python's raw-unicode-escape: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn raw_unicode(text: &[u8]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let width = match (byte, text.get(at + 1)) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => 0,
        };
        let digits = text.get(at + 2..at + 2 + width).and_then(|d| std::str::from_utf8(d).ok());
        match digits.filter(|_| width > 0).and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(char::from_u32) {
            Some(c) => {
                out.push(c);
                at += 2 + width;
            }
            None => {
                out.push(char::from(*byte));
                at += 1;
            }
        }
    }
    out
}

/// The escapes of a Python string literal.
pub(super) fn unescaped(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some(escape) = text.get(at) else { break };
        at += 1;
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'x' => {
                let digits = text.get(at..at + 2).and_then(|d| std::str::from_utf8(d).ok());
                if let Some(value) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
                    out.push(value);
                    at += 2;
                }
            }
            other => out.push(*other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
