//! A vocabulary from the `tokenizer.ggml.*` keys of a GGUF file.
//!
//! Source: llama.cpp, `llama_vocab::impl::load` in `src/llama-vocab.cpp`, for defaults and flags.

use std::sync::Arc;

use super::{
    GgufVocabulary, Method, PieceKind, Vocabulary, alphabet,
    bpe::{Bpe, BpeOptions, joined},
    byte_bpe::{ByteBpe, Raw},
    charsmap::Charsmap,
    gguf_tokens, limits,
    longest::{self, Longest},
    memo::Shared,
    plamo2::{self, Plamo2},
    prefixes::Prefixes,
    sentence::Preparation,
    slots::TextIds,
    specials::Specials,
    splits::Split,
    splitters::{self, Rule, Splitter},
    spm::{SPACE, Spm},
    streaming::{First, Joiner},
    table::{Entry, Spelling, Table},
    unigram::Unigram,
    word_piece::WordPiece,
};
use crate::{
    fault::{Blame, Fault, Result},
    model::{Note, Severity},
};

/// Kinds that llama.cpp knows and Glassbox does not encode, and what each would need.
const KNOWN_KINDS: &[(&str, &str)] = &[
    ("hybriddna", "its DNA splitting"),
    ("no_vocab", "a vocabulary: the file has none"),
    ("none", "a vocabulary: the file has none"),
];

/// The kinds of `tokenizer.ggml.model`.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Llama,
    /// Also `gemma4` and `whitespace`, which differ by their splitter.
    Bpe(&'static Splitter),
    Bert,
    T5,
    Rwkv,
    Plamo2,
}

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

/// See [`Vocabulary::from_gguf`].
pub(super) fn build(keys: &GgufVocabulary) -> Result<Vocabulary> {
    let kind = kind(keys)?;
    check_counts(keys)?;
    let mut notes = Vec::new();
    let spelling = match kind {
        Kind::Llama | Kind::Bert | Kind::T5 => Spelling::Meta(SPACE),
        Kind::Bpe(row) if row.raw && row.escape => Spelling::Meta(SPACE),
        Kind::Bpe(row) if row.raw => Spelling::Plain,
        Kind::Bpe(_) => Spelling::ByteLevel,
        Kind::Rwkv => Spelling::Escaped,
        Kind::Plamo2 => Spelling::Plain,
    };
    let (table, mut end_ids) = table(keys, spelling, &mut notes)?;
    let mut specials = Specials::of(&table);
    limits::check("special tokens", specials.len(), limits::SPECIALS)?;
    strip_around(keys, &table, &mut specials);
    let defaults = defaults(keys, kind, &table, &mut notes);
    let (title, method, joiner) = match kind {
        Kind::Llama => {
            let spm = sentence_piece(keys, &table, &defaults, &mut notes);
            let first = if spm.add_space_prefix { First::StripOne } else { First::Keep };
            ("SentencePiece BPE (llama)".to_owned(), Method::Spm(spm), Joiner::Bytes(first))
        }
        Kind::Bpe(row) => {
            let bpe = bpe(keys, row, &table, &mut notes)?;
            let pre = pre(keys);
            let first = if row.line_prefix { First::StripOne } else { First::Keep };
            let title = match keys.model.as_str() {
                "gpt2" if row.raw => format!("BPE (gpt2, pre {pre})"),
                "gpt2" => format!("Byte-level BPE (gpt2, pre {pre})"),
                other => format!("BPE ({other})"),
            };
            note_splitter(keys, row, &mut notes);
            (title, Method::ByteBpe(Box::new(bpe)), Joiner::Bytes(first))
        }
        Kind::Bert => {
            let lowercase = keys.lowercase.unwrap_or(true);
            let strip_accents = keys.strip_accents.unwrap_or(lowercase);
            let tokens = prefixes(&table, |_| true);
            let method = WordPiece::new(tokens, defaults.unknown, lowercase, strip_accents);
            note_bert(&mut notes, strip_accents);
            ("WordPiece (bert)".to_owned(), Method::WordPiece(method), Joiner::Bytes(First::StripOne))
        }
        Kind::T5 => {
            let unigram = unigram(keys, &table, &defaults, &mut notes)?;
            let first = if unigram.preparation.add_prefix { First::StripOne } else { First::Keep };
            ("Unigram (t5)".to_owned(), Method::Unigram(Box::new(unigram)), Joiner::Bytes(first))
        }
        Kind::Rwkv => {
            let bytes = table.entries().iter().map(|entry| longest::unescape(&entry.text)).zip(0..);
            let method = Longest { tokens: Prefixes::new(bytes), unknown: defaults.unknown };
            ("Longest match (rwkv)".to_owned(), Method::Longest(method), Joiner::Bytes(First::Keep))
        }
        Kind::Plamo2 => {
            let method = plamo2(keys, &table)?;
            ("Best path (plamo2)".to_owned(), Method::Plamo2(Box::new(method)), Joiner::Bytes(First::Keep))
        }
    };
    let (before, after) = added(keys, kind, &defaults, &mut notes);
    end_ids.extend(defaults.eos);
    end_ids.extend(["eot", "eom"].into_iter().filter_map(|name| special(keys, name)));
    end_ids.retain(|id| table.get(*id).is_some());
    end_ids.sort_unstable();
    end_ids.dedup();
    Ok(Vocabulary {
        title,
        table,
        method,
        specials,
        joiner,
        before,
        after,
        pair: None,
        end_ids,
        bos: defaults.bos,
        eos: defaults.eos,
        notes,
    })
}

