//! Models of real shape with random weights, for benchmarks: same kernels, same traffic, no meaning.

use std::io::Write;

use crate::{
    arch::{Key, Role},
    fault::{Fault, Result},
    tensor::{ENCODINGS, Encoding},
};

/// Alignment of tensor data.
const ALIGN: u64 = 32;
/// Different random rows that a tensor is filled from.
const POOL_ROWS: u64 = 64;

/// Shape of a llama-architecture model.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    name: &'static str,
    layers: u32,
    width: u32,
    heads: u32,
    kv_heads: u32,
    ffn: u32,
    vocab: u32,
    context: u32,
    tied: bool,
}

/// Published shapes by their usual short names.
const SIZES: &[Sizes] = &[
    Sizes { name: "tiny", layers: 2, width: 64, heads: 4, kv_heads: 2, ffn: 128, vocab: 512, context: 256, tied: true },
    Sizes {
        name: "135m",
        layers: 30,
        width: 576,
        heads: 9,
        kv_heads: 3,
        ffn: 1536,
        vocab: 49152,
        context: 2048,
        tied: true,
    },
    Sizes {
        name: "k256-138m",
        layers: 16,
        width: 768,
        heads: 12,
        kv_heads: 4,
        ffn: 2048,
        vocab: 49152,
        context: 2048,
        tied: true,
    },
    Sizes {
        name: "0.5b",
        layers: 24,
        width: 896,
        heads: 14,
        kv_heads: 2,
        ffn: 4864,
        vocab: 151_936,
        context: 4096,
        tied: true,
    },
    Sizes {
        name: "1.1b",
        layers: 22,
        width: 2048,
        heads: 32,
        kv_heads: 4,
        ffn: 5632,
        vocab: 32000,
        context: 2048,
        tied: false,
    },
    Sizes {
        name: "1b",
        layers: 16,
        width: 2048,
        heads: 32,
        kv_heads: 8,
        ffn: 8192,
        vocab: 128_256,
        context: 8192,
        tied: true,
    },
    Sizes {
        name: "3b",
        layers: 28,
        width: 3072,
        heads: 24,
        kv_heads: 8,
        ffn: 8192,
        vocab: 128_256,
        context: 8192,
        tied: true,
    },
    Sizes {
        name: "8b",
        layers: 32,
        width: 4096,
        heads: 32,
        kv_heads: 8,
        ffn: 14336,
        vocab: 128_256,
        context: 8192,
        tied: false,
    },
];

/// What to write.
#[derive(Debug, Clone)]
pub struct Recipe {
    sizes: Sizes,
    encoding: Encoding,
    tensors: Vec<Tensor>,
}

#[derive(Debug, Clone)]
struct Tensor {
    name: String,
    /// Slowest first.
    rows: u64,
    row_len: u64,
    one_dimension: bool,
    encoding: Encoding,
}

impl Tensor {
    fn bytes(&self) -> u64 {
        self.encoding.bytes(self.rows * self.row_len, self.row_len).unwrap_or(0)
    }
}

impl Recipe {
    /// A recipe by architecture, size and encoding names.
    ///
    /// # Errors
    /// A name is unknown, or the encoding cannot be written; the fault lists what can.
    pub fn new(arch: &str, size: &str, quant: &str) -> Result<Self> {
        if arch != "llama" {
            return Err(Fault::caller(format!("the architecture \"{arch}\" cannot be made; llama can")));
        }
        let sizes = *SIZES.iter().find(|s| s.name.eq_ignore_ascii_case(size)).ok_or_else(|| {
            let known: Vec<&str> = SIZES.iter().map(|s| s.name).collect();
            Fault::caller(format!("no size is called \"{size}\"; there are {}", known.join(", ")))
        })?;
        let encoding = ENCODINGS
            .iter()
            .find(|s| {
                s.name.eq_ignore_ascii_case(quant)
                    && (s.encode.is_some() || s.encoding == Encoding::F32)
                    && s.ggml.is_some()
            })
            .map(|s| s.encoding)
            .ok_or_else(|| {
                let known: Vec<&str> =
                    ENCODINGS.iter().filter(|s| s.encode.is_some() && s.ggml.is_some()).map(|s| s.name).collect();
                Fault::caller(format!("\"{quant}\" cannot be written; {} can", known.join(", ")))
            })?;
        let tensors = tensors(&sizes, encoding);
        Ok(Self { sizes, encoding, tensors })
    }
    /// Number of weights.
    pub fn parameters(&self) -> u64 {
        self.tensors.iter().map(|t| t.rows * t.row_len).sum()
    }
}

