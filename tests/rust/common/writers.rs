//! Small writers for GGUF, safetensors and ONNX, for files that are right and files that are wrong on purpose.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

/// A GGUF value: its type number and its bytes, little-endian.
#[derive(Clone)]
pub struct Value(pub u32, pub Vec<u8>);

/// Bytes of a GGUF string of version 2 and later.
pub fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

impl Value {
    pub fn text(text: &str) -> Self {
        Self(8, string(text))
    }
    pub fn u32(n: u32) -> Self {
        Self(4, n.to_le_bytes().to_vec())
    }
    /// An array of items of one type.
    pub fn array(item: u32, items: &[Vec<u8>]) -> Self {
        let mut bytes = item.to_le_bytes().to_vec();
        bytes.extend((items.len() as u64).to_le_bytes());
        bytes.extend(items.concat());
        Self(9, bytes)
    }
    /// One value of each of the 13 types, then an array of each number type and of strings.
    pub fn one_of_each() -> Vec<(&'static str, Self)> {
        vec![
            ("u8", Self(0, vec![200])),
            ("i8", Self(1, vec![0x80])),
            ("u16", Self(2, 60000u16.to_le_bytes().to_vec())),
            ("i16", Self(3, (-30000i16).to_le_bytes().to_vec())),
            ("u32", Self::u32(4_000_000_000)),
            ("i32", Self(5, (-2_000_000_000i32).to_le_bytes().to_vec())),
            ("f32", Self(6, 1.5f32.to_le_bytes().to_vec())),
            ("bool", Self(7, vec![1])),
            ("string", Self::text("grüße")),
            ("array", Self::array(5, &[(-1i32).to_le_bytes().to_vec(), 7i32.to_le_bytes().to_vec()])),
            ("u64", Self(10, u64::MAX.to_le_bytes().to_vec())),
            ("i64", Self(11, i64::MIN.to_le_bytes().to_vec())),
            ("f64", Self(12, (-2.25f64).to_le_bytes().to_vec())),
            ("strings", Self::array(8, &[string("a"), string(""), string("ccc")])),
            ("nested", Self::array(9, &[Self::array(0, &[vec![1], vec![2]]).1, Self::array(8, &[string("x")]).1])),
        ]
    }
}

/// One line of the tensor list; `dims` fastest first.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub dims: Vec<u64>,
    pub kind: u32,
    /// Where it is said to start; `None` for where it does.
    pub offset: Option<u64>,
    pub data: Vec<u8>,
}

/// A GGUF file, little-endian, version 2 or 3.
#[derive(Clone)]
pub struct Gguf {
    pub magic: [u8; 4],
    pub version: u32,
    pub tensor_count: Option<u64>,
    pub entry_count: Option<u64>,
    pub entries: Vec<(Vec<u8>, Value)>,
    pub tensors: Vec<Tensor>,
    /// Alignment used, whatever the metadata says.
    pub alignment: usize,
}

impl Gguf {
    /// A small valid file: five entries, three tensors (F32 2 x 3, Q8_0 2 x 32, F16 of one value).
    pub fn small() -> Self {
        let tensor = |name: &str, dims: &[u64], kind, bytes: usize| Tensor {
            name: name.into(),
            dims: dims.to_vec(),
            kind,
            offset: None,
            data: (0..bytes).map(|i| i as u8).collect(),
        };
        let mut file = Self {
            magic: *b"GGUF",
            version: 3,
            tensor_count: None,
            entry_count: None,
            entries: Vec::new(),
            tensors: vec![tensor("a", &[3, 2], 0, 24), tensor("b", &[32, 2], 8, 68), tensor("c", &[1], 1, 2)],
            alignment: 32,
        };
        file.set("general.architecture", Value::text("llama"));
        file.set("general.name", Value::text("small"));
        file.set("tokenizer.ggml.tokens", Value::array(8, &[string("<s>"), string("hello"), string("w")]));
        file.set("tokenizer.ggml.scores", Value::array(6, &[vec![0; 4], vec![0; 4], vec![0; 4]]));
        file.set("llama.block_count", Value::u32(1));
        file
    }
    /// Adds an entry.
    pub fn set(&mut self, key: &str, value: Value) {
        self.entries.push((key.into(), value));
    }
    /// The header's bytes without padding, and each tensor's offset.
    pub fn header(&self) -> Vec<u8> {
        let mut out = self.magic.to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend(self.tensor_count.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        out.extend(self.entry_count.unwrap_or(self.entries.len() as u64).to_le_bytes());
        for (key, Value(kind, bytes)) in &self.entries {
            out.extend(string(key));
            out.extend(kind.to_le_bytes());
            out.extend(bytes);
        }
        let mut at = 0u64;
        for tensor in &self.tensors {
            out.extend(string(&tensor.name));
            out.extend((tensor.dims.len() as u32).to_le_bytes());
            out.extend(tensor.dims.iter().flat_map(|d| d.to_le_bytes()));
            out.extend(tensor.kind.to_le_bytes());
            out.extend(tensor.offset.unwrap_or(at).to_le_bytes());
            at = (at + tensor.data.len() as u64).next_multiple_of(self.alignment as u64);
        }
        out
    }
    /// The whole file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.header();
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(self.alignment), 0);
            out.extend(&tensor.data);
        }
        if !self.tensors.is_empty() {
            out.resize(out.len().next_multiple_of(self.alignment), 0);
        }
        out
    }
}

