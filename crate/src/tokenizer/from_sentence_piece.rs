//! A vocabulary from a SentencePiece `.model`, encoded as sentencepiece itself does it.
//!
//! Sources: sentencepiece, `src/sentencepiece_model.proto`, `src/sentencepiece_processor.cc`.

use std::sync::Arc;

use super::{
    Method, PieceKind, Vocabulary, alphabet,
    charsmap::Charsmap,
    limits,
    memo::Shared,
    meta::Cut,
    prefixes::Prefixes,
    proto::{Fields, Value},
    sentence::Preparation,
    specials::Specials,
    spm::{SPACE, Spm},
    streaming::{First, Joiner},
    table::{Entry, Spelling, Table},
    unigram::Unigram,
    whole::{Unit, Whole},
};
use crate::{
    fault::{Blame, Fault, Result},
    model::{Note, Severity},
};

/// What the file says; absent flags have their proto2 defaults.
struct File<'a> {
    pieces: Vec<(&'a [u8], f32, u64)>,
    model_type: u64,
    as_suffix: bool,
    byte_fallback: bool,
    bos: i64,
    eos: i64,
    charsmap: &'a [u8],
    add_prefix: bool,
    merge_spaces: bool,
    escape: bool,
}

/// What a SentencePiece `.model` says, for those who write it anew.
#[derive(Debug, Clone, PartialEq)]
pub struct SentencePieces {
    /// Each piece: its text, its score, and what it is (1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte).
    pub pieces: Vec<(Vec<u8>, f32, u32)>,
    /// 1 for Unigram, 2 for BPE, 3 for words, 4 for characters.
    pub model_type: u64,
    /// A space is put before a text.
    pub add_prefix: bool,
    /// Spaces beyond one are left out.
    pub merge_spaces: bool,
    /// The normalization, compiled; empty for none.
    pub charsmap: Vec<u8>,
}

/// Reads a SentencePiece `.model`.
///
/// # Errors
/// The bytes are no such model, or exceed a limit.
pub fn sentence_pieces(bytes: &[u8]) -> Result<SentencePieces> {
    let file = read(bytes)?;
    Ok(SentencePieces {
        pieces: file.pieces.iter().map(|(text, score, kind)| (text.to_vec(), *score, *kind as u32)).collect(),
        model_type: file.model_type,
        add_prefix: file.add_prefix,
        merge_spaces: file.merge_spaces,
        charsmap: file.charsmap.to_vec(),
    })
}