fn kind(keys: &GgufVocabulary) -> Result<Kind> {
    let bpe = |pre: &str| match splitters::find(pre) {
        Some(row) => Ok(Kind::Bpe(row)),
        None => Err(Fault::unsupported(format!(
            "tokenizer.ggml.pre is {pre:?}: Glassbox lacks the splitting rules of that name and does not guess, so text cannot be encoded"
        ))),
    };
    match keys.model.as_str() {
        "llama" => Ok(Kind::Llama),
        "gpt2" | "whitespace" => bpe(pre(keys)),
        "gemma4" => bpe("gemma4"),
        "bert" => Ok(Kind::Bert),
        "t5" => Ok(Kind::T5),
        "rwkv" => Ok(Kind::Rwkv),
        "plamo2" => Ok(Kind::Plamo2),
        other => Err(unsupported_kind(other)),
    }
}

fn pre(keys: &GgufVocabulary) -> &str {
    keys.pre.as_deref().filter(|pre| !pre.is_empty()).unwrap_or("default")
}

fn note_splitter(keys: &GgufVocabulary, row: &Splitter, notes: &mut Vec<Note>) {
    if keys.model != "gemma4" && pre(keys) == "default" {
        notes.push(
            Note::new(Severity::Warning, "The file names no pre-tokenizer; llama.cpp's default rules split the text.")
                .why("Most models were trained with other rules, so ids may differ from those that the model expects.")
                .advice(
                    "Compare with the model's tokenizer.json, or convert the model again with a current converter.",
                ),
        );
    }
    if let Some(why) = row.differs {
        notes.push(
            Note::new(
                Severity::Info,
                format!("Text is split as llama.cpp splits it for {:?}, which can differ from the model's own tokenizer.json.", pre(keys)),
            )
            .why(why),
        );
    }
}

fn note_bert(notes: &mut Vec<Note>, strip_accents: bool) {
    if strip_accents {
        notes.push(
            Note::new(
                Severity::Info,
                "Characters are taken apart as llama.cpp does it, which can differ from the model's own tokenizer.json.",
            )
            .why("Of a character's decomposition and of its small letter llama.cpp keeps the first character only: Korean syllables lose their vowels."),
        );
    }
}

fn unsupported_kind(kind: &str) -> Fault {
    let why = match KNOWN_KINDS.iter().find(|(name, _)| *name == kind) {
        Some((_, lacks)) => format!("Glassbox lacks {lacks}"),
        None => "no such kind is known".to_owned(),
    };
    Fault::unsupported(format!("tokenizer.ggml.model is {kind:?}: {why}, so text cannot be encoded"))
}

