//! Vocabularies of ranks: tiktoken's files, and Mistral's Tekken.
//!
//! Sources: tiktoken, `tiktoken_ext/openai_public.py`; the Qwen and Llama 3 models' own Python files;
//! mistral-common, `tokens/tokenizers/tekken.py`.

use std::sync::Arc;

use serde::Deserialize;

use super::{
    Method, PieceKind, Vocabulary, alphabet, base64, limits,
    memo::Shared,
    ranked::Ranked,
    slots::TextIds,
    specials::Specials,
    splits::Split,
    streaming::{First, Joiner},
    table::{Entry, Spelling, Table},
};
use crate::fault::{Blame, Fault, Result};

const R50K: &str = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A known rank file: how many ranks it has and what it does not say itself.
struct Known {
    name: &'static str,
    ranks: usize,
    pattern: &'static str,
    specials: &'static [(&'static str, u32)],
    end: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        name: "r50k_base",
        ranks: 50_256,
        pattern: R50K,
        specials: &[("<|endoftext|>", 50_256)],
        end: "<|endoftext|>",
    },
    Known {
        name: "p50k_base",
        ranks: 50_280,
        pattern: R50K,
        specials: &[("<|endoftext|>", 50_256)],
        end: "<|endoftext|>",
    },
    Known {
        name: "cl100k_base",
        ranks: 100_256,
        pattern: CL100K,
        specials: &[
            ("<|endoftext|>", 100_257),
            ("<|fim_prefix|>", 100_258),
            ("<|fim_middle|>", 100_259),
            ("<|fim_suffix|>", 100_260),
            ("<|endofprompt|>", 100_276),
        ],
        end: "<|endoftext|>",
    },
    Known {
        name: "Llama 3",
        ranks: 128_000,
        pattern: CL100K,
        specials: &[
            ("<|begin_of_text|>", 128_000),
            ("<|end_of_text|>", 128_001),
            ("<|start_header_id|>", 128_006),
            ("<|end_header_id|>", 128_007),
            ("<|eot_id|>", 128_009),
        ],
        end: "<|end_of_text|>",
    },
    Known {
        name: "Qwen",
        ranks: 151_643,
        pattern: QWEN,
        specials: &[("<|endoftext|>", 151_643), ("<|im_start|>", 151_644), ("<|im_end|>", 151_645)],
        end: "<|endoftext|>",
    },
    Known {
        name: "o200k_base",
        ranks: 199_998,
        pattern: O200K,
        specials: &[("<|endoftext|>", 199_999), ("<|endofprompt|>", 200_018)],
        end: "<|endoftext|>",
    },
];

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

fn compiled(pattern: &str) -> Result<Vec<Split>> {
    limits::check("bytes in a regular expression", pattern.len(), limits::PATTERN_BYTES)?;
    let split =
        Split::of(pattern).map_err(|e| broken(format!("the regular expression {pattern:?} is not valid: {e}")))?;
    Ok(vec![split])
}

/// The encoder of tokens whose ids are their ranks, shifted.
fn ranked(pattern: &str, ordinary: &[(Vec<u8>, u32)], shift: u32) -> Result<Method> {
    let ranks = TextIds::new(ordinary.iter().map(|(token, id)| (token.as_slice(), *id - shift)))?;
    Ok(Method::Ranked(Box::new(Ranked { splits: compiled(pattern)?, ranks, shift, memo: Shared::default() })))
}

/// The table of ordinary tokens at their ids and of special ones at theirs.
fn table(ordinary: &[(Vec<u8>, u32)], specials: &[(String, u32)]) -> Result<Table> {
    let last = ordinary.iter().map(|(_, id)| *id).chain(specials.iter().map(|(_, id)| *id)).max();
    let count = last.map_or(0, |last| last as usize + 1);
    limits::check("tokens in the vocabulary, holes included", count, limits::TOKENS)?;
    let hole = Entry { text: Arc::from(""), kind: PieceKind::Normal, hidden: true };
    let mut entries = vec![hole; count];
    for (bytes, id) in ordinary {
        let text: String = bytes.iter().map(|byte| alphabet::to_char(*byte)).collect();
        entries[*id as usize] = Entry { text: Arc::from(text), kind: PieceKind::Normal, hidden: false };
    }
    for (text, id) in specials {
        entries[*id as usize] = Entry { text: Arc::from(text.as_str()), kind: PieceKind::Control, hidden: true };
    }
    Table::new(entries, Spelling::ByteLevel)
}

