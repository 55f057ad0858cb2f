//! Headers of large models, written sparsely: a true header, then a hole where the weights would be.
//! The shapes are those of the peers' benchmark: 300 or 30,000 tensors, with or without a vocabulary with merges.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::{
    fs::File,
    io::{Result, Seek, SeekFrom, Write},
    path::Path,
};

/// What the header holds.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Tensors, F16, equal in size.
    pub tensors: u64,
    /// Vocabulary entries; 0 for none. As many merges: 4.2 MB for 128k.
    pub vocabulary: u64,
    /// The file's length in bytes at least.
    pub file_bytes: u64,
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A token as byte-level vocabularies have them: mostly a blank mark and a few letters.
fn token(i: u64) -> String {
    let mut text = String::from(if i.is_multiple_of(3) { "Ġ" } else { "" });
    let mut n = i.wrapping_mul(2_654_435_761) % 308_915_776;
    for _ in 0..3 + i % 5 {
        text.push((b'a' + (n % 26) as u8) as char);
        n /= 26;
    }
    text
}

fn strings(out: &mut Vec<u8>, key: &str, n: u64, item: impl Fn(u64) -> String) {
    string(out, key);
    out.extend(9u32.to_le_bytes());
    out.extend(8u32.to_le_bytes());
    out.extend(n.to_le_bytes());
    for i in 0..n {
        string(out, &item(i));
    }
}

/// Names in the manner of a mixture-of-experts llama.
fn name(i: u64) -> String {
    const PARTS: [&str; 9] =
        ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"];
    format!("blk.{}.{}.weight", i / 9, PARTS[(i % 9) as usize])
}

/// The bytes of a GGUF header, and the length of the whole file.
pub fn gguf(shape: Shape) -> (Vec<u8>, u64) {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend(shape.tensors.to_le_bytes());
    let entries = if shape.vocabulary > 0 { 6u64 } else { 2 };
    out.extend(entries.to_le_bytes());
    for (key, value) in [("general.architecture", "llama"), ("general.name", "sparse")] {
        string(&mut out, key);
        out.extend(8u32.to_le_bytes());
        string(&mut out, value);
    }
    if shape.vocabulary > 0 {
        string(&mut out, "tokenizer.ggml.model");
        out.extend(8u32.to_le_bytes());
        string(&mut out, "gpt2");
        strings(&mut out, "tokenizer.ggml.tokens", shape.vocabulary, token);
        string(&mut out, "tokenizer.ggml.token_type");
        out.extend(9u32.to_le_bytes());
        out.extend(5u32.to_le_bytes());
        out.extend(shape.vocabulary.to_le_bytes());
        out.extend((0..shape.vocabulary).flat_map(|_| 1i32.to_le_bytes()));
        let merges = shape.vocabulary;
        strings(&mut out, "tokenizer.ggml.merges", merges, |i| format!("m{} t{}", i % 10, i % 100));
    }
    // Equal tensors of whole rows of 32 halves that together reach the length asked for.
    let rows = (shape.file_bytes / shape.tensors.max(1)).div_ceil(64).max(1);
    for i in 0..shape.tensors {
        string(&mut out, &name(i));
        out.extend(2u32.to_le_bytes());
        out.extend(32u64.to_le_bytes());
        out.extend(rows.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend((i * rows * 64).to_le_bytes());
    }
    let data = (out.len() as u64).next_multiple_of(32);
    (out, data + shape.tensors * rows * 64)
}

/// The bytes of a safetensors header with its length, and the length of the whole file.
pub fn safetensors(shape: Shape) -> (Vec<u8>, u64) {
    let each = (shape.file_bytes / shape.tensors.max(1)).next_multiple_of(64);
    let mut text = String::from("{\"__metadata__\":{\"format\":\"pt\"}");
    for i in 0..shape.tensors {
        let (from, to) = (i * each, (i + 1) * each);
        text.push_str(&format!(
            ",\"{}\":{{\"dtype\":\"BF16\",\"shape\":[{},32],\"data_offsets\":[{from},{to}]}}",
            name(i),
            each / 64
        ));
    }
    text.push('}');
    while text.len() % 8 != 0 {
        text.push(' ');
    }
    let out = [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let len = out.len() as u64 + shape.tensors * each;
    (out, len)
}

/// Writes a header and a hole up to `len`; file systems that know holes store only the header.
pub fn write_sparse(path: &Path, header: &[u8], len: u64) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(header)?;
    file.seek(SeekFrom::Start(0))?;
    file.set_len(len)
}
