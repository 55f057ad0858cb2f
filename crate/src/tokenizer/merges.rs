//! The merges of a BPE vocabulary by the ids of what they join.

use super::slots::{Slots, mix};
use crate::fault::Result;

/// What two tokens become together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Joined {
    /// The lower, the sooner.
    pub rank: u32,
    /// The token that they become.
    pub id: u32,
}

/// All merges.
#[derive(Debug)]
pub(super) struct Merges {
    /// Left, right and what they become, in the order of ranks.
    list: Box<[[u32; 3]]>,
    pairs: Slots,
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

impl Merges {
    /// From merges in the order of their ranks: left, right and what they become.
    ///
    /// # Errors
    /// They were chosen to collide.
    pub(super) fn new(list: Vec<[u32; 3]>) -> Result<Self> {
        let of = |rank: u32| pair(list[rank as usize][0], list[rank as usize][1]);
        let pairs = Slots::new(list.len(), &|rank, seed| mix(of(rank) ^ seed), &|a, b| of(a) == of(b), &mut |_| {})?;
        Ok(Self { list: list.into(), pairs })
    }

    /// What two neighbours become; of a merge listed twice the later rank holds, as in the `tokenizers` crate's BPE.
    #[inline]
    pub(super) fn get(&self, left: u32, right: u32) -> Option<Joined> {
        let is_it = |rank: u32| self.list[rank as usize][..2] == [left, right];
        let rank = self.pairs.find(mix(pair(left, right) ^ self.pairs.seed), is_it)?;
        Some(Joined { rank, id: self.made(rank) })
    }

    /// What the merge of a rank makes.
    pub(super) fn made(&self, rank: u32) -> u32 {
        self.list[rank as usize][2]
    }

    /// Left, right and what they become, in the order of ranks.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u32; 3]> {
        self.list.iter()
    }

    /// By id the rank of the first merge that makes the token.
    pub(super) fn ranks(&self, tokens: usize) -> Vec<Option<u32>> {
        let mut ranks = vec![None; tokens];
        for (rank, [.., id]) in (0..).zip(&self.list) {
            if let Some(first) = ranks.get_mut(*id as usize).filter(|first| first.is_none()) {
                *first = Some(rank);
            }
        }
        ranks
    }
}
