//! Every token by id: its text, what it is, and what it adds to a text.

use std::sync::Arc;

use super::{
    PieceKind, alphabet, limits, longest,
    slots::{self, Slots},
};
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
    index: Slots,
    /// How ordinary tokens are spelt.
    pub spelling: Spelling,
    /// Tokens whose text another token has too.
    pub duplicates: usize,
}

impl Table {
    /// A table of tokens in the order of their ids; of equal texts the last one is found.
    pub(super) fn new(entries: Vec<Entry>, spelling: Spelling) -> Result<Self> {
        limits::check("tokens in the vocabulary", entries.len(), limits::TOKENS)?;
        for entry in &entries {
            limits::check("bytes in a token", entry.text.len(), limits::TOKEN_BYTES)?;
        }
        let of = |id: u32| &*entries[id as usize].text;
        let mut duplicates = 0;
        let hash = |id: u32, seed: u64| slots::hash(of(id).as_bytes(), seed);
        // Holes have no text.
        let mut count = |id: u32| duplicates += usize::from(!of(id).is_empty());
        let index = Slots::new(entries.len(), &hash, &|a, b| of(a) == of(b), &mut count)?;
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
        if text.is_empty() {
            return None;
        }
        let hash = slots::hash(text.as_bytes(), self.index.seed);
        self.index.find(hash, |id| &*self.entries[id as usize].text == text)
    }

    /// Bytes that a token adds to a text; none for hidden and unknown ids.
    pub(super) fn bytes(&self, id: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append(id, &mut bytes);
        bytes
    }

    /// Appends the bytes that a token adds to a text.
    pub(super) fn append(&self, id: u32, out: &mut Vec<u8>) {
        if let Some(entry) = self.get(id).filter(|entry| !entry.hidden) {
            self.spell(entry, out);
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
        let mut bytes = Vec::new();
        self.spell(entry, &mut bytes);
        bytes
    }

    fn spell(&self, entry: &Entry, out: &mut Vec<u8>) {
        let text = &*entry.text;
        match (&self.spelling, entry.kind) {
            (_, PieceKind::Byte) => match alphabet::parse_byte_token(text) {
                Some(byte) => out.push(byte),
                None => out.extend_from_slice(text.as_bytes()),
            },
            (Spelling::Plain, _) | (_, PieceKind::UserDefined | PieceKind::Control) => {
                out.extend_from_slice(text.as_bytes());
            }
            (Spelling::Escaped, _) => out.extend(longest::unescape(text)),
            (Spelling::ByteLevel, _) => {
                let before = out.len();
                out.extend(text.chars().map_while(alphabet::to_byte));
                if out.len() - before != text.chars().count() {
                    // A character that is foreign to the alphabet: the token is as it is written.
                    out.truncate(before);
                    out.extend_from_slice(text.as_bytes());
                }
            }
            (Spelling::Meta(space), _) => {
                let mut parts = text.split(*space);
                out.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
                for part in parts {
                    out.push(b' ');
                    out.extend_from_slice(part.as_bytes());
                }
            }
            (Spelling::Continued(prefix), _) => match text.strip_prefix(prefix.as_str()) {
                Some(rest) => out.extend_from_slice(rest.as_bytes()),
                None => {
                    out.push(b' ');
                    out.extend_from_slice(text.as_bytes());
                }
            },
        }
    }
}