/// See [`Vocabulary::from_tiktoken`].
pub(super) fn tiktoken(bytes: &[u8]) -> Result<Vocabulary> {
    let text = std::str::from_utf8(bytes).map_err(|e| broken("a rank file is UTF-8").at(e.valid_up_to() as u64))?;
    let mut ordinary = Vec::new();
    for (nth, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let entry = line.split_once(' ').and_then(|(token, rank)| {
            let rank: u32 = rank.trim().parse().ok()?;
            Some((base64::decode(token)?, rank))
        });
        let (token, rank) = entry
            .ok_or_else(|| broken(format!("line {}: a token in base64, a space and its rank expected", nth + 1)))?;
        limits::check("tokens in the vocabulary", (rank as usize).max(nth), limits::TOKENS)?;
        limits::check("bytes in a token", token.len(), limits::TOKEN_BYTES)?;
        ordinary.push((token, rank));
    }
    let count = TextIds::new(ordinary.iter().map(|(token, rank)| (token.as_slice(), *rank)))?.len();
    let known = KNOWN.iter().find(|known| known.ranks == count).ok_or_else(|| {
        let names: Vec<String> = KNOWN.iter().map(|known| format!("{} ({})", known.name, known.ranks)).collect();
        Fault::unsupported(format!(
            "a rank file does not say how text is split, and none with {} tokens is known: known are {}",
            count,
            names.join(", ")
        ))
    })?;
    let specials: Vec<(String, u32)> = known.specials.iter().map(|(text, id)| ((*text).to_owned(), *id)).collect();
    let table = table(&ordinary, &specials)?;
    let eos = table.id_of(known.end);
    let bos = table.id_of("<|begin_of_text|>");
    let end_ids = super::gguf_tokens::END_TEXTS.iter().filter_map(|text| table.id_of(text)).collect();
    Ok(Vocabulary {
        title: format!("tiktoken ranks ({})", known.name),
        specials: Specials::of(&table),
        table,
        method: ranked(known.pattern, &ordinary, 0)?,
        joiner: Joiner::Bytes(First::Keep),
        before: bos.into_iter().collect(),
        after: Vec::new(),
        pair: None,
        end_ids,
        bos,
        eos,
        notes: Vec::new(),
    })
}

#[derive(Deserialize)]
struct Tekken {
    config: TekkenConfig,
    vocab: Vec<TekkenToken>,
    special_tokens: Option<Vec<TekkenSpecial>>,
}

#[derive(Deserialize)]
struct TekkenConfig {
    pattern: String,
    default_vocab_size: u32,
    default_num_special_tokens: u32,
}

#[derive(Deserialize)]
struct TekkenToken {
    rank: u32,
    token_bytes: String,
}

#[derive(Deserialize)]
struct TekkenSpecial {
    rank: u32,
    token_str: String,
}

/// Special tokens of files that do not list them, in the order of their ids.
const TEKKEN_SPECIALS: &[&str] = &[
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

/// See [`Vocabulary::from_tekken`].
pub(super) fn tekken(json: &[u8]) -> Result<Vocabulary> {
    let file: Tekken = serde_json::from_slice(json).map_err(|e| broken(format!("not a tekken.json: {e}")))?;
    let TekkenConfig { pattern, default_vocab_size: size, default_num_special_tokens: shift } = file.config;
    limits::check("tokens in the vocabulary", size as usize, limits::TOKENS)?;
    if shift > size {
        return Err(broken(format!("{shift} special tokens in a vocabulary of {size}")));
    }
    let mut ordinary = Vec::new();
    // Files hold more ranks than the model has tokens; the first ones count.
    for token in file.vocab.into_iter().filter(|token| token.rank < size - shift) {
        let bytes = base64::decode(&token.token_bytes)
            .ok_or_else(|| broken(format!("the bytes of rank {} are not base64", token.rank)))?;
        limits::check("bytes in a token", bytes.len(), limits::TOKEN_BYTES)?;
        ordinary.push((bytes, token.rank + shift));
    }
    let listed = file.special_tokens.map_or_else(
        || TEKKEN_SPECIALS.iter().zip(0..).map(|(text, rank)| ((*text).to_owned(), rank)).collect(),
        |all| all.into_iter().map(|token| (token.token_str, token.rank)).collect::<Vec<_>>(),
    );
    let mut specials: Vec<(String, u32)> = listed.into_iter().filter(|(_, rank)| *rank < shift).collect();
    let named: std::collections::HashSet<u32> = specials.iter().map(|(_, rank)| *rank).collect();
    limits::check("special tokens", shift as usize, limits::SPECIALS)?;
    specials.extend((0..shift).filter(|rank| !named.contains(rank)).map(|rank| (format!("<SPECIAL_{rank}>"), rank)));
    let table = table(&ordinary, &specials)?;
    let (bos, eos) = (table.id_of("<s>"), table.id_of("</s>"));
    Ok(Vocabulary {
        title: "Tekken ranks".to_owned(),
        specials: Specials::of(&table),
        table,
        method: ranked(&pattern, &ordinary, shift)?,
        joiner: Joiner::Bytes(First::Keep),
        before: bos.into_iter().collect(),
        after: Vec::new(),
        pair: None,
        end_ids: eos.into_iter().collect(),
        bos,
        eos,
        notes: Vec::new(),
    })
}