/// What llama.cpp's quantizer takes where rows are no multiple of a K-quant's 256.
fn fallback(encoding: Encoding, row_len: u64) -> Encoding {
    let block = encoding.spec().map_or(1, |s| u64::from(s.block_len));
    if row_len % block == 0 {
        return encoding;
    }
    let smaller = match encoding {
        Encoding::Q2_K | Encoding::Q3_K => Encoding::Q4_0,
        Encoding::Q4_K => Encoding::Q5_0,
        Encoding::Q5_K => Encoding::Q5_1,
        Encoding::Q6_K => Encoding::Q8_0,
        _ => Encoding::F16,
    };
    if smaller.spec().is_some_and(|s| row_len % u64::from(s.block_len) == 0) { smaller } else { Encoding::F16 }
}

/// The head's encoding: llama.cpp keeps it at Q6_K where rows allow, else Q8_0.
fn head_encoding(encoding: Encoding, row_len: u64) -> Encoding {
    match encoding {
        Encoding::F32 | Encoding::F16 | Encoding::BF16 | Encoding::Q8_0 => encoding,
        _ => fallback(Encoding::Q6_K, row_len),
    }
}

fn tensors(s: &Sizes, encoding: Encoding) -> Vec<Tensor> {
    let (width, ffn) = (u64::from(s.width), u64::from(s.ffn));
    let kv = width / u64::from(s.heads) * u64::from(s.kv_heads);
    let vector =
        |name: String, n: u64| Tensor { name, rows: 1, row_len: n, one_dimension: true, encoding: Encoding::F32 };
    let matrix = |name: String, rows: u64, row_len: u64, e: Encoding| Tensor {
        name,
        rows,
        row_len,
        one_dimension: false,
        encoding: fallback(e, row_len),
    };
    let head = head_encoding(encoding, width);
    let name = |role: Role, layer: u32| role.gguf(layer).unwrap_or_default();
    let one = |role, rows, e| matrix(name(role, 0), rows, width, e);
    let mut list = vec![one(Role::TokenEmbedding, u64::from(s.vocab), if s.tied { head } else { encoding })];
    if !s.tied {
        list.push(one(Role::Output, u64::from(s.vocab), head));
    }
    list.push(vector(name(Role::OutputNorm, 0), width));
    for i in 0..s.layers {
        list.push(vector(name(Role::AttnNorm, i), width));
        for (role, rows) in [(Role::AttnQ, width), (Role::AttnK, kv), (Role::AttnV, kv), (Role::AttnOutput, width)] {
            list.push(matrix(name(role, i), rows, width, encoding));
        }
        list.push(vector(name(Role::FfnNorm, i), width));
        for (role, rows, row_len) in
            [(Role::FfnGate, ffn, width), (Role::FfnUp, ffn, width), (Role::FfnDown, width, ffn)]
        {
            list.push(matrix(name(role, i), rows, row_len, encoding));
        }
    }
    list
}