/// The same header in version 1 (32-bit counts) or swapped to big-endian, from parts that say their widths.
pub struct Plain {
    pub version: u32,
    pub big_endian: bool,
    out: Vec<u8>,
}

impl Plain {
    pub fn new(version: u32, big_endian: bool) -> Self {
        Self { version, big_endian, out: b"GGUF".to_vec() }
    }
    fn put(&mut self, mut little: Vec<u8>) {
        if self.big_endian {
            little.reverse();
        }
        self.out.append(&mut little);
    }
    pub fn u32(&mut self, n: u32) -> &mut Self {
        self.put(n.to_le_bytes().to_vec());
        self
    }
    pub fn u64(&mut self, n: u64) -> &mut Self {
        self.put(n.to_le_bytes().to_vec());
        self
    }
    pub fn f32(&mut self, n: f32) -> &mut Self {
        self.put(n.to_le_bytes().to_vec());
        self
    }
    pub fn count(&mut self, n: u64) -> &mut Self {
        if self.version == 1 { self.u32(n as u32) } else { self.u64(n) }
    }
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.count(text.len() as u64);
        self.out.extend(text.as_bytes());
        self
    }
    /// A file of three entries and one F32 tensor of 2 x 3.
    pub fn file(version: u32, big_endian: bool) -> Vec<u8> {
        let mut f = Self::new(version, big_endian);
        f.u32(version).count(1).count(3);
        f.text("general.architecture").u32(8).text("llama");
        f.text("list").u32(9).u32(8).count(2).text("x").text("yz");
        f.text("scores").u32(9).u32(6).count(2).f32(1.0).f32(-2.5);
        f.text("t").u32(2).count(3).count(2).u32(0).u64(0);
        let aligned = f.out.len().next_multiple_of(32);
        f.out.resize(aligned, 0);
        f.out.extend([7; 24]);
        f.out.resize(aligned + 32, 0);
        f.out
    }
}

/// A safetensors file with this header text and data.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// A small valid safetensors file: metadata and two tensors, 32 bytes of data, padded to 8.
pub fn small_safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"I64","shape":[],"data_offsets":[24,32]}}"#;
    safetensors(&format!("{header:<width$}", width = header.len().next_multiple_of(8)), &[3; 32])
}

/// Protobuf, field by field.
#[derive(Default, Clone)]
pub struct Message(pub Vec<u8>);

impl Message {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn raw_varint(mut self, mut n: u64) -> Self {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
        self
    }
    pub fn int(self, field: u32, n: u64) -> Self {
        self.raw_varint(u64::from(field) << 3).raw_varint(n)
    }
    pub fn bytes(self, field: u32, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut out = self.raw_varint(u64::from(field) << 3 | 2).raw_varint(bytes.len() as u64);
        out.0.extend(bytes);
        out
    }
    pub fn message(self, field: u32, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }
}

/// A TensorProto with raw data.
pub fn onnx_tensor(name: &str, kind: u64, dims: &[u64], raw: &[u8]) -> Message {
    let tensor = dims.iter().fold(Message::new(), |m, d| m.int(1, *d));
    tensor.int(2, kind).bytes(8, name).bytes(9, raw)
}

/// A ValueInfoProto of floats; dimensions are numbers or names.
pub fn onnx_value(name: &str, dims: &[&str]) -> Message {
    let shape = dims.iter().fold(Message::new(), |m, d| {
        let dim = d.parse().map_or_else(|_| Message::new().bytes(2, d), |n| Message::new().int(1, n));
        m.message(1, &dim)
    });
    let tensor = Message::new().int(1, 1).message(2, &shape);
    Message::new().bytes(1, name).message(2, &Message::new().message(1, &tensor))
}

/// A NodeProto.
pub fn onnx_node(op: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let node = inputs.iter().fold(Message::new(), |m, i| m.bytes(1, i));
    outputs.iter().fold(node, |m, o| m.bytes(2, o)).bytes(4, op)
}

/// A ModelProto around a graph: IR version 8, one operator set, which comes last.
pub fn onnx_model(graph: &Message) -> Message {
    let opset = Message::new().bytes(1, "").int(2, 17);
    Message::new().int(1, 8).bytes(2, "test").message(7, graph).message(8, &opset)
}

/// y = Relu(x + w) with a Constant and an If whose branch holds one more node; w also listed as an input.
pub fn small_onnx() -> Vec<u8> {
    let constant = Message::new().bytes(1, "value").message(5, &onnx_tensor("", 7, &[1], &[1; 8]));
    let branch = Message::new().message(1, &onnx_node("Neg", &["s"], &["b"])).bytes(2, "branch");
    let graph = Message::new()
        .message(1, &onnx_node("Add", &["x", "w"], &["s"]))
        .message(1, &onnx_node("Relu", &["s"], &["y"]))
        .message(1, &onnx_node("Constant", &[], &["k"]).message(5, &constant))
        .message(
            1,
            &onnx_node("If", &["k"], &["z"]).message(5, &Message::new().bytes(1, "then_branch").message(6, &branch)),
        )
        .bytes(2, "main")
        .message(5, &onnx_tensor("w", 1, &[2, 3], &[5; 24]))
        .message(11, &onnx_value("x", &["batch", "3"]))
        .message(11, &onnx_value("w", &["2", "3"]))
        .message(12, &onnx_value("y", &["batch", "3"]));
    onnx_model(&graph).0
}