fn broken(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

fn read(bytes: &[u8]) -> Result<File<'_>> {
    let mut file = File {
        pieces: Vec::new(),
        model_type: 1,
        as_suffix: false,
        byte_fallback: false,
        bos: 1,
        eos: 2,
        charsmap: &[],
        add_prefix: true,
        merge_spaces: true,
        escape: true,
    };
    let mut fields = Fields::of(bytes, 0);
    while let Some((number, value)) = fields.next()? {
        let Value::Bytes(message) = value else { continue };
        let mut inner = Fields::of(message, fields.place() - message.len());
        match number {
            1 => {
                limits::check("tokens in the vocabulary", file.pieces.len() + 1, limits::TOKENS)?;
                let mut piece = (&[][..], 0.0, 1);
                while let Some(field) = inner.next()? {
                    match field {
                        (1, Value::Bytes(text)) => piece.0 = text,
                        (2, Value::Fixed32(score)) => piece.1 = f32::from_bits(score),
                        (3, Value::Number(kind)) => piece.2 = kind,
                        _ => {}
                    }
                }
                file.pieces.push(piece);
            }
            2 => {
                while let Some(field) = inner.next()? {
                    match field {
                        (3, Value::Number(kind)) => file.model_type = kind,
                        (24, Value::Number(flag)) => file.as_suffix = flag != 0,
                        (35, Value::Number(flag)) => file.byte_fallback = flag != 0,
                        // A negative id is written as ten bytes of a varint.
                        (41, Value::Number(id)) => file.bos = id.cast_signed(),
                        (42, Value::Number(id)) => file.eos = id.cast_signed(),
                        _ => {}
                    }
                }
            }
            3 => {
                while let Some(field) = inner.next()? {
                    match field {
                        (2, Value::Bytes(map)) => file.charsmap = map,
                        (3, Value::Number(flag)) => file.add_prefix = flag != 0,
                        (4, Value::Number(flag)) => file.merge_spaces = flag != 0,
                        (5, Value::Number(flag)) => file.escape = flag != 0,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if file.pieces.is_empty() {
        return Err(broken("not a SentencePiece model: it has no pieces"));
    }
    Ok(file)
}

/// See [`Vocabulary::from_sentence_piece`].
pub(super) fn build(bytes: &[u8]) -> Result<Vocabulary> {
    let file = read(bytes)?;
    let mut entries = Vec::with_capacity(file.pieces.len());
    for (text, _, kind) in &file.pieces {
        let text = std::str::from_utf8(text).map_err(|_| broken("a piece is not UTF-8"))?;
        let (kind, hidden) = match kind {
            2 => (PieceKind::Unknown, true),
            3 => (PieceKind::Control, true),
            4 => (PieceKind::UserDefined, false),
            5 => (PieceKind::Normal, true),
            6 => (PieceKind::Byte, false),
            _ => (PieceKind::Normal, false),
        };
        entries.push(Entry { text: Arc::from(text), kind, hidden });
    }
    let table = Table::new(entries, Spelling::Meta(SPACE))?;
    let scores: Vec<f32> = file.pieces.iter().map(|piece| piece.1).collect();
    let normal = || table.entries().iter().zip(&scores).filter(|(e, _)| e.kind == PieceKind::Normal && !e.hidden);
    let prefixes = |wanted: fn(&Entry) -> bool| {
        let entries = (0..).zip(table.entries()).filter(|(_, entry)| wanted(entry));
        Prefixes::new(entries.map(|(id, entry)| (entry.text.as_bytes().to_vec(), id)))
    };
    let is_user_defined = |entry: &Entry| entry.kind == PieceKind::UserDefined;
    let unknown = (0..).zip(table.entries()).find(|(_, entry)| entry.kind == PieceKind::Unknown).map(|(id, _)| id);
    let mut bytes = Box::new([None; 256]);
    for (id, entry) in (0..).zip(table.entries()) {
        if let (PieceKind::Byte, Some(byte)) = (entry.kind, alphabet::parse_byte_token(&entry.text)) {
            bytes[usize::from(byte)] = Some(id).filter(|_| file.byte_fallback);
        }
    }
    let preparation = Preparation {
        map: if file.charsmap.is_empty() { None } else { Some(Charsmap::parse(file.charsmap)?) },
        untouched: Some(prefixes(is_user_defined)),
        add_prefix: file.add_prefix,
        as_suffix: file.as_suffix,
        merge_spaces: file.merge_spaces,
        escape: file.escape,
        native: true,
    };
    let (name, method) = match file.model_type {
        1 => {
            let all_bytes: Option<Vec<u32>> = bytes.iter().copied().collect();
            let unigram = Unigram {
                preparation,
                tokens: prefixes(|e| {
                    matches!(e.kind, PieceKind::Normal if !e.hidden) || e.kind == PieceKind::UserDefined
                }),
                unknown_score: Unigram::unknown_score(normal().map(|(_, score)| *score)),
                best_score: normal().map(|(_, score)| *score).fold(f32::MIN, f32::max),
                user_defined: table.entries().iter().map(is_user_defined).collect(),
                bytes: all_bytes.and_then(|ids| <Box<[u32; 256]>>::try_from(ids.into_boxed_slice()).ok()),
                scores: scores.iter().copied().map(f64::from).collect(),
                unknown,
                native: true,
            };
            ("Unigram", Method::Unigram(Box::new(unigram)))
        }
        2 => {
            let preparation = Some(Box::new(preparation));
            // A run of unknown characters is one token, which must not reach across a cut.
            let cut = if table.id_of("▁").is_some() { Spm::cut(&table) } else { Cut::No };
            let memo = Shared::default();
            let spm = Spm { scores, bytes, unknown, add_space_prefix: false, preparation, cut, memo };
            ("BPE", Method::Spm(spm))
        }
        3 | 4 => {
            let unit = if file.model_type == 3 { Unit::Word } else { Unit::Character };
            let name = if unit == Unit::Word { "of whole words" } else { "of characters" };
            (name, Method::Whole(Box::new(Whole { preparation, unit, scores, bytes, unknown })))
        }
        other => return Err(broken(format!("model type {other} is not known to SentencePiece; 1 to 4 expected"))),
    };
    let first = if file.add_prefix && !file.as_suffix { First::StripOne } else { First::Keep };
    let here = |id: i64| u32::try_from(id).ok().filter(|id| table.get(*id).is_some());
    let notes = vec![Note::new(
        Severity::Info,
        "A SentencePiece model does not say whether BOS or EOS belong around a text; none is added unless tokenizer_config.json asks for it.",
    )];
    let (bos, eos) = (here(file.bos), here(file.eos));
    Ok(Vocabulary {
        title: format!("SentencePiece {name} (.model)"),
        specials: Specials::but_user_defined(&table),
        table,
        method,
        joiner: Joiner::Bytes(first),
        before: Vec::new(),
        after: Vec::new(),
        pair: None,
        end_ids: eos.into_iter().collect(),
        bos,
        eos,
        notes,
    })
}
