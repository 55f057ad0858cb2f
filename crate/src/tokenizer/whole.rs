//! SentencePiece models of whole words and of single characters: what is cut off is a token as it is, or unknown.
//!
//! Sources: sentencepiece, `Model::Encode` in `src/word_model.cc` and `src/char_model.cc`; `SplitIntoWords` in
//! `src/model_interface.cc`; for unknown pieces, `PopulateSentencePieceText` in `src/sentencepiece_processor.cc`.

use std::ops::Range;

use super::{Token, sentence::Preparation, spm::SPACE, table::Table};

/// How text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Before every `▁`, also where the trainer saw it as a suffix: the encoder has no such setting.
    Word,
    /// After every character; user-defined tokens stay whole.
    Character,
}

/// A vocabulary whose tokens never merge.
#[derive(Debug)]
pub(super) struct Whole {
    pub preparation: Preparation,
    pub unit: Unit,
    /// By id.
    pub scores: Vec<f32>,
    /// Token of each byte, where unknown pieces become bytes.
    pub bytes: Box<[Option<u32>; 256]>,
    pub unknown: Option<u32>,
}

impl Whole {
    /// Appends the tokens of `text`, which lies at byte `base` of the whole input.
    pub(super) fn encode(&self, table: &Table, text: &str, base: usize, out: &mut Vec<Token>) {
        let prepared = self.preparation.run(text, base);
        for (part, id) in self.pieces(table, &prepared.text) {
            out.push(Token { id, span: prepared.source(part) });
        }
    }

    /// Parts of a prepared text with their tokens. A run of unknown parts is one token.
    pub(super) fn pieces(&self, table: &Table, text: &str) -> Vec<(Range<usize>, u32)> {
        let mut found: Vec<(Range<usize>, u32)> = Vec::new();
        let mut after_unknown = false;
        for part in self.cut(text) {
            let piece = text.get(part.clone()).unwrap_or_default();
            let known = table.id_of(piece).filter(|id| Some(*id) != self.unknown);
            let bytes: Option<Vec<u32>> = match known {
                None => piece.bytes().map(|byte| self.bytes[usize::from(byte)]).collect(),
                Some(_) => None,
            };
            let is_unknown = known.is_none() && bytes.is_none();
            match (known, bytes, self.unknown) {
                (Some(id), ..) => found.push((part, id)),
                (None, Some(ids), _) => {
                    found.extend(ids.into_iter().zip(part).map(|(id, at)| (at..at + 1, id)));
                }
                (None, None, Some(id)) => match found.last_mut().filter(|_| after_unknown) {
                    Some(last) => last.0.end = part.end,
                    None => found.push((part, id)),
                },
                (None, None, None) => {}
            }
            after_unknown = is_unknown;
        }
        found
    }

    /// The parts of a prepared text, each of which is looked up.
    fn cut(&self, text: &str) -> Vec<Range<usize>> {
        if self.unit == Unit::Character {
            return self.preparation.units(text).into_iter().map(|(part, _)| part).collect();
        }
        let mut parts: Vec<Range<usize>> = Vec::new();
        for (at, c) in text.char_indices() {
            let end = at + c.len_utf8();
            match parts.last_mut().filter(|_| c != SPACE) {
                Some(last) => last.end = end,
                None => parts.push(at..end),
            }
        }
        parts
    }
}