/// Ids that a kind has unless the file says otherwise.
#[derive(Debug, Default)]
struct Defaults {
    bos: Option<u32>,
    eos: Option<u32>,
    unknown: Option<u32>,
    sep: Option<u32>,
}

fn defaults(keys: &GgufVocabulary, kind: Kind, table: &Table, notes: &mut Vec<Note>) -> Defaults {
    let (bos, eos, unknown, sep) = match kind {
        Kind::Llama | Kind::Plamo2 => (Some(1), Some(2), Some(0), None),
        Kind::Bpe(row) => (Some(11).filter(|_| !row.clear_bos), Some(11), None, None),
        Kind::Bert => (Some(101), None, Some(100), Some(102)),
        Kind::T5 => (None, Some(1), Some(2), None),
        Kind::Rwkv => (None, None, None, None),
    };
    let (bos, eos) = if keys.model == "gemma4" { (None, None) } else { (bos, eos) };
    let mut resolve = |name: &str, default: Option<u32>| {
        let is_here = |id: &u32| table.get(*id).is_some();
        let default = default.filter(is_here);
        match special(keys, name) {
            Some(id) if is_here(&id) => Some(id),
            Some(id) => {
                let what = format!(
                    "The file's id {id} for {} is outside the vocabulary of {} tokens: it is not used.",
                    name.to_uppercase(),
                    table.len()
                );
                notes.push(Note::new(Severity::Error, what));
                default
            }
            None => default,
        }
    };
    Defaults {
        bos: resolve("bos", bos),
        eos: resolve("eos", eos),
        unknown: resolve("unknown", unknown),
        sep: resolve("sep", sep),
    }
}

/// White space beside special tokens that llama.cpp drops, by the model's name: files do not say it.
fn strip_around(keys: &GgufVocabulary, table: &Table, specials: &mut Specials) {
    let pre = keys.pre.as_deref().unwrap_or_default();
    let name = keys.name.to_ascii_lowercase();
    let mut left = |text: &str| specials.strip_left.extend(table.id_of(text));
    if ["jina-v2-de", "jina-v2-es", "jina-v2-code"].iter().any(|part| pre.contains(part))
        || ["nomic-bert-moe", "jina-bert-v3"].iter().any(|part| keys.architecture.contains(part))
    {
        left("<mask>");
    } else if name.contains("phi-3") || name.contains("phi3") {
        let kept = ["<unk>", "<s>", "<|endoftext|>"];
        let is_kept = |id: &u32| table.get(*id).is_some_and(|entry| kept.contains(&&*entry.text));
        specials.strip_right = specials.ids().filter(|id| !is_kept(id)).chain(table.id_of("</s>")).collect();
    } else if name.contains("modern-bert") {
        left("[MASK]");
    }
}