/// Writes the model as GGUF v3; returns its length in bytes.
///
/// # Errors
/// The output cannot be written.
pub fn write(recipe: &Recipe, out: &mut dyn Write, on_progress: &mut dyn FnMut(u64, u64)) -> Result<u64> {
    let header = header(recipe);
    let data: u64 = recipe.tensors.iter().map(|t| t.bytes().next_multiple_of(ALIGN)).sum();
    let total = header.len() as u64 + data;
    let fail = |e: std::io::Error| Fault::source(format!("cannot be written: {e}"));
    out.write_all(&header).map_err(fail)?;
    let mut done = header.len() as u64;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for tensor in &recipe.tensors {
        let pool = pool(tensor, &mut random)?;
        let row = (pool.len() as u64 / POOL_ROWS.min(tensor.rows)) as usize;
        for _ in 0..tensor.rows {
            let pick = random.next() as usize % (pool.len() / row);
            out.write_all(&pool[pick * row..][..row]).map_err(fail)?;
        }
        let padding = tensor.bytes().next_multiple_of(ALIGN) - tensor.bytes();
        out.write_all(&vec![0; padding as usize]).map_err(fail)?;
        done += tensor.bytes() + padding;
        on_progress(done, total);
    }
    out.flush().map_err(fail)?;
    Ok(total)
}

