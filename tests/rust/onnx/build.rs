//! Small ONNX files for tests, and changes to them that know the wire format.
#![allow(unreachable_pub, reason = "a module of one test")]

/// A protobuf message being written.
#[derive(Debug, Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }
    fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }
    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }
    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }
    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    /// Changes one number of a message, at any depth; the lengths around it are written anew.
    pub fn mutate(bytes: &mut Vec<u8>, next: &mut dyn FnMut(usize) -> usize, odd: &[i64]) -> bool {
        let Some(fields) = fields(bytes) else { return false };
        if fields.is_empty() {
            return false;
        }
        for _ in 0..16 {
            let chosen = next(fields.len());
            let mut out = Self::default();
            let mut changed = false;
            for (i, (number, field)) in fields.iter().enumerate() {
                match field {
                    Field::Int(n) if i == chosen => {
                        changed = true;
                        let value = if next(3) == 0 { n.wrapping_add(1) as i64 } else { odd[next(odd.len())] };
                        out = out.int(*number, value);
                    }
                    Field::Int(n) => out = out.int(*number, *n as i64),
                    Field::Bytes(inner) => {
                        let mut inner = inner.clone();
                        if i == chosen {
                            changed = Self::mutate(&mut inner, next, odd);
                            if !changed && !inner.is_empty() && next(2) == 0 {
                                let at = next(inner.len());
                                inner[at] ^= 1 << next(8);
                                changed = true;
                            }
                        }
                        out = out.bytes(*number, &inner);
                    }
                    Field::Fixed(raw) => {
                        out.varint(*number << 3 | if raw.len() == 4 { 5 } else { 1 });
                        out.0.extend_from_slice(raw);
                    }
                }
            }
            if changed {
                *bytes = out.0;
                return true;
            }
        }
        false
    }
}

enum Field {
    Int(u64),
    Bytes(Vec<u8>),
    Fixed(Vec<u8>),
}

/// The fields of a message; `None` where the bytes are none.
fn fields(bytes: &[u8]) -> Option<Vec<(u64, Field)>> {
    let mut at = 0;
    let varint = |at: &mut usize| -> Option<u64> {
        let mut n = 0u64;
        for i in 0..10 {
            let b = *bytes.get(*at)?;
            *at += 1;
            n |= u64::from(b & 0x7f) << (7 * i);
            if b & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    };
    let mut out = Vec::new();
    while at < bytes.len() {
        let tag = varint(&mut at)?;
        if tag >> 3 == 0 || tag >> 3 > 1000 {
            return None;
        }
        let field = match tag & 7 {
            0 => Field::Int(varint(&mut at)?),
            2 => {
                let n = usize::try_from(varint(&mut at)?).ok()?;
                let inner = bytes.get(at..at.checked_add(n)?)?.to_vec();
                at += n;
                Field::Bytes(inner)
            }
            kind @ (1 | 5) => {
                let n = if kind == 1 { 8 } else { 4 };
                let raw = bytes.get(at..at + n)?.to_vec();
                at += n;
                Field::Fixed(raw)
            }
            _ => return None,
        };
        out.push((tag >> 3, field));
    }
    Some(out)
}

/// An attribute's value.
pub enum Attr {
    Ints(Vec<i64>),
    Graph(Graph),
}

/// A graph being written.
#[derive(Debug, Clone, Default)]
pub struct Graph(Message);

fn info(name: &str, kind: i64, dims: Option<&[i64]>) -> Message {
    let mut tensor = Message::default().int(1, kind);
    if let Some(dims) = dims {
        let shape = dims.iter().fold(Message::default(), |s, d| s.message(1, &Message::default().int(1, *d)));
        tensor = tensor.message(2, &shape);
    }
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

impl Graph {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn input(self, name: &str, kind: i64, dims: &[i64]) -> Self {
        Self(self.0.message(11, &info(name, kind, Some(dims))))
    }
    pub fn output(self, name: &str) -> Self {
        self.output_typed(name, 1)
    }
    pub fn output_typed(self, name: &str, kind: i64) -> Self {
        Self(self.0.message(12, &info(name, kind, None)))
    }
    pub fn node(self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Attr)]) -> Self {
        Self(self.0.message(1, &node("", op, inputs, outputs, attributes)))
    }
    pub fn node_in(self, domain: &str, op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        Self(self.0.message(1, &node(domain, op, inputs, outputs, &[])))
    }
    pub fn initializer_i64(self, name: &str, dims: &[i64], values: &[i64]) -> Self {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let t = dims.iter().fold(Message::default(), |t, d| t.int(1, *d));
        Self(self.0.message(5, &t.int(2, 7).text(8, name).bytes(9, &raw)))
    }
    pub fn initializer_bool(self, name: &str, value: bool) -> Self {
        Self(self.0.message(5, &Message::default().int(2, 9).text(8, name).bytes(9, &[u8::from(value)])))
    }
}

fn node(domain: &str, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Attr)]) -> Message {
    let mut n = inputs.iter().fold(Message::default(), |n, i| n.text(1, i));
    n = outputs.iter().fold(n, |n, o| n.text(2, o));
    n = n.text(4, op).text(7, domain);
    for (name, value) in attributes {
        let a = Message::default().text(1, name);
        let a = match value {
            Attr::Ints(v) => v.iter().fold(a, |a, i| a.int(8, *i)).int(20, 7),
            Attr::Graph(g) => a.message(6, &g.0).int(20, 5),
        };
        n = n.message(5, &a);
    }
    n
}

/// A function of the domain "f".
pub fn function(name: &str, inputs: &[&str], outputs: &[&str], body: impl Fn(Graph) -> Graph) -> Message {
    let mut f = Message::default().text(1, name);
    f = inputs.iter().fold(f, |f, i| f.text(4, i));
    f = outputs.iter().fold(f, |f, o| f.text(5, o));
    // A graph's nodes are field 1, a function's are field 7.
    for (number, field) in fields(&body(Graph::new()).0.0).expect("our own bytes") {
        if let (1, Field::Bytes(node)) = (number, field) {
            f = f.bytes(7, &node);
        }
    }
    f.text(10, "f")
}

/// A model that imports ai.onnx at a version.
pub fn model(version: i64, graph: &Graph, functions: &[Message]) -> Vec<u8> {
    let opset = |domain: &str, version: i64| Message::default().text(1, domain).int(2, version);
    let mut m = Message::default().int(1, 8).text(2, "tests").message(7, &graph.0);
    m = m.message(8, &opset("", version)).message(8, &opset("f", 1));
    functions.iter().fold(m, |m, f| m.message(25, f)).0
}
