//! Ids back to text, whole or as they come.

use tokenizers::{Decoder, decoders::DecoderWrapper};

use super::{Vocabulary, table::Table};

/// What happens to the space before the first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// It stays.
    Keep,
    /// One is dropped.
    StripOne,
    /// All of the first token's are dropped.
    StripAll,
}

/// How tokens become text.
#[derive(Debug)]
pub(super) enum Joiner {
    /// Their bytes follow each other.
    Bytes(First),
    /// WordPiece: a space before each word but the first; with clean-up, none before punctuation.
    Words {
        /// Whether to clean up.
        cleanup: bool,
    },
    /// As the crate's decoder says, which may need all tokens at once.
    Crate(Option<Box<DecoderWrapper>>),
}

impl Joiner {
    /// Appends the bytes of one shown token, for joiners that work token by token.
    fn append(&self, table: &Table, id: u32, is_first: bool, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            Self::Words { .. } if is_first => {
                out.extend_from_slice(table.get(id).map_or("", |entry| &*entry.text).as_bytes());
            }
            _ => table.append(id, out),
        }
        match self {
            Self::Bytes(first) if is_first => match first {
                First::Keep => {}
                First::StripOne if out.get(start) == Some(&b' ') => drop(out.remove(start)),
                First::StripOne => {}
                First::StripAll => {
                    let kept: Vec<u8> = out.drain(start..).filter(|byte| *byte != b' ').collect();
                    out.extend(kept);
                }
            },
            Self::Words { cleanup: true } if may_need_cleanup(&out[start..]) => {
                let text = String::from_utf8_lossy(&out[start..]).into_owned();
                out.truncate(start);
                out.extend(tokenizers::decoders::wordpiece::cleanup(&text).into_bytes());
            }
            Self::Words { .. } | Self::Bytes(_) | Self::Crate(_) => {}
        }
    }
}

/// What clean-up replaces begins with a space and has one of these, or " do not".
fn may_need_cleanup(bytes: &[u8]) -> bool {
    bytes.contains(&b' ') && bytes.iter().any(|byte| matches!(byte, b'.' | b'?' | b'!' | b',' | b'\'' | b'd'))
}

fn is_shown(table: &Table, id: u32) -> bool {
    table.get(id).is_some_and(|entry| !entry.hidden)
}

/// See [`Vocabulary::decode`].
pub(super) fn decode(vocabulary: &Vocabulary, ids: &[u32]) -> String {
    let table = &vocabulary.table;
    let shown = ids.iter().copied().filter(|id| is_shown(table, *id));
    if let Joiner::Crate(decoder) = &vocabulary.joiner {
        let tokens: Vec<String> = shown.filter_map(|id| table.get(id)).map(|entry| entry.text.to_string()).collect();
        return match decoder {
            // The crate's BPEDecoder counts one from the number of tokens.
            _ if tokens.is_empty() => String::new(),
            Some(decoder) => decoder.decode(tokens).unwrap_or_default(),
            None => tokens.join(" "),
        };
    }
    let mut bytes = Vec::new();
    for (nth, id) in shown.enumerate() {
        vocabulary.joiner.append(table, id, nth == 0, &mut bytes);
    }
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Turns a stream of ids into text, holding back bytes of a character that is not complete yet.
#[derive(Default)]
pub struct TextStream {
    held: Vec<u8>,
    started: bool,
    /// Only for decoders that need all tokens: everything so far, and how much of it was given out.
    ids: Vec<u32>,
    given: usize,
}

impl TextStream {
    /// The text that is complete after this id.
    pub fn push(&mut self, vocabulary: &Vocabulary, id: u32) -> String {
        if !is_shown(&vocabulary.table, id) {
            return String::new();
        }
        if matches!(vocabulary.joiner, Joiner::Crate(_)) {
            return self.push_whole(vocabulary, id);
        }
        vocabulary.joiner.append(&vocabulary.table, id, !self.started, &mut self.held);
        self.started = true;
        let mut text = String::new();
        let mut kept = 0;
        for chunk in self.held.utf8_chunks() {
            let invalid = chunk.invalid();
            kept += chunk.valid().len();
            text.push_str(chunk.valid());
            let is_last = kept + invalid.len() == self.held.len();
            let may_complete = std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
            if is_last && may_complete {
                break;
            }
            if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                kept += invalid.len();
            }
        }
        self.held.drain(..kept);
        text
    }

    /// What is still held back, with replacement characters.
    #[must_use]
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.held).into_owned()
    }

    fn push_whole(&mut self, vocabulary: &Vocabulary, id: u32) -> String {
        self.ids.push(id);
        let whole = decode(vocabulary, &self.ids);
        let news = whole.get(self.given..).unwrap_or_default();
        // A character that is not complete shows as U+FFFD, and the next id may still change it.
        let ready = news.trim_end_matches(char::REPLACEMENT_CHARACTER);
        self.held = news.as_bytes()[ready.len()..].to_vec();
        self.given += ready.len();
        ready.to_owned()
    }
}
