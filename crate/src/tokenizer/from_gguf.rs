//! A vocabulary from the `tokenizer.ggml.*` keys of a GGUF file.
//!
//! Source: llama.cpp, `llama_vocab::impl::load` in `src/llama-vocab.cpp`, for defaults and flags.

use std::sync::Arc;

use fancy_regex::Regex;
use tokenizers::models::bpe::{BPE, Vocab};

use super::{
    GgufVocabulary, Method, PieceKind, Vocabulary, alphabet,
    byte_bpe::ByteBpe,
    limits,
    specials::Specials,
    splitters::{self, Splitter},
    spm::{SPACE, Spm},
    streaming::{First, Joiner},
    table::{Entry, Spelling, Table},
};
use crate::{
    fault::{Blame, Fault, Result},
    model::{Note, Severity},
};

/// Kinds that llama.cpp knows and Glassbox does not encode yet, and what each would need.
const KNOWN_KINDS: &[(&str, &str)] = &[
    ("bert", "WordPiece from GGUF metadata"),
    ("gemma4", "its byte-pair merging over raw text"),
    ("hybriddna", "its DNA splitting"),
    ("no_vocab", "a vocabulary: the file has none"),
    ("none", "a vocabulary: the file has none"),
    ("plamo2", "its suffix-table search"),
    ("rwkv", "its longest-match search"),
    ("t5", "Unigram from GGUF metadata"),
    ("whitespace", "its whitespace splitting"),
];

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

/// See [`Vocabulary::from_gguf`].
pub(super) fn build(keys: &GgufVocabulary) -> Result<Vocabulary> {
    let is_llama = match keys.model.as_str() {
        "llama" => true,
        "gpt2" => false,
        other => return Err(unsupported_kind(other)),
    };
    let splitter = if is_llama { None } else { Some(splitter(keys)?) };
    check_counts(keys)?;
    let mut notes = Vec::new();
    let table = table(keys, if is_llama { Spelling::Meta(SPACE) } else { Spelling::ByteLevel }, &mut notes)?;
    let specials = Specials::of(&table);
    limits::check("special tokens", specials.len(), limits::SPECIALS)?;
    let pre = keys.pre.as_deref().unwrap_or("default");
    let (title, method, joiner) = match splitter {
        None => {
            let spm = sentence_piece(keys, &table, &mut notes);
            let first = if spm.add_space_prefix { First::StripOne } else { First::Keep };
            ("SentencePiece BPE (llama)".to_owned(), Method::Spm(spm), Joiner::Bytes(first))
        }
        Some(row) => {
            let bpe = byte_level(keys, row, &table, &mut notes)?;
            (format!("Byte-level BPE (gpt2, pre {pre})"), Method::ByteBpe(Box::new(bpe)), Joiner::Bytes(First::Keep))
        }
    };
    if !is_llama && matches!(keys.pre.as_deref(), None | Some("default")) {
        notes.push(
            Note::new(Severity::Warning, "The file names no pre-tokenizer; llama.cpp's default rules split the text.")
                .why("Most models were trained with other rules, so ids may differ from those that the model expects.")
                .advice(
                    "Compare with the model's tokenizer.json, or convert the model again with a current converter.",
                ),
        );
    }
    let (before, after) = added(keys, &table, splitter, &mut notes);
    let end_ids = end_ids(keys, &table, splitter);
    Ok(Vocabulary { title, table, method, specials, joiner, before, after, end_ids, notes })
}

fn unsupported_kind(kind: &str) -> Fault {
    let why = match KNOWN_KINDS.iter().find(|(name, _)| *name == kind) {
        Some((_, lacks)) => format!("Glassbox lacks {lacks}"),
        None => "no such kind is known".to_owned(),
    };
    Fault::unsupported(format!("tokenizer.ggml.model is {kind:?}: {why}, so text cannot be encoded"))
}

fn splitter(keys: &GgufVocabulary) -> Result<&'static Splitter> {
    let pre = keys.pre.as_deref().unwrap_or("default");
    splitters::find(pre).ok_or_else(|| {
        Fault::unsupported(format!(
            "tokenizer.ggml.pre is {pre:?}: Glassbox lacks the splitting rules of that name and does not guess, so text cannot be encoded"
        ))
    })
}