/// Some encoded rows with values of the size that trained models have; norms are ones.
fn pool(tensor: &Tensor, random: &mut Random) -> Result<Vec<u8>> {
    let spec = tensor.encoding.spec().ok_or_else(|| Fault::bug("a recipe with an encoding that has no row"))?;
    let scale = 1.0 / (tensor.row_len as f32).sqrt();
    let values: Vec<f32> = (0..POOL_ROWS.min(tensor.rows) * tensor.row_len)
        .map(|_| if tensor.one_dimension { 1.0 } else { random.normal() * scale })
        .collect();
    let Some(encode) = spec.encode else {
        return Ok(values.iter().flat_map(|v| v.to_le_bytes()).collect());
    };
    let mut bytes = vec![0; tensor.encoding.bytes(values.len() as u64, tensor.row_len).unwrap_or(0) as usize];
    encode(&values, &mut bytes);
    Ok(bytes)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    /// Sum of four uniforms: near enough to a normal of standard deviation 1.
    fn normal(&mut self) -> f32 {
        let uniform = |r: &mut Self| (r.next() >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
        (0..4).map(|_| uniform(self)).sum::<f32>() * 1.732
    }
}

fn header(recipe: &Recipe) -> Vec<u8> {
    let s = &recipe.sizes;
    let mut h = Header::default();
    h.string("general.architecture", "llama");
    h.string("general.type", "model");
    h.string("general.name", &format!("synthetic {} {}", s.name, recipe.encoding));
    h.string("general.description", "Random weights at a real shape, for benchmarks: its text is noise.");
    let key = |key: Key| key.gguf("llama").unwrap_or_default();
    for (k, n) in [
        (Key::Context, s.context),
        (Key::HiddenSize, s.width),
        (Key::Layers, s.layers),
        (Key::IntermediateSize, s.ffn),
        (Key::Heads, s.heads),
        (Key::KvHeads, s.kv_heads),
    ] {
        h.u32(&key(k), n);
    }
    h.f32(&key(Key::RmsEps), 1e-5);
    h.f32(&key(Key::RopeBase), 10000.0);
    h.u32(&key(Key::RopeDims), s.width / s.heads);
    h.u32(&key(Key::VocabSize), s.vocab);
    h.u32("general.quantization_version", 2);
    vocabulary(&mut h, s.vocab as usize);
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((recipe.tensors.len() as u64).to_le_bytes());
    bytes.extend(h.count.to_le_bytes());
    bytes.extend(&h.bytes);
    let mut offset = 0u64;
    for t in &recipe.tensors {
        Header::text(&mut bytes, t.name.as_bytes());
        let dims: &[u64] = if t.one_dimension { &[t.row_len] } else { &[t.row_len, t.rows] };
        bytes.extend((dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|d| bytes.extend(d.to_le_bytes()));
        bytes.extend(t.encoding.spec().and_then(|s| s.ggml).unwrap_or(0).to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset += t.bytes().next_multiple_of(ALIGN);
    }
    bytes.resize((bytes.len() as u64).next_multiple_of(ALIGN) as usize, 0);
    bytes
}

/// A byte-level BPE vocabulary: all bytes, then pairs of ASCII-letter tokens, then longer joins, then the end token.
fn vocabulary(h: &mut Header, size: usize) {
    let bytes: Vec<String> = byte_alphabet().into_iter().map(String::from).collect();
    let mut tokens: Vec<String> = bytes.iter().take(size.saturating_sub(1)).cloned().collect();
    let mut merges = Vec::new();
    let mut known: std::collections::HashSet<String> = tokens.iter().cloned().collect();
    // Printable ASCII first, so that common text has many merges; ids 33..127 are '!'..'~', 32 is the space.
    let common: Vec<usize> = (97..123).chain([32]).chain(65..91).chain(48..58).collect();
    let mut left: Vec<String> = common.iter().filter_map(|i| bytes.get(*i).cloned()).collect();
    while tokens.len() + 1 < size && !left.is_empty() {
        let mut next = Vec::new();
        'grow: for a in &left {
            for b in &common {
                if tokens.len() + 1 >= size {
                    break 'grow;
                }
                let joined = format!("{a}{}", bytes[*b]);
                if known.insert(joined.clone()) {
                    merges.push(format!("{a} {}", bytes[*b]));
                    tokens.push(joined.clone());
                    next.push(joined);
                }
            }
        }
        left = next;
    }
    tokens.push("<|endoftext|>".into());
    let end = tokens.len() as u32 - 1;
    let types: Vec<i32> = (0..tokens.len()).map(|i| if i as u32 == end { 3 } else { 1 }).collect();
    h.string("tokenizer.ggml.model", "gpt2");
    h.string("tokenizer.ggml.pre", "gpt-2");
    h.strings("tokenizer.ggml.tokens", &tokens);
    h.i32s("tokenizer.ggml.token_type", &types);
    h.strings("tokenizer.ggml.merges", &merges);
    h.u32("tokenizer.ggml.bos_token_id", end);
    h.u32("tokenizer.ggml.eos_token_id", end);
}

/// GPT-2's printable stand-ins for the 256 bytes.
fn byte_alphabet() -> Vec<char> {
    let mut next = 256;
    (0u32..256)
        .map(|b| {
            let printable = matches!(b, 33..=126 | 161..=172 | 174..=255);
            let code = if printable {
                b
            } else {
                next += 1;
                next - 1
            };
            char::from_u32(code).unwrap_or('?')
        })
        .collect()
}

#[derive(Default)]
struct Header {
    bytes: Vec<u8>,
    count: u64,
}

impl Header {
    fn text(bytes: &mut Vec<u8>, text: &[u8]) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text);
    }
    fn key(&mut self, key: &str, kind: u32) {
        Self::text(&mut self.bytes, key.as_bytes());
        self.bytes.extend(kind.to_le_bytes());
        self.count += 1;
    }
    fn u32(&mut self, key: &str, value: u32) {
        self.key(key, 4);
        self.bytes.extend(value.to_le_bytes());
    }
    fn f32(&mut self, key: &str, value: f32) {
        self.key(key, 6);
        self.bytes.extend(value.to_le_bytes());
    }
    fn string(&mut self, key: &str, value: &str) {
        self.key(key, 8);
        Self::text(&mut self.bytes, value.as_bytes());
    }
    fn array(&mut self, key: &str, kind: u32, len: usize) {
        self.key(key, 9);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((len as u64).to_le_bytes());
    }
    fn strings(&mut self, key: &str, values: &[String]) {
        self.array(key, 8, values.len());
        values.iter().for_each(|v| Self::text(&mut self.bytes, v.as_bytes()));
    }
    fn i32s(&mut self, key: &str, values: &[i32]) {
        self.array(key, 5, values.len());
        values.iter().for_each(|v| self.bytes.extend(v.to_le_bytes()));
    }
}
