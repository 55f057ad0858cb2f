//! What is known of each character, learnt when it is met.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use super::classes;
use crate::fault::Result;

/// What becomes of a character, in the low bits of its number; above them the character that it becomes.
pub(super) mod fate {
    pub(in super::super) const SPACE: u32 = 1;
    pub(in super::super) const DROPPED: u32 = 2;
    pub(in super::super) const PART: u32 = 3;
    pub(in super::super) const ALONE: u32 = 4;
    /// Part of a word as several characters.
    pub(in super::super) const MANY: u32 = 5;
    /// It depends on its neighbours.
    pub(in super::super) const HARD: u32 = 6;
    pub(in super::super) const BITS: u32 = 3;
    pub(in super::super) const MASK: u32 = (1 << BITS) - 1;
}

/// Calls back with the bounds of every word and every character that is a word of its own; whether none was hard.
pub(super) fn words(
    text: &str,
    fate: &dyn Fn(char) -> u32,
    piece: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<bool> {
    let (mut at, mut start) = (0, 0);
    while let Some((c, next)) = classes::at(text, at) {
        match fate(c) & fate::MASK {
            fate::SPACE | fate::ALONE if start < at => {
                piece(start, at)?;
                start = at;
                // This character is looked at again, as the first of what follows.
                continue;
            }
            fate::SPACE => start = next,
            fate::ALONE => {
                piece(at, next)?;
                start = next;
            }
            fate::HARD => return Ok(false),
            _ => {}
        }
        at = next;
    }
    if start < text.len() {
        piece(start, text.len())?;
    }
    Ok(true)
}

type Page = [AtomicU32; 256];

/// A number for each character of the texts so far; never 0.
pub(super) struct Chars(Vec<OnceLock<Box<Page>>>);

impl Default for Chars {
    fn default() -> Self {
        Self(std::iter::repeat_with(OnceLock::new).take(0x11_0000 / 256).collect())
    }
}

impl Chars {
    /// The number of a character, learnt if it is new.
    #[inline]
    pub(super) fn get(&self, c: char, learn: impl FnOnce(char) -> u32) -> u32 {
        let code = c as usize;
        let page = self.0[code / 256].get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU32::new(0))));
        match page[code % 256].load(Relaxed) {
            0 => {
                let known = learn(c);
                page[code % 256].store(known, Relaxed);
                known
            }
            known => known,
        }
    }
}

impl std::fmt::Debug for Chars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chars")
    }
}
