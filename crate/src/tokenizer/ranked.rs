//! BPE by the ranks of whole tokens, as tiktoken does it: of all neighbours that together are a
//! token the pair of the lowest rank merges first, the leftmost among equals.
//!
//! Source: tiktoken, `src/lib.rs` (`byte_pair_merge`).

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    Token,
    bpe::Found,
    memo::Shared,
    slots::TextIds,
    splits::{Split, split},
};
use crate::fault::Result;

/// A vocabulary of ranks.
pub(super) struct Ranked {
    pub splits: Vec<Split>,
    pub ranks: TextIds,
    /// Added to a rank to give the id.
    pub shift: u32,
    pub memo: Shared,
}

impl Ranked {
    /// Appends the tokens of `text`, which lies at byte `base` of the whole input. Bytes without a token are left out.
    pub(super) fn encode(&self, text: &str, base: usize, out: &mut Vec<Token>) -> Result<()> {
        self.memo.with(|memo| {
            split(&self.splits, text, 0..text.len(), &mut |piece| {
                let start = base + piece.start;
                let bytes = &text.as_bytes()[piece];
                memo.tokens(bytes, start, out, &|_, found| {
                    found.extend(self.merge(bytes).into_iter().filter_map(|(from, to)| {
                        let id = self.ranks.get(&bytes[from..to])? + self.shift;
                        Some(Found { id, start: from as u32, end: to as u32 })
                    }));
                    Ok(())
                })
            })
        })
    }

    /// Bounds of the merged parts.
    fn merge(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        if self.ranks.get(bytes).is_some() {
            return vec![(0, bytes.len())];
        }
        // Where the part that begins here ends; 0 once it is merged into the one before.
        let mut ends: Vec<usize> = (1..=bytes.len()).collect();
        let mut before: Vec<Option<usize>> = (0..bytes.len()).map(|at| at.checked_sub(1)).collect();
        let mut queue = BinaryHeap::new();
        let offer = |queue: &mut BinaryHeap<_>, left: usize, right: usize, end: usize| {
            if let Some(rank) = self.ranks.get(&bytes[left..end]) {
                queue.push(Reverse((rank, left, right, end)));
            }
        };
        for right in 1..bytes.len() {
            offer(&mut queue, right - 1, right, right + 1);
        }
        while let Some(Reverse((_, left, right, end))) = queue.pop() {
            if ends[left] != right || ends[right] != end {
                continue;
            }
            ends[left] = end;
            ends[right] = 0;
            if end < bytes.len() {
                before[end] = Some(left);
                offer(&mut queue, left, end, ends[end]);
            }
            if let Some(earlier) = before[left] {
                offer(&mut queue, earlier, left, end);
            }
        }
        let mut parts = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            parts.push((at, ends[at]));
            at = ends[at];
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_rank_merges_first_and_the_leftmost_among_equals() {
        let tokens = ["a", "b", "c", "bc", "ab", "aa", "aab"];
        let ranks = TextIds::new(tokens.iter().map(|token| token.as_bytes()).zip(0..)).unwrap();
        let ranked = Ranked { splits: Vec::new(), ranks, shift: 10, memo: Shared::default() };
        let ids = |text: &str| {
            let mut out = Vec::new();
            ranked.encode(text, 0, &mut out).unwrap();
            out.iter().map(|token| token.id).collect::<Vec<_>>()
        };
        assert_eq!(ids("abc"), [10, 13]);
        assert_eq!(ids("aaab"), [15, 14]);
        assert_eq!(ids("aab"), [16]);
        assert_eq!(ids("xa"), [10]);
    }
}
