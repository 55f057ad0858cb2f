//! Python pickles as data: a symbolic machine that builds a graph of what the opcodes say and calls nothing.
//!
//! Every opcode of protocols 0 to 5 is followed as Python's own machine would, except that an import gives a node
//! with a name, and a call a node with a callable and its arguments. Nodes lie in an arena and name each other by
//! number, so shared and cyclic values cost nothing. What Python would stop at is noted as trouble, and the walk goes
//! on as far as it can: what would import or call must be seen, even behind a mistake made on purpose.

use std::{collections::HashMap, ops::Range};

use crate::source::{Stop, Window};

/// Opcodes of one pickle, at most: each can put 4 bytes on the stack.
const OPCODES_MOST: u64 = 16_000_000;
/// Values of one pickle, at most.
const NODES_MOST: usize = 2_000_000;
/// Longest text that is kept; longer ones stay in the file.
const TEXT_KEPT: u64 = 64 << 10;
/// Longest line of a text opcode (protocol 0).
const LINE_MOST: u64 = 64 << 20;
/// Different callables told apart.
const CALLS_MOST: usize = 4096;
/// Highest memo number that a pickle may use without having put as many values.
const MEMO_SLACK: u64 = 1 << 20;

/// A value's number in [`Machine::nodes`].
pub(in crate::formats) type Id = u32;

/// Nothing, and what stands for anything that could not be followed.
const UNKNOWN: Id = 0;

/// One value.
#[derive(Debug, Clone)]
pub(in crate::formats) enum Node {
    /// What an empty stack or an unknown memo number gives: not followed.
    Unknown,
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits: its bytes.
    Huge(u64),
    Float(f64),
    /// Text; `None` where it is long and stays at its place.
    Text(Option<Box<str>>, Range<u64>),
    /// Bytes (and Python 2's strings); their place, unless they were escaped.
    Bytes(Option<Range<u64>>, Option<Box<str>>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// What an import would give.
    Global(Box<str>, Box<str>),
    /// What a call would give.
    Call(Box<Call>),
    /// What the reader's own table gives for an identity.
    Persistent(Id),
}

/// A call that the pickle asks for.
#[derive(Debug, Clone)]
pub(in crate::formats) struct Call {
    pub(in crate::formats) callable: Id,
    /// A tuple.
    pub(in crate::formats) args: Id,
    /// What `BUILD` would hand to `__setstate__` or write as attributes.
    pub(in crate::formats) state: Option<Id>,
    /// What `APPEND` would add.
    pub(in crate::formats) items: Vec<Id>,
    /// What `SETITEM` would set.
    pub(in crate::formats) pairs: Vec<(Id, Id)>,
}

/// An import by `GLOBAL`, `STACK_GLOBAL` or `INST`.
#[derive(Debug, Clone)]
pub(in crate::formats) struct Import {
    pub(in crate::formats) node: Id,
    pub(in crate::formats) op: &'static str,
    /// Byte offset of the first.
    pub(in crate::formats) at: u64,
    pub(in crate::formats) count: u64,
}

/// Calls of one callable.
#[derive(Debug, Clone)]
pub(in crate::formats) struct Calls {
    pub(in crate::formats) callable: Id,
    /// The first call's arguments (the state for `BUILD`).
    pub(in crate::formats) args: Id,
    pub(in crate::formats) op: &'static str,
    pub(in crate::formats) at: u64,
    pub(in crate::formats) count: u64,
}

/// Where the machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::formats) enum Status {
    Running,
    /// At `STOP`.
    Stopped,
    /// At something that no pickle holds, or at a limit.
    Broken,
}