fn check_counts(keys: &GgufVocabulary) -> Result<()> {
    let tokens = keys.tokens.len();
    if tokens == 0 {
        return Err(broken("tokenizer.ggml.tokens is empty or missing"));
    }
    limits::check("tokens in the vocabulary", tokens, limits::TOKENS)?;
    limits::check("merges in the vocabulary", keys.merges.len(), limits::MERGES)?;
    for (name, found) in [("token_type", keys.token_types.len()), ("scores", keys.scores.len())] {
        if found != 0 && found != tokens {
            return Err(broken(format!("tokenizer.ggml.{name} has {found} entries, expected {tokens}, one per token")));
        }
    }
    Ok(())
}

fn table(keys: &GgufVocabulary, spelling: Spelling, notes: &mut Vec<Note>) -> Result<Table> {
    let mut unreadable = 0;
    let has_types = !keys.token_types.is_empty();
    let mut entries = Vec::with_capacity(keys.tokens.len());
    for (nth, bytes) in keys.tokens.iter().enumerate() {
        limits::check("bytes in a token", bytes.len(), limits::TOKEN_BYTES)?;
        let text = String::from_utf8_lossy(bytes);
        unreadable += usize::from(matches!(text, std::borrow::Cow::Owned(_)));
        let type_id = keys.token_types.get(nth).copied().unwrap_or(1);
        let (mut kind, mut hidden) = match type_id {
            2 => (PieceKind::Unknown, true),
            3 => (PieceKind::Control, true),
            4 => (PieceKind::UserDefined, false),
            6 => (PieceKind::Byte, false),
            5 => (PieceKind::Normal, true),
            _ => (PieceKind::Normal, false),
        };
        if !has_types && spelling != Spelling::ByteLevel && alphabet::parse_byte_token(&text).is_some() {
            (kind, hidden) = (PieceKind::Byte, false);
        }
        entries.push(Entry { text: Arc::from(text), kind, hidden });
    }
    if !has_types {
        mark_named_specials(keys, &mut entries);
        notes.push(Note::new(
            Severity::Info,
            "The file has no token types: only the tokens named by its special ids are taken as special.",
        ));
    }
    if unreadable > 0 {
        notes.push(Note::new(Severity::Warning, format!("{unreadable} tokens are not valid UTF-8.")));
    }
    let table = Table::new(entries, spelling)?;
    if table.duplicates > 0 {
        let what = format!("{} tokens have the text of another token; the last of each is used.", table.duplicates);
        notes.push(Note::new(Severity::Warning, what));
    }
    Ok(table)
}

fn mark_named_specials(keys: &GgufVocabulary, entries: &mut [Entry]) {
    for (name, id) in &keys.special {
        if let Some(entry) = entries.get_mut(*id as usize) {
            entry.kind = if name == "unknown" { PieceKind::Unknown } else { PieceKind::Control };
            entry.hidden = true;
        }
    }
}

fn sentence_piece(keys: &GgufVocabulary, table: &Table, notes: &mut Vec<Note>) -> Spm {
    if keys.scores.is_empty() {
        let what = "The file has no token scores: every merge ranks the same, so the leftmost pair merges first.";
        notes.push(Note::new(Severity::Warning, what));
    }
    let mut bytes = Box::new([None; 256]);
    for (id, entry) in (0..).zip(table.entries()) {
        if let (PieceKind::Byte, Some(byte)) = (entry.kind, alphabet::parse_byte_token(&entry.text)) {
            bytes[usize::from(byte)] = Some(id);
        }
    }
    let missing = bytes.iter().filter(|id| id.is_none()).count();
    if missing > 0 {
        let what =
            format!("{missing} of the 256 byte tokens are missing: some characters can only become the unknown token.");
        notes.push(Note::new(Severity::Info, what));
    }
    let is_barred = |entry: &Entry| entry.kind == PieceKind::Normal && entry.hidden;
    Spm {
        // Adding zero turns -0 into 0, which must tie with it.
        scores: keys.scores.iter().map(|score| score + 0.0).collect(),
        barred: table.entries().iter().map(is_barred).collect(),
        bytes,
        unknown: special(keys, "unknown").or(Some(0)).filter(|id| table.get(*id).is_some()),
        add_space_prefix: keys.add_space_prefix.unwrap_or(true),
    }
}

