//! Every token by id: its text, what it is, and what it adds to a text.

use std::{collections::HashMap, sync::Arc};

use super::{PieceKind, alphabet, limits, longest};
use crate::fault::Result;

/// How the text of an ordinary token stands for bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Each character is a byte (GPT-2).
    ByteLevel,
    /// `▁` (or another character) is a space, `<0xXX>` a byte (SentencePiece).
    Meta(char),
    /// A token without this prefix starts a word, so a space goes before it (WordPiece).
    Continued(String),
    /// With escapes such as `\n` and `\xFF` (RWKV).
    Escaped,
    /// As written.
    Plain,
}

/// One token.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// As the vocabulary writes it.
    pub text: Arc<str>,
    /// What it is.
    pub kind: PieceKind,
    /// Left out of decoded text.
    pub hidden: bool,
}

/// All tokens of a vocabulary.
#[derive(Debug)]
pub(super) struct Table {
    entries: Vec<Entry>,
    index: HashMap<Arc<str>, u32>,
    /// How ordinary tokens are spelt.
    pub spelling: Spelling,
    /// Tokens whose text another token has too.
    pub duplicates: usize,
}

impl Table {
    /// A table of tokens in the order of their ids; of equal texts the last one is found.
    pub(super) fn new(entries: Vec<Entry>, spelling: Spelling) -> Result<Self> {
        limits::check("tokens in the vocabulary", entries.len(), limits::TOKENS)?;
        let mut index = HashMap::with_capacity(entries.len());
        let mut duplicates = 0;
        for (id, entry) in (0..).zip(&entries) {
            limits::check("bytes in a token", entry.text.len(), limits::TOKEN_BYTES)?;
            let is_hole = entry.text.is_empty();
            if !is_hole && index.insert(Arc::clone(&entry.text), id).is_some() {
                duplicates += 1;
            }
        }
        Ok(Self { entries, index, spelling, duplicates })
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn id_of(&self, text: &str) -> Option<u32> {
        self.index.get(text).copied()
    }

    /// Bytes that a token adds to a text; none for hidden and unknown ids.
    pub(super) fn bytes(&self, id: u32) -> Vec<u8> {
        match self.get(id) {
            Some(entry) if !entry.hidden => self.spelt(entry),
            _ => Vec::new(),
        }
    }

    /// Bytes that a token covers where it was written out in a text: as [`Table::bytes`], but
    /// hidden tokens stand for their own name.
    pub(super) fn written(&self, id: u32) -> Vec<u8> {
        match self.get(id) {
            Some(entry) if entry.hidden => entry.text.as_bytes().to_vec(),
            Some(entry) => self.spelt(entry),
            None => Vec::new(),
        }
    }

    /// Whether a token's bytes are whole characters; hidden tokens are their names.
    pub(super) fn is_whole(&self, id: u32) -> bool {
        // Only these two spellings hold bytes that are no text.
        let may_be_half = matches!(self.spelling, Spelling::ByteLevel | Spelling::Escaped);
        self.get(id).is_none_or(|entry| {
            entry.hidden
                || !(may_be_half || entry.kind == PieceKind::Byte)
                || std::str::from_utf8(&self.spelt(entry)).is_ok()
        })
    }

    fn spelt(&self, entry: &Entry) -> Vec<u8> {
        let as_written = || entry.text.as_bytes().to_vec();
        match (&self.spelling, entry.kind) {
            (_, PieceKind::Byte) => alphabet::parse_byte_token(&entry.text).map_or_else(as_written, |byte| vec![byte]),
            (Spelling::Plain, _) | (_, PieceKind::UserDefined | PieceKind::Control) => as_written(),
            (Spelling::Escaped, _) => longest::unescape(&entry.text),
            (Spelling::ByteLevel, _) => alphabet::to_bytes(&entry.text).unwrap_or_else(as_written),
            (Spelling::Meta(space), _) => entry.text.replace(*space, " ").into_bytes(),
            (Spelling::Continued(prefix), _) => match entry.text.strip_prefix(prefix.as_str()) {
                Some(rest) => rest.as_bytes().to_vec(),
                None => format!(" {}", entry.text).into_bytes(),
            },
        }
    }
}