/// The machine: one pickle.
#[derive(Debug)]
pub(in crate::formats) struct Machine {
    /// Offset of the next opcode.
    pub(in crate::formats) at: u64,
    /// Where the pickle's bytes end at the latest.
    end: u64,
    pub(in crate::formats) start: u64,
    pub(in crate::formats) status: Status,
    pub(in crate::formats) nodes: Vec<Node>,
    pub(in crate::formats) opcodes: u64,
    pub(in crate::formats) protocol: u8,
    pub(in crate::formats) imports: Vec<Import>,
    pub(in crate::formats) calls: Vec<Calls>,
    /// Extension registry codes used, and persistent ids seen.
    pub(in crate::formats) extensions: Vec<(u64, u64)>,
    pub(in crate::formats) persistent: u64,
    /// The first thing that Python would not accept, or that was not followed.
    pub(in crate::formats) trouble: Option<(u64, String)>,
    /// Calls of callables beyond [`CALLS_MOST`].
    pub(in crate::formats) calls_untold: u64,
    pub(in crate::formats) result: Id,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    global_ids: HashMap<(Box<str>, Box<str>), Id>,
    import_rows: HashMap<Id, usize>,
    call_rows: HashMap<(Id, bool), usize>,
}

impl Machine {
    /// A machine at a pickle's first byte; `end` is where its bytes end at the latest.
    pub(in crate::formats) fn new(start: u64, end: u64) -> Self {
        Self {
            at: start,
            end,
            start,
            status: Status::Running,
            nodes: vec![Node::Unknown, Node::None, Node::Bool(false), Node::Bool(true)],
            opcodes: 0,
            protocol: 0,
            imports: Vec::new(),
            calls: Vec::new(),
            extensions: Vec::new(),
            persistent: 0,
            trouble: None,
            calls_untold: 0,
            result: UNKNOWN,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            global_ids: HashMap::new(),
            import_rows: HashMap::new(),
            call_rows: HashMap::new(),
        }
    }
    /// Runs to `STOP` or to what cannot be followed.
    ///
    /// # Errors
    /// Only `Need`; what is wrong is kept as trouble.
    pub(in crate::formats) fn run(&mut self, file: &Window) -> Result<(), Stop> {
        while self.status == Status::Running {
            if self.opcodes >= OPCODES_MOST {
                self.broken(self.at, format!("more than {OPCODES_MOST} opcodes; the limit"));
                break;
            }
            if self.nodes.len() >= NODES_MOST {
                self.broken(self.at, format!("more than {NODES_MOST} values; the limit"));
                break;
            }
            self.step(file)?;
        }
        Ok(())
    }
    pub(in crate::formats) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::Unknown)
    }
    /// Text, or Python 2's strings where they are text.
    pub(in crate::formats) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text, _) | Node::Bytes(_, text) => text.as_deref(),
            _ => None,
        }
    }
    pub(in crate::formats) fn int(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(n) => Some(*n),
            Node::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }
    pub(in crate::formats) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }
    /// "module.name" of a global.
    pub(in crate::formats) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.node(id) {
            Node::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }
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
    fn trouble(&mut self, at: u64, what: impl Into<String>) {
        self.trouble.get_or_insert_with(|| (at, what.into()));
    }
    fn broken(&mut self, at: u64, what: impl Into<String>) {
        self.trouble(at, what);
        self.status = Status::Broken;
        // What was built so far is still worth showing.
        self.result = self.stack.first().copied().unwrap_or(UNKNOWN);
    }
    fn push(&mut self, node: Node) {
        let id = self.add(node);
        self.stack.push(id);
    }
    fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        (self.nodes.len() - 1) as Id
    }
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }
    fn pop(&mut self, at: u64) -> Id {
        if self.stack.len() > self.floor() {
            return self.stack.pop().unwrap_or(UNKNOWN);
        }
        self.trouble(at, "a value expected on the stack, none found");
        UNKNOWN
    }
    fn top(&mut self, at: u64) -> Id {
        if self.stack.len() > self.floor() {
            return self.stack.last().copied().unwrap_or(UNKNOWN);
        }
        self.trouble(at, "a value expected on the stack, none found");
        UNKNOWN
    }
    fn pop_mark(&mut self, at: u64) -> Vec<Id> {
        match self.marks.pop() {
            Some(mark) => self.stack.split_off(mark.min(self.stack.len())),
            None => {
                self.trouble(at, "a mark expected on the stack, none found");
                std::mem::take(&mut self.stack)
            }
        }
    }
    fn memo_put(&mut self, at: u64, key: u64) {
        if key > self.memo.len() as u64 + MEMO_SLACK {
            self.trouble(at, format!("memo number {key} after {} values", self.memo.len()));
        }
        let top = self.top(at);
        self.memo.insert(key, top);
    }
    fn memo_get(&mut self, at: u64, key: u64) {
        let id = self.memo.get(&key).copied().unwrap_or(UNKNOWN);
        if id == UNKNOWN {
            self.trouble(at, format!("memo number {key}, which holds nothing"));
        }
        self.stack.push(id);
    }
    fn import(&mut self, at: u64, op: &'static str, module: &str, name: &str) -> Id {
        let key = (module.into(), name.into());
        let id = match self.global_ids.get(&key) {
            Some(id) => *id,
            None => {
                let id = self.add(Node::Global(module.into(), name.into()));
                self.global_ids.insert(key, id);
                id
            }
        };
        let next = self.imports.len();
        let row = *self.import_rows.entry(id).or_insert(next);
        match self.imports.get_mut(row) {
            Some(import) => import.count += 1,
            None => self.imports.push(Import { node: id, op, at, count: 1 }),
        }
        id
    }
    fn called(&mut self, at: u64, op: &'static str, callable: Id, args: Id) {
        let next = self.calls.len();
        let row = *self.call_rows.entry((callable, op == "BUILD")).or_insert(next);
        match self.calls.get_mut(row) {
            Some(calls) => calls.count += 1,
            None if next < CALLS_MOST => self.calls.push(Calls { callable, args, op, at, count: 1 }),
            None => self.calls_untold += 1,
        }
    }
    fn call(&mut self, at: u64, op: &'static str, callable: Id, args: Id) {
        self.called(at, op, callable, args);
        let call = Call { callable, args, state: None, items: Vec::new(), pairs: Vec::new() };
        self.push(Node::Call(Box::new(call)));
    }
    fn append(&mut self, at: u64, to: Id, mut items: Vec<Id>) {
        match self.nodes.get_mut(to as usize) {
            Some(Node::List(list) | Node::Set(list)) => list.append(&mut items),
            Some(Node::Call(call)) => call.items.append(&mut items),
            _ => self.trouble(at, "items for something that is no list"),
        }
    }
    fn set(&mut self, at: u64, to: Id, items: &[Id]) {
        let new = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        match self.nodes.get_mut(to as usize) {
            Some(Node::Dict(pairs)) => pairs.extend(new),
            Some(Node::Call(call)) => call.pairs.extend(new),
            _ => self.trouble(at, "keys and values for something that is no dict"),
        }
        if !items.len().is_multiple_of(2) {
            self.trouble(at, "a key without a value");
        }
    }
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
    fn step(&mut self, file: &Window) -> Result<(), Stop> {
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
                let Some(_) = self.number(file, arg, 8)? else { return Ok(()) };
                next = arg + 8;
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
                    self.broken(at, "the name of an import expected, bytes that are no text found");
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
                let state = self.pop(at);
                let target = self.top(at);
                let of = match self.nodes.get_mut(target as usize) {
                    Some(Node::Call(call)) => {
                        call.state = Some(state);
                        call.callable
                    }
                    _ => target,
                };
                // What a class does with its state is the class's code; setting a module's or class's attributes is worse.
                self.called(at, "BUILD", of, state);
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
            self.opcodes += 1;
            self.at = next;
        }
        Ok(())
    }
    /// A module's or name's text; what is computed instead is described between `<` and `>`.
    fn describe_name(&self, id: Id) -> String {
        self.text(id).map_or_else(|| format!("<{}>", self.describe(id)), str::to_owned)
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

/// Python's raw-unicode-escape: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
fn raw_unicode(text: &[u8]) -> String {
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
fn unescaped(text: &[u8]) -> String {
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

/// Do these first bytes of a file (all of it where `whole`) read as a pickle?
pub(in crate::formats) fn plausible(head: &[u8], whole: bool) -> bool {
    let mut window = Window::new("head", head.len() as u64);
    window.insert(0, head.to_vec());
    let mut machine = Machine::new(0, head.len() as u64);
    if machine.run(&window).is_err() {
        return false;
    }
    let marked = head.first() == Some(&0x80) && machine.protocol <= 5 && machine.opcodes > 1;
    let telling = !machine.imports.is_empty() || machine.opcodes > 8;
    match machine.status {
        Status::Stopped => machine.trouble.is_none() || marked || !machine.imports.is_empty(),
        // Cut by the head's end, or wrong: the protocol mark or an import speaks for it.
        _ if marked || names_first(&machine) => true,
        _ => !whole && telling && machine.at + 4096 > head.len() as u64 && clean_so_far(&machine, head.len() as u64),
    }
}

/// An import of a well-formed name is the very first opcode: no text starts so.
fn names_first(machine: &Machine) -> bool {
    let name = |t: &str| !t.is_empty() && t.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
    machine.imports.first().is_some_and(|i| {
        i.at == 0 && machine.global(i.node).is_some_and(|(module, attribute)| name(module) && name(attribute))
    })
}

/// Nothing was wrong before the bytes ended.
fn clean_so_far(machine: &Machine, len: u64) -> bool {
    machine.trouble.as_ref().is_none_or(|(at, _)| *at >= machine.at && machine.at < len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: &[u8]) -> Machine {
        let mut window = Window::new("f", bytes.len() as u64);
        window.insert(0, bytes.to_vec());
        let mut machine = Machine::new(0, bytes.len() as u64);
        machine.run(&window).expect("all bytes are there");
        machine
    }

    #[test]
    fn values_of_every_protocol_read_as_python_wrote_them() {
        // pickletools' spelling of [1, -2, 300, 2**40, 1.5, "é", b"b", True, None, (1,), {"k": 2}]
        let bytes = b"\x80\x02]q\x00(K\x01J\xfe\xff\xff\xffM\x2c\x01\x8a\x06\x00\x00\x00\x00\x00\x01G?\xf8\x00\x00\x00\x00\x00\x00X\x02\x00\x00\x00\xc3\xa9U\x01b\x88NK\x01\x85}X\x01\x00\x00\x00kK\x02se.";
        let machine = run(bytes);
        assert_eq!((machine.status, &machine.trouble), (Status::Stopped, &None));
        assert_eq!(machine.describe(machine.result), "[1, -2, 300, 1099511627776, 1.5, 'é', 'b', True, …]");
        let old = run(b"(lp0\nI1\naL-5L\naF2.5\naVx\\u00e9\np1\naS'a\\'b\\n'\naI01\na.");
        assert_eq!(old.describe(old.result), "[1, -5, 2.5, 'xé', 'a'b\\n', True]");
    }

    #[test]
    fn a_call_is_told_though_its_result_is_dropped_or_its_name_comes_from_the_memo() {
        let machine = run(b"Vos\np2\n0Vsystem\np3\n0g2\ng3\n\x93(Vls\ntR0N.");
        assert_eq!(machine.status, Status::Stopped);
        assert_eq!(machine.describe(machine.imports[0].node), "os.system");
        assert_eq!((machine.calls[0].op, machine.calls[0].at), ("REDUCE", 33));
        assert_eq!(machine.describe(machine.calls[0].args), "('ls',)");
    }

    #[test]
    fn a_pickle_of_a_few_bytes_that_doubles_itself_stays_small() {
        let mut bytes = b"]q\x00".to_vec();
        for _ in 0..60 {
            bytes.extend(b"]h\x00ah\x00aq\x00");
        }
        bytes.push(b'.');
        let machine = run(&bytes);
        assert_eq!(machine.status, Status::Stopped);
        assert!(machine.nodes.len() < 100);
        assert!(machine.describe(machine.result).len() < 400);
    }

    #[test]
    fn what_is_missing_is_named_and_the_walk_goes_on() {
        let machine = run(b"R0cposix\nsystem\n(Vls\ntR.");
        assert_eq!(machine.trouble.as_ref().map(|t| t.0), Some(0));
        assert_eq!(machine.imports.len(), 1);
        let cut = run(b"\x80\x04\x8c\x20abc");
        assert_eq!(cut.trouble, Some((3, "a string of 32 bytes announced, 3 left".into())));
    }
}