fn byte_level(keys: &GgufVocabulary, row: &Splitter, table: &Table, notes: &mut Vec<Note>) -> Result<ByteBpe> {
    if keys.merges.is_empty() {
        return Err(broken("tokenizer.ggml.merges is empty or missing, which a gpt2 vocabulary needs"));
    }
    let vocab: Vocab = (0..)
        .zip(table.entries())
        .filter(|(_, entry)| !entry.text.is_empty() && (entry.kind != PieceKind::Normal || !entry.hidden))
        .map(|(id, entry)| (entry.text.to_string(), id))
        .collect();
    let mut merges = Vec::with_capacity(keys.merges.len());
    let mut joined = String::new();
    for merge in &keys.merges {
        // "a b", cut at the first space that leaves a first half: a token may itself begin with a space.
        let halves = std::str::from_utf8(merge).ok().and_then(|merge| {
            let cut = merge.bytes().skip(1).position(|byte| byte == b' ')? + 1;
            Some((&merge[..cut], &merge[cut + 1..]))
        });
        let Some((left, right)) = halves else { continue };
        joined.clear();
        joined.extend([left, right]);
        if [left, right, &joined].into_iter().all(|part| vocab.contains_key(part)) {
            merges.push((left.to_owned(), right.to_owned()));
        }
    }
    let skipped = keys.merges.len() - merges.len();
    if skipped > 0 {
        let what = format!(
            "{skipped} of {} merges name tokens that the vocabulary lacks; they are not applied.",
            keys.merges.len()
        );
        notes.push(Note::new(Severity::Warning, what));
    }
    let model = BPE::builder().vocab_and_merges(vocab, merges).ignore_merges(row.ignore_merges).build();
    let model = model.map_err(|e| broken(format!("the merges do not fit the vocabulary: {e}")))?;
    let compile = |regex: &&str| Regex::new(regex).map_err(|e| Fault::bug(format!("splitting rule {regex:?}: {e}")));
    Ok(ByteBpe { splits: row.regexes.iter().map(compile).collect::<Result<_>>()?, model })
}

fn special(keys: &GgufVocabulary, name: &str) -> Option<u32> {
    keys.special.iter().find(|(key, _)| key == name).map(|(_, id)| *id)
}

/// The id of BOS or EOS: the key's, or else the kind's default.
fn boundary(keys: &GgufVocabulary, name: &str, splitter: Option<&Splitter>) -> Option<u32> {
    let default = match (splitter, name) {
        (None, "bos") => Some(1),
        (None, _) => Some(2),
        (Some(row), "bos") if row.clear_bos => None,
        (Some(_), _) => Some(11),
    };
    special(keys, name).or(default)
}

/// Ids before and after an encoded text.
fn added(
    keys: &GgufVocabulary,
    table: &Table,
    splitter: Option<&Splitter>,
    notes: &mut Vec<Note>,
) -> (Vec<u32>, Vec<u32>) {
    let mut resolve = |wanted: bool, name: &str| -> Vec<u32> {
        if !wanted {
            return Vec::new();
        }
        match boundary(keys, name, splitter) {
            Some(id) if table.get(id).is_some() => vec![id],
            Some(id) => {
                let what = format!(
                    "The file asks for {} before or after every text, but its id {id} is outside the vocabulary of {} tokens: none is added.",
                    name.to_uppercase(),
                    table.len()
                );
                notes.push(Note::new(Severity::Error, what));
                Vec::new()
            }
            None => Vec::new(),
        }
    };
    let add_bos = keys.add_bos.unwrap_or(splitter.is_none_or(|row| row.add_bos));
    (resolve(add_bos, "bos"), resolve(keys.add_eos.unwrap_or(false), "eos"))
}

fn end_ids(keys: &GgufVocabulary, table: &Table, splitter: Option<&Splitter>) -> Vec<u32> {
    let mut ids: Vec<u32> = boundary(keys, "eos", splitter).into_iter().collect();
    ids.extend(["eot", "eom"].into_iter().filter_map(|name| special(keys, name)));
    let is_special =
        |id: &u32| table.get(*id).is_some_and(|e| matches!(e.kind, PieceKind::Control | PieceKind::UserDefined));
    ids.extend(super::END_TEXTS.iter().filter_map(|text| table.id_of(text)).filter(is_special));
    ids.retain(|id| table.get(*id).is_some());
    ids.sort_unstable();
    ids.dedup();
    ids
}