fn prefixes(table: &Table, wanted: impl Fn(&Entry) -> bool) -> Prefixes {
    let entries = (0..).zip(table.entries()).filter(|(_, entry)| wanted(entry));
    Prefixes::new(entries.map(|(id, entry)| (entry.text.as_bytes().to_vec(), id)))
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

/// The tokens, and the ids that end a text by what their text is.
fn table(keys: &GgufVocabulary, spelling: Spelling, notes: &mut Vec<Note>) -> Result<(Table, Vec<u32>)> {
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
        let has_bytes = !matches!(spelling, Spelling::ByteLevel | Spelling::Escaped);
        if !has_types && has_bytes && alphabet::parse_byte_token(&text).is_some() {
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
    let end_ids = gguf_tokens::mark(&mut entries);
    let table = Table::new(entries, spelling)?;
    if table.duplicates > 0 {
        let what = format!("{} tokens have the text of another token; the last of each is used.", table.duplicates);
        notes.push(Note::new(Severity::Warning, what));
    }
    Ok((table, end_ids))
}

fn mark_named_specials(keys: &GgufVocabulary, entries: &mut [Entry]) {
    for (name, id) in &keys.special {
        if let Some(entry) = entries.get_mut(*id as usize) {
            entry.kind = if name == "unknown" { PieceKind::Unknown } else { PieceKind::Control };
            entry.hidden = true;
        }
    }
}

fn sentence_piece(keys: &GgufVocabulary, table: &Table, defaults: &Defaults, notes: &mut Vec<Note>) -> Spm {
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
    Spm {
        // Adding zero turns -0 into 0, which must tie with it.
        scores: keys.scores.iter().map(|score| score + 0.0).collect(),
        bytes,
        unknown: defaults.unknown,
        add_space_prefix: keys.add_space_prefix.unwrap_or(true),
        preparation: None,
        cut: Spm::cut(table),
        memo: Shared::default(),
    }
}

fn bpe(keys: &GgufVocabulary, row: &Splitter, table: &Table, notes: &mut Vec<Note>) -> Result<ByteBpe> {
    if keys.merges.is_empty() && !row.names.contains(&"kimi-k2") {
        return Err(broken(format!(
            "tokenizer.ggml.merges is empty or missing, which a {} vocabulary needs",
            keys.model
        )));
    }
    let entries = (0..).zip(table.entries()).filter(|(_, entry)| !entry.text.is_empty());
    let tokens = TextIds::new(entries.map(|(id, entry)| (entry.text.as_bytes(), id)))?;
    let mut merges = Vec::with_capacity(keys.merges.len());
    let mut buffer = String::new();
    for merge in &keys.merges {
        // "a b", cut at the first space that leaves a first half: a token may itself begin with a space.
        let halves = std::str::from_utf8(merge).ok().and_then(|merge| {
            let cut = merge.bytes().skip(1).position(|byte| byte == b' ')? + 1;
            Some((&merge[..cut], &merge[cut + 1..]))
        });
        merges.extend(halves.and_then(|halves| joined(&tokens, halves, "", &mut buffer).ok()));
    }
    let skipped = keys.merges.len() - merges.len();
    if skipped > 0 {
        let what = format!(
            "{skipped} of {} merges name tokens that the vocabulary lacks; they are not applied.",
            keys.merges.len()
        );
        notes.push(Note::new(Severity::Warning, what));
    }
    let options = BpeOptions { ignore_merges: row.ignore_merges, byte_fallback: row.raw, ..BpeOptions::default() };
    let model = Bpe::new(tokens, merges, options)?;
    let compile = |rule: &Rule| match rule {
        Rule::Regex(regex) => Split::of(regex).map_err(|e| Fault::bug(format!("splitting rule {regex:?}: {e}"))),
        Rule::Digits(how) => Ok(Split::Digits(*how)),
    };
    let words_only = (keys.model == "whitespace").then(|| keys.lowercase.unwrap_or(!row.names.contains(&"whitespace")));
    let raw = row.raw.then_some(Raw {
        escape: row.escape,
        line_prefix: row.line_prefix,
        whole_newlines: row.whole_newlines,
        words_only,
    });
    Ok(ByteBpe { splits: row.rules.iter().map(compile).collect::<Result<_>>()?, model, raw, memo: Shared::default() })
}

fn special(keys: &GgufVocabulary, name: &str) -> Option<u32> {
    // The key of the separator is misspelt on purpose.
    let is_it = |key: &str| key == name || (name == "sep" && matches!(key, "seperator" | "separator"));
    keys.special.iter().find(|(key, _)| is_it(key)).map(|(_, id)| *id)
}

/// Ids before and after an encoded text.
fn added(keys: &GgufVocabulary, kind: Kind, defaults: &Defaults, notes: &mut Vec<Note>) -> (Vec<u32>, Vec<u32>) {
    let (add_bos, add_eos, add_sep) = match kind {
        Kind::Llama => (keys.add_bos.unwrap_or(true), keys.add_eos.unwrap_or(false), false),
        // llama.cpp adds BOS to a Gemma 4 vocabulary whatever the file says.
        Kind::Bpe(row) if row.whole_newlines => (true, keys.add_eos.unwrap_or(false), false),
        Kind::Bpe(row) => (keys.add_bos.unwrap_or(row.add_bos), keys.add_eos.unwrap_or(false), false),
        // ... and CLS and SEP to a BERT one.
        Kind::Bert => (true, false, true),
        Kind::T5 => (keys.add_bos.unwrap_or(false), keys.add_eos.unwrap_or(true), false),
        // ... and nothing to these.
        Kind::Rwkv | Kind::Plamo2 => (false, false, false),
    };
    if matches!(kind, Kind::Rwkv | Kind::Plamo2) && (keys.add_bos == Some(true) || keys.add_eos == Some(true)) {
        notes.push(Note::new(
            Severity::Info,
            "The file asks for BOS or EOS around every text; llama.cpp adds none to vocabularies of this kind, nor does this.",
        ));
    }
    let mut resolve = |wanted: bool, name: &str, id: Option<u32>| -> Vec<u32> {
        if wanted && id.is_none() {
            let what =
                format!("{name} is to be added around every text, but the file has no id for it: none is added.");
            notes.push(Note::new(Severity::Error, what));
        }
        id.filter(|_| wanted).into_iter().collect()
    };
    let before = resolve(add_bos, "BOS", defaults.bos);
    let mut after = resolve(add_eos, "EOS", defaults.eos);
    after.extend(resolve(add_sep, "SEP", defaults.sep));
    (before, after)
}

fn unigram(keys: &GgufVocabulary, table: &Table, defaults: &Defaults, notes: &mut Vec<Note>) -> Result<Unigram> {
    if keys.scores.is_empty() {
        return Err(broken("tokenizer.ggml.scores is empty or missing, which a t5 vocabulary needs"));
    }
    let map = if keys.precompiled_charsmap.is_empty() {
        notes.push(Note::new(Severity::Info, "The file has no precompiled_charsmap: text is not normalized."));
        None
    } else {
        Some(Charsmap::parse(&keys.precompiled_charsmap)?)
    };
    let is_user_defined = |entry: &Entry| entry.kind == PieceKind::UserDefined;
    // Normal and unused ones have the kind Normal.
    let is_matched = |entry: &Entry| matches!(entry.kind, PieceKind::Normal | PieceKind::UserDefined);
    let is_normal =
        |(entry, score): (&Entry, &f32)| (entry.kind == PieceKind::Normal && !entry.hidden).then_some(*score);
    Ok(Unigram {
        preparation: Preparation {
            map,
            untouched: Some(prefixes(table, is_user_defined)),
            add_prefix: keys.add_space_prefix.unwrap_or(false),
            as_suffix: false,
            merge_spaces: keys.remove_extra_whitespaces.unwrap_or(false),
            escape: true,
            native: false,
        },
        tokens: prefixes(table, is_matched),
        unknown_score: Unigram::unknown_score(table.entries().iter().zip(&keys.scores).filter_map(is_normal)),
        scores: keys.scores.iter().copied().map(f64::from).collect(),
        user_defined: table.entries().iter().map(is_user_defined).collect(),
        unknown: defaults.unknown,
        native: false,
        best_score: 0.0,
        bytes: None,
    })
}

fn plamo2(keys: &GgufVocabulary, table: &Table) -> Result<Plamo2> {
    let mut bytes = Box::new([None; 256]);
    for (id, entry) in (0..).zip(table.entries()) {
        if let (PieceKind::Byte, Some(byte)) = (entry.kind, alphabet::parse_byte_token(&entry.text)) {
            bytes[usize::from(byte)] = Some(id);
        }
    }
    let mut found = Box::new([0; 256]);
    for (byte, (to, id)) in found.iter_mut().zip(bytes.iter()).enumerate() {
        *to = id.ok_or_else(|| {
            broken(format!("the token <0x{byte:02X}> is missing; a plamo2 vocabulary needs all 256 bytes"))
        })?;
    }
    let scores = if keys.scores.is_empty() {
        vec![Some(0); table.len()]
    } else {
        keys.scores.iter().map(|score| plamo2::scaled(*score)).collect()
    };
    Ok(Plamo2 { tokens: prefixes(table, |entry| entry.kind != PieceKind::Byte), scores, bytes: found })
}
