//! The models of a `tokenizer.json`: from a piece of text to ids.
//!
//! They give what the `tokenizers` crate's models give (`src/models/`), which the tests ask.

use super::{
    bpe::{Bpe, Found},
    prefixes::{Prefixes, Work},
    slots::TextIds,
    unigram::Unigram,
};
use crate::fault::{Blame, Fault, Result};

/// A model.
pub(super) enum Model {
    Bpe(Box<Bpe>),
    WordPiece(WordPieces),
    WordLevel(WordLevel),
    Unigram(Box<LikelyPieces>),
}

/// The longest tokens first, or the unknown one for a whole piece.
pub(super) struct WordPieces {
    pub tokens: TextIds,
    /// Tokens as they begin a word.
    pub first: Prefixes,
    /// Tokens as they continue one, without what marks them.
    pub rest: Prefixes,
    /// What marks a token that continues a word.
    pub prefix: String,
    pub unknown: String,
    /// Characters of a piece; a longer one is unknown.
    pub longest: usize,
}

/// Whole pieces only.
pub(super) struct WordLevel {
    pub tokens: TextIds,
    pub unknown: String,
}

/// Of all ways to cut a piece the likeliest.
pub(super) struct LikelyPieces {
    pub tokens: TextIds,
    pub unigram: Unigram,
    pub unknown: Option<u32>,
    /// What is unknown becomes `<0x0A>`.
    pub byte_fallback: bool,
}

fn lacks(unknown: &str) -> Fault {
    Fault::new(Blame::File, format!("the unknown token {unknown:?} is needed and is not in the vocabulary"))
}

impl Model {
    /// The vocabulary, without added tokens.
    pub(super) fn tokens(&self) -> &TextIds {
        match self {
            Self::Bpe(bpe) => bpe.tokens(),
            Self::WordPiece(model) => &model.tokens,
            Self::WordLevel(model) => &model.tokens,
            Self::Unigram(model) => &model.tokens,
        }
    }

    /// Appends the tokens of a piece.
    ///
    /// # Errors
    /// The unknown token is needed and missing, or a limit is exceeded.
    pub(super) fn encode(&self, piece: &str, found: &mut Vec<Found>) -> Result<()> {
        let whole = |id| Found { id, start: 0, end: piece.len() as u32 };
        match self {
            Self::Bpe(bpe) => bpe.encode(piece, found),
            Self::WordPiece(model) => {
                let first = found.len();
                if !model.pieces(piece, found)? {
                    found.truncate(first);
                    let unknown = model.tokens.get(model.unknown.as_bytes());
                    found.push(whole(unknown.ok_or_else(|| lacks(&model.unknown))?));
                }
                Ok(())
            }
            Self::WordLevel(model) => {
                let id = model.tokens.get(piece.as_bytes()).or_else(|| model.tokens.get(model.unknown.as_bytes()));
                found.push(whole(id.ok_or_else(|| lacks(&model.unknown))?));
                Ok(())
            }
            Self::Unigram(model) => model.encode(piece, found),
        }
    }
}

impl WordPieces {
    /// Appends tokens as long as there are any; whether they are all of the piece.
    fn pieces(&self, piece: &str, found: &mut Vec<Found>) -> Result<bool> {
        if piece.chars().take(self.longest.saturating_add(1)).count() > self.longest {
            return Ok(false);
        }
        let work = Work::on(piece.len());
        let mut at = 0;
        while at < piece.len() {
            let tokens = if at == 0 { &self.first } else { &self.rest };
            let Some((length, id)) = tokens.longest(&piece.as_bytes()[at..], &work)? else { return Ok(false) };
            found.push(Found { id, start: at as u32, end: (at + length) as u32 });
            at += length;
        }
        Ok(true)
    }
}

impl LikelyPieces {
    fn encode(&self, piece: &str, found: &mut Vec<Found>) -> Result<()> {
        let mut unknown: Option<Found> = None;
        for step in self.unigram.way(piece)? {
            let (start, end) = (step.part.start as u32, step.part.end as u32);
            if let Some(id) = step.id {
                self.finish(piece, unknown.take(), found)?;
                found.push(Found { id, start, end });
            } else {
                // Neighbouring unknown characters are one token.
                let start = unknown.map_or(start, |before| before.start);
                unknown = Some(Found { id: 0, start, end });
            }
        }
        self.finish(piece, unknown, found)
    }

    fn finish(&self, piece: &str, unknown: Option<Found>, found: &mut Vec<Found>) -> Result<()> {
        let Some(Found { start, end, .. }) = unknown else { return Ok(()) };
        let text = &piece.as_bytes()[start as usize..end as usize];
        // The crate looks the run up once more: the characters may be a token together.
        if let Some(id) = self.tokens.get(text) {
            found.push(Found { id, start, end });
            return Ok(());
        }
        let byte = |byte: &u8| self.tokens.get(format!("<0x{byte:02X}>").as_bytes());
        let bytes: Option<Vec<u32>> = self.byte_fallback.then(|| text.iter().map(byte).collect()).flatten();
        match bytes {
            Some(ids) => {
                found.extend(ids.into_iter().zip(start..).map(|(id, at)| Found { id, start: at, end: at + 1 }))
            }
            None => {
                let id = self.unknown.ok_or_else(|| {
                    Fault::new(
                        Blame::File,
                        format!(
                            "{:?} has no token, and the model no unknown one",
                            &piece[start as usize..end as usize]
                        ),
                    )
                })?;
                found.push(Found { id, start, end });
            }
        }
        Ok(())
    }
}
