//! The merges of a BPE vocabulary by the ids of what they join.

use std::{collections::HashMap, sync::OnceLock};

/// What two tokens become together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Joined {
    /// The lower, the sooner.
    pub rank: u32,
    /// The token that they become.
    pub id: u32,
}

/// All merges.
#[derive(Debug, Default)]
pub(super) struct Merges {
    /// Left, right and what they become, in the order of ranks.
    list: Vec<[u32; 3]>,
    /// Made when first asked for: the encoder keeps its own.
    map: OnceLock<HashMap<(u32, u32), Joined>>,
}

impl Merges {
    /// From merges in the order of their ranks: left, right and what they become.
    pub(super) fn new(list: Vec<[u32; 3]>) -> Self {
        Self { list, map: OnceLock::new() }
    }

    /// What two neighbours become; of a merge listed twice the later rank holds, as in the crate's BPE.
    pub(super) fn get(&self, left: u32, right: u32) -> Option<Joined> {
        let map = self.map.get_or_init(|| {
            (0..).zip(&self.list).map(|(rank, [left, right, id])| ((*left, *right), Joined { rank, id: *id })).collect()
        });
        map.get(&(left, right)).copied()
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
