//! The opcodes of protocols 0 to 5, and the arguments behind them.

use std::ops::Range;

use super::{
    CALLS_MOST, Id, LINE_MOST, Machine, Node, Status, TEXT_KEPT, UNKNOWN,
    text::{raw_unicode, unescaped},
};
use crate::source::{Stop, Window};

impl Machine {
    /// `n` bytes at `at`, or `None` (and broken) where the pickle's bytes end before.
    fn bytes<'w>(&mut self, file: &'w Window, at: u64, n: u64) -> Result<Option<&'w [u8]>, Stop> {
        if n > self.end.saturating_sub(at) {
            self.broken(at, format!("{n} bytes expected, {} left", self.end.saturating_sub(at)));
            return Ok(None);
        }
        file.bytes(at..at + n).map(Some)
    }
    /// A little-endian number of `n` (at most 8) bytes.
    fn number(&mut self, file: &Window, at: u64, n: u64) -> Result<Option<u64>, Stop> {
        let Some(raw) = self.bytes(file, at, n)? else { return Ok(None) };
        Ok(Some(raw.iter().rev().fold(0, |value, b| value << 8 | u64::from(*b))))
    }
    /// The text up to the next line feed: its place without it.
    fn line<'w>(&mut self, file: &'w Window, at: u64) -> Result<Option<(&'w [u8], u64)>, Stop> {
        let room = self.end.saturating_sub(at);
        let mut n = 64;
        loop {
            let have = n.min(room);
            let text = file.bytes(at..at + have)?;
            if let Some(found) = text.iter().position(|b| *b == b'\n') {
                return Ok(Some((text.get(..found).unwrap_or(&[]), at + found as u64 + 1)));
            }
            if have == room || n >= LINE_MOST {
                self.broken(at, "a line expected, no line feed found");
                return Ok(None);
            }
            n *= 4;
        }
    }
    /// A string whose length is a number of `width` bytes at `at`; the place of its bytes.
    fn sized(&mut self, file: &Window, at: u64, width: u64) -> Result<Option<Range<u64>>, Stop> {
        let Some(n) = self.number(file, at, width)? else { return Ok(None) };
        let start = at + width;
        if n > self.end.saturating_sub(start) {
            self.broken(at, format!("a string of {n} bytes announced, {} left", self.end.saturating_sub(start)));
            return Ok(None);
        }
        Ok(Some(start..start + n))
    }
    /// The text in a place, where it is short enough to keep.
    fn kept(file: &Window, at: &Range<u64>) -> Result<Option<String>, Stop> {
        if at.end - at.start > TEXT_KEPT {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(file.bytes(at.clone())?).into_owned()))
    }
    /// One opcode: everything is read before anything changes, so that it can be tried again.
    #[allow(clippy::too_many_lines, reason = "one table of opcodes")]
    pub(super) fn step(&mut self, file: &Window) -> Result<(), Stop> {
        let at = self.at;
        let Some(op) = self.bytes(file, at, 1)?.and_then(|b| b.first().copied()) else { return Ok(()) };
        let arg = at + 1;
        let mut next = arg;
        match op {
            b'.' => {
                self.result = self.pop(at);
                if !self.stack.is_empty() || !self.marks.is_empty() {
                    self.trouble(at, format!("{} values are left on the stack", self.stack.len()));
                }
                self.status = Status::Stopped;
            }
            0x80 => {
                let Some(n) = self.number(file, arg, 1)? else { return Ok(()) };
                self.protocol = n as u8;
                if n > 5 {
                    self.trouble(at, format!("protocol {n}; 0 to 5 are known"));
                }
                next = arg + 1;
            }
            0x95 => {
                let Some(n) = self.number(file, arg, 8)? else { return Ok(()) };
                next = arg + 8;
                if at < self.frame_end {
                    self.is_misframed = true;
                    self.trouble(at, "a frame within a frame: Python's readers differ over it");
                }
                self.frame_end = next.saturating_add(n);
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                if self.stack.len() > self.floor() {
                    self.stack.pop();
                } else if self.marks.pop().is_none() {
                    self.trouble(at, "a value expected on the stack, none found");
                }
            }
            b'1' => drop(self.pop_mark(at)),
            b'2' => {
                let top = self.top(at);
                self.stack.push(top);
            }
            b'N' => self.stack.push(1),
            0x89 => self.stack.push(2),
            0x88 => self.stack.push(3),
            b'I' | b'L' | b'F' => {
                let Some((text, end)) = self.line(file, arg)? else { return Ok(()) };
                next = end;
                let node = match (op, text) {
                    (b'I', b"00") => Node::Bool(false),
                    (b'I', b"01") => Node::Bool(true),
                    _ => number_line(op, text),
                };
                if matches!(node, Node::Unknown) {
                    self.trouble(at, "a number expected, something else found");
                }
                self.push(node);
            }
            b'J' | b'K' | b'M' => {
                let width = if op == b'J' { 4 } else { 1 + u64::from(op == b'M') };
                let Some(n) = self.number(file, arg, width)? else { return Ok(()) };
                next = arg + width;
                self.push(Node::Int(if op == b'J' { i64::from(n as u32 as i32) } else { n as i64 }));
            }
            b'G' => {
                let Some(raw) = self.bytes(file, arg, 8)? else { return Ok(()) };
                let bits = raw.iter().fold(0u64, |value, b| value << 8 | u64::from(*b));
                next = arg + 8;
                self.push(Node::Float(f64::from_bits(bits)));
            }
            0x8a | 0x8b => {
                let Some(place) = self.sized(file, arg, if op == 0x8a { 1 } else { 4 })? else { return Ok(()) };
                let n = place.end - place.start;
                let node = if n > 8 { Node::Huge(n) } else { Node::Int(signed(file.bytes(place.clone())?)) };
                next = place.end;
                self.push(node);
            }
            b'S' | b'V' => {
                let Some((text, end)) = self.line(file, arg)? else { return Ok(()) };
                next = end;
                let place = arg..end - 1;
                let long = text.len() as u64 > TEXT_KEPT;
                if op == b'V' {
                    let kept = (!long).then(|| raw_unicode(text).into_boxed_str());
                    self.push(Node::Text(kept, place));
                } else {
                    let inner = text.strip_prefix(b"'").and_then(|t| t.strip_suffix(b"'"));
                    let inner = inner.or_else(|| text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")));
                    if inner.is_none() {
                        self.trouble(at, "a quoted string expected");
                    }
                    let inner = inner.unwrap_or(text);
                    let plain = !inner.contains(&b'\\') && inner.len() + 2 == text.len();
                    let place = plain.then_some(place.start + 1..place.end.saturating_sub(1));
                    let kept = (!long).then(|| unescaped(inner).into_boxed_str());
                    self.push(Node::Bytes(place, kept));
                }
            }
            b'X' | 0x8c | 0x8d => {
                let width = [4, 1, 8][usize::from(op == 0x8c) + 2 * usize::from(op == 0x8d)];
                let Some(place) = self.sized(file, arg, width)? else { return Ok(()) };
                let kept = Self::kept(file, &place)?.map(String::into_boxed_str);
                next = place.end;
                self.push(Node::Text(kept, place));
            }
            b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96 => {
                let width = match op {
                    b'U' | b'C' => 1,
                    b'T' | b'B' => 4,
                    _ => 8,
                };
                let Some(place) = self.sized(file, arg, width)? else { return Ok(()) };
                let short = place.end - place.start <= TEXT_KEPT;
                let text = if short { std::str::from_utf8(file.bytes(place.clone())?).ok() } else { None };
                next = place.end;
                self.push(Node::Bytes(Some(place), text.map(Into::into)));
            }
            0x97 => {
                self.trouble(at, "a buffer outside the pickle");
                self.push(Node::Bytes(None, None));
            }
            0x98 => drop(self.top(at)),
            b']' => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            0x8f => self.push(Node::Set(Vec::new())),
            b'a' => {
                let item = self.pop(at);
                let to = self.top(at);
                self.append(at, to, vec![item]);
            }
            b'e' | 0x90 => {
                let items = self.pop_mark(at);
                let to = self.top(at);
                self.append(at, to, items);
            }
            b'l' | b't' | 0x91 => {
                let items = self.pop_mark(at);
                self.push(match op {
                    b'l' => Node::List(items),
                    b't' => Node::Tuple(items),
                    _ => Node::Set(items),
                });
            }
            0x85..=0x87 => {
                let mut items: Vec<Id> = (0..=op - 0x85).map(|_| self.pop(at)).collect();
                items.reverse();
                self.push(Node::Tuple(items));
            }
            b'd' => {
                let items = self.pop_mark(at);
                self.push(Node::Dict(Vec::new()));
                let to = self.top(at);
                self.set(at, to, &items);
            }
            b's' => {
                let value = self.pop(at);
                let key = self.pop(at);
                let to = self.top(at);
                self.set(at, to, &[key, value]);
            }
            b'u' => {
                let items = self.pop_mark(at);
                let to = self.top(at);
                self.set(at, to, &items);
            }
            b'g' | b'p' | b'P' => {
                let Some((text, end)) = self.line(file, arg)? else { return Ok(()) };
                next = end;
                if op == b'P' {
                    self.persistent += 1;
                    let text = String::from_utf8_lossy(text).into_owned();
                    let id = self.add(Node::Text(Some(text.into()), arg..end - 1));
                    self.push(Node::Persistent(id));
                } else {
                    match std::str::from_utf8(text).ok().and_then(|t| t.trim().parse().ok()) {
                        Some(key) if op == b'g' => self.memo_get(at, key),
                        Some(key) => self.memo_put(at, key),
                        None => self.broken(at, "a memo number expected, something else found"),
                    }
                }
            }
            b'h' | b'j' | b'q' | b'r' => {
                let width = if matches!(op, b'h' | b'q') { 1 } else { 4 };
                let Some(key) = self.number(file, arg, width)? else { return Ok(()) };
                next = arg + width;
                if matches!(op, b'h' | b'j') { self.memo_get(at, key) } else { self.memo_put(at, key) }
            }
            0x94 => self.memo_put(at, self.memo.len() as u64),
            b'c' | b'i' => {
                let Some((module, middle)) = self.line(file, arg)? else { return Ok(()) };
                let Some((name, end)) = self.line(file, middle)? else { return Ok(()) };
                next = end;
                let (Ok(module), Ok(name)) = (std::str::from_utf8(module), std::str::from_utf8(name)) else {
                    self.broken(at, "the name of an import expected, bytes that are not text found");
                    return Ok(());
                };
                let id = self.import(at, if op == b'c' { "GLOBAL" } else { "INST" }, module, name);
                if op == b'c' {
                    self.stack.push(id);
                } else {
                    let args = self.pop_mark(at);
                    let args = self.add(Node::Tuple(args));
                    self.call(at, "INST", id, args);
                }
            }
            0x93 => {
                let name = self.pop(at);
                let module = self.pop(at);
                let (m, n) = (self.describe_name(module), self.describe_name(name));
                let id = self.import(at, "STACK_GLOBAL", &m, &n);
                self.stack.push(id);
            }
            b'o' => {
                let mut items = self.pop_mark(at);
                if items.is_empty() {
                    self.trouble(at, "a class expected on the stack, none found");
                    items.push(UNKNOWN);
                }
                let class = items.remove(0);
                let args = self.add(Node::Tuple(items));
                self.call(at, "OBJ", class, args);
            }
            b'R' | 0x81 => {
                let args = self.pop(at);
                let callable = self.pop(at);
                self.call(at, if op == b'R' { "REDUCE" } else { "NEWOBJ" }, callable, args);
            }
            0x92 => {
                let (_named, args, class) = (self.pop(at), self.pop(at), self.pop(at));
                self.call(at, "NEWOBJ_EX", class, args);
            }
            b'b' => {
                if self.wraps_array() {
                    let Some(end) = self.array_values(file, next)? else { return Ok(()) };
                    next = end;
                }
                let state = self.pop(at);
                let target = self.top(at);
                let (of, op) = match self.nodes.get_mut(target as usize) {
                    Some(Node::Call(call)) => {
                        call.state = Some(state);
                        (call.callable, "BUILD of a result")
                    }
                    _ => (target, "BUILD"),
                };
                // What a class does with its state is the class's code; setting a module's or class's attributes is worse.
                self.called(at, op, of, state);
            }
            b'Q' => {
                self.persistent += 1;
                let id = self.pop(at);
                self.push(Node::Persistent(id));
            }
            0x82..=0x84 => {
                let width = [1, 2, 4][usize::from(op - 0x82)];
                let Some(code) = self.number(file, arg, width)? else { return Ok(()) };
                next = arg + width;
                if self.extensions.len() < CALLS_MOST {
                    self.extensions.push((at, code));
                }
                self.push(Node::Unknown);
            }
            other => {
                self.broken(at, format!("an opcode expected, byte {other:#04x} found"));
                return Ok(());
            }
        }
        if self.status != Status::Broken {
            // The values of joblib's arrays follow a BUILD, outside of frames.
            if op != 0x95 && op != b'b' && at < self.frame_end && next > self.frame_end {
                self.is_misframed = true;
                self.trouble(at, "an opcode that crosses the end of its frame: Python's readers differ over it");
            }
            self.opcodes += 1;
            self.at = next;
        }
        Ok(())
    }
}

/// A little-endian two's complement number of at most 8 bytes.
fn signed(raw: &[u8]) -> i64 {
    let Some(last) = raw.last() else { return 0 };
    let fill = if last & 0x80 != 0 { u64::MAX } else { 0 };
    raw.iter().rev().fold(fill, |value, b| value << 8 | u64::from(*b)) as i64
}

fn number_line(op: u8, text: &[u8]) -> Node {
    let Ok(text) = std::str::from_utf8(text) else { return Node::Unknown };
    let text = text.trim();
    if op == b'F' {
        return text.parse().map_or(Node::Unknown, Node::Float);
    }
    let digits = text.strip_suffix('L').unwrap_or(text);
    match digits.parse() {
        Ok(n) => Node::Int(n),
        Err(_) if digits.len() > 18 && digits.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) => {
            Node::Huge(digits.len() as u64 / 2)
        }
        Err(_) => Node::Unknown,
    }
}
