//! Pieces met before, with their tokens: most pieces of a text are a few words again and again.
//!
//! Of fixed size: a new piece takes the place of another. So a text of many different pieces
//! costs no more memory, and one made to collide only the time of encoding each piece.

use std::sync::{Mutex, TryLockError};

use super::{Token, bpe::Found, slots};
use crate::fault::Result;

/// Bytes of a piece that is kept.
const PIECE: usize = 22;
/// Tokens of a piece that is kept.
const TOKENS: usize = 8;
/// Pieces that are kept, in pairs: 2 MiB.
const PAIRS: usize = 1 << 14;

/// A piece with its tokens. 64 bytes.
#[derive(Clone, Copy)]
struct Kept {
    piece: [u8; PIECE],
    /// 0 where there is none.
    length: u8,
    count: u8,
    /// Where each token ends; the first begins with the piece, each other where the one before it ends.
    ends: [u8; TOKENS],
    ids: [u32; TOKENS],
}

const EMPTY: Kept = Kept { piece: [0; PIECE], length: 0, count: 0, ends: [0; TOKENS], ids: [0; TOKENS] };

/// Pieces with their tokens, and room for work.
#[derive(Default)]
pub(super) struct Memo {
    kept: Vec<[Kept; 2]>,
    found: Vec<Found>,
    spelt: String,
}

impl Memo {
    /// Appends the tokens of a piece, whose bytes lie at `base` of the text: as kept, or as `encode` finds them.
    #[inline]
    pub(super) fn tokens(
        &mut self,
        piece: &[u8],
        base: usize,
        out: &mut Vec<Token>,
        encode: &dyn Fn(&mut String, &mut Vec<Found>) -> Result<()>,
    ) -> Result<()> {
        if piece.len() > PIECE || piece.is_empty() {
            return self.encode(piece.len(), base, out, encode).map(|_| ());
        }
        let mut key = [0; PIECE];
        key[..piece.len()].copy_from_slice(piece);
        let at = slots::hash(piece, 0) as usize % PAIRS;
        if self.kept.is_empty() {
            self.kept = vec![[EMPTY; 2]; PAIRS];
        }
        let pair = &mut self.kept[at];
        for kept in pair.iter() {
            if usize::from(kept.length) == piece.len() && kept.piece == key {
                let mut start = base;
                let tokens = kept.ids.iter().zip(kept.ends).take(usize::from(kept.count));
                out.extend(tokens.map(|(id, end)| {
                    let span = start..base + usize::from(end);
                    start = span.end;
                    Token { id: *id, span }
                }));
                return Ok(());
            }
        }
        if self.encode(piece.len(), base, out, encode)? {
            let mut kept = Kept { piece: key, length: piece.len() as u8, count: self.found.len() as u8, ..EMPTY };
            for (found, (id, end)) in self.found.iter().zip(kept.ids.iter_mut().zip(&mut kept.ends)) {
                (*id, *end) = (found.id, found.end as u8);
            }
            let pair = &mut self.kept[at];
            pair[1] = pair[0];
            pair[0] = kept;
        }
        Ok(())
    }

    /// Encodes a piece; whether its tokens can be kept.
    fn encode(
        &mut self,
        length: usize,
        base: usize,
        out: &mut Vec<Token>,
        encode: &dyn Fn(&mut String, &mut Vec<Found>) -> Result<()>,
    ) -> Result<bool> {
        self.found.clear();
        encode(&mut self.spelt, &mut self.found)?;
        let (mut end, mut follow, mut floor) = (0, true, 0);
        for found in &self.found {
            follow &= found.start == end && found.end as usize <= length;
            end = found.end;
            // Spans are in order, whatever the model's quirks.
            floor = floor.max(found.start as usize);
            out.push(Token { id: found.id, span: base + floor..base + floor.max(found.end as usize) });
        }
        Ok(follow && self.found.len() <= TOKENS)
    }
}

/// A memo that an encoder keeps from text to text.
#[derive(Default)]
pub(super) struct Shared(Mutex<Memo>);

impl Shared {
    /// Works with the memo; with one of its own while another thread has it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Memo) -> T) -> T {
        match self.0.try_lock() {
            Ok(mut memo) => work(&mut memo),
            // A panic elsewhere leaves at worst a piece unkept.
            Err(TryLockError::Poisoned(memo)) => work(&mut memo.into_inner()),
            Err(TryLockError::WouldBlock) => work(&mut Memo::default()),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte a token, but `x` is in none.
    fn bytes(piece: &[u8]) -> Vec<Found> {
        let places = piece.iter().zip(0..).filter(|(byte, _)| **byte != b'x');
        places.map(|(byte, at)| Found { id: u32::from(*byte), start: at, end: at + 1 }).collect()
    }

    #[test]
    fn a_piece_has_the_same_tokens_every_time_wherever_it_stands() {
        let mut memo = Memo::default();
        let mut state = 1_u32;
        for round in 0..200_000_u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let length = (state >> 28) as usize * 2;
            let piece: Vec<u8> = format!("{:x}{}", state % 50_000, "yx".repeat(length)).into_bytes();
            let mut out = Vec::new();
            let base = round as usize;
            memo.tokens(&piece, base, &mut out, &|_, found| {
                found.extend(bytes(&piece));
                Ok(())
            })
            .unwrap();
            let expected: Vec<Token> = bytes(&piece)
                .iter()
                .map(|found| Token { id: found.id, span: base + found.start as usize..base + found.end as usize })
                .collect();
            assert_eq!(out, expected);
        }
    }
}
