//! Tokenizers against reference ids, hostile vocabularies, and properties over any text.

#[path = "tokenize/every_kind.rs"]
mod every_kind;
#[path = "tokenize/explain.rs"]
mod explain;
#[path = "tokenize/files.rs"]
mod files;
#[path = "tokenize/gguf_keys.rs"]
mod gguf_keys;
#[path = "tokenize/hostile.rs"]
mod hostile;
#[path = "tokenize/kinds.rs"]
mod kinds;
#[path = "tokenize/looking.rs"]
mod looking;
#[path = "tokenize/properties.rs"]
mod properties;
#[path = "tokenize/referee.rs"]
mod referee;
#[path = "tokenize/reference.rs"]
mod reference;
#[path = "tokenize/rules.rs"]
mod rules;
#[path = "tokenize/warnings.rs"]
mod warnings;

use crate::common::{files as opened, writers};
use std::path::PathBuf;

use glassbox::tokenizer::{EncodeOptions, GgufVocabulary, Vocabulary};

/// A file of the corpus, or none, said aloud.
fn corpus(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GLASSBOX_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus")), PathBuf::from);
    let file = root.join(path);
    if !file.exists() {
        eprintln!("skipped: {} because the corpus is not there (set GLASSBOX_CORPUS)", file.display());
        return None;
    }
    Some(file)
}

const PLAIN: EncodeOptions = EncodeOptions { add_special: false, parse_special: false };
const PARSED: EncodeOptions = EncodeOptions { add_special: false, parse_special: true };
const FULL: EncodeOptions = EncodeOptions { add_special: true, parse_special: true };

/// A small `llama` vocabulary: control tokens, all bytes, and a few words.
fn small_llama() -> GgufVocabulary {
    let mut keys = GgufVocabulary { model: "llama".into(), ..GgufVocabulary::default() };
    let mut add = |text: &str, kind: i32, score: f32| {
        keys.tokens.push(text.as_bytes().to_vec());
        keys.token_types.push(kind);
        keys.scores.push(score);
    };
    add("<unk>", 2, 0.0);
    add("<s>", 3, 0.0);
    add("</s>", 3, 0.0);
    for byte in 0..=255 {
        add(&format!("<0x{byte:02X}>"), 6, 0.0);
    }
    for (nth, word) in
        ["▁t", "he", "▁the", "ll", "lo", "hello", "hel", "▁▁", "▁", "t", "h", "e", "l", "o", "é"].iter().enumerate()
    {
        add(word, 1, -(nth as f32));
    }
    add("[TOOL]", 4, -1000.0);
    add("unused", 5, 0.0);
    keys
}

/// A small `gpt2` vocabulary: the 256 byte characters, a few merges, and special tokens.
fn small_gpt2() -> GgufVocabulary {
    let mut keys = GgufVocabulary { model: "gpt2".into(), pre: Some("gpt-2".into()), ..GgufVocabulary::default() };
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut shifted = 0x100;
    for byte in 0..=255_u8 {
        let code = if printable(byte) {
            u32::from(byte)
        } else {
            shifted += 1;
            shifted - 1
        };
        keys.tokens.push(char::from_u32(code).unwrap().to_string().into_bytes());
        keys.token_types.push(1);
    }
    for (left, right) in [("h", "e"), ("Ġ", "t"), ("Ġt", "he"), ("l", "l"), ("Ã", "©")] {
        keys.tokens.push(format!("{left}{right}").into_bytes());
        keys.token_types.push(1);
        keys.merges.push(format!("{left} {right}").into_bytes());
    }
    for (text, kind) in [("<|end|>", 3), ("[TOOL]", 4)] {
        keys.tokens.push(text.as_bytes().to_vec());
        keys.token_types.push(kind);
    }
    keys.special = vec![("bos".into(), 261), ("eos".into(), 261)];
    keys
}

fn gguf(keys: GgufVocabulary) -> Vocabulary {
    Vocabulary::from_gguf(keys).unwrap()
}
