//! Merging neighbours, best pair first, with every step written down.

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range};

use super::{Budget, Merge, Word};

/// A stretch of a word.
#[derive(Debug, Clone)]
pub(super) struct Symbol {
    /// Bytes of the word's text.
    pub part: Range<usize>,
    /// Its token, where it is one.
    pub id: Option<u32>,
    /// Never merges.
    pub frozen: bool,
    /// "byte" or "unknown" where it is no token of the text itself.
    pub how: &'static str,
}

/// What two neighbours become.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joined {
    pub id: u32,
    pub rank: Option<u32>,
    pub score: Option<f32>,
}

impl Joined {
    /// Sorts the pair that merges sooner before.
    fn key(&self) -> Key {
        match (self.rank, self.score) {
            (Some(rank), _) => Key::Rank(rank),
            (None, Some(score)) => Key::Score(Reverse(Ordered(score))),
            (None, None) => Key::Rank(u32::MAX),
        }
    }
}

/// Within one vocabulary all keys are of one kind.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Rank(u32),
    Score(Reverse<Ordered>),
}

struct Ordered(f32);
impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Ordered {}

/// Symbols as a list with holes, so that a merge costs the same in a long word.
struct Chain {
    symbols: Vec<Option<Symbol>>,
    before: Vec<Option<usize>>,
    after: Vec<Option<usize>>,
}

impl Chain {
    fn new(symbols: Vec<Symbol>) -> Self {
        let count = symbols.len();
        Self {
            symbols: symbols.into_iter().map(Some).collect(),
            before: (0..count).map(|nth| nth.checked_sub(1)).collect(),
            after: (0..count).map(|nth| Some(nth + 1).filter(|next| *next < count)).collect(),
        }
    }

    /// The pair that begins at a symbol.
    fn pair(&self, nth: usize) -> Option<(&Symbol, &Symbol, usize)> {
        let next = self.after.get(nth).copied().flatten()?;
        let (left, right) = (self.symbols.get(nth)?.as_ref()?, self.symbols.get(next)?.as_ref()?);
        (!left.frozen && !right.frozen).then_some((left, right, next))
    }
}

/// Merges a word's symbols as long as `join` knows a pair: the best key first, the leftmost among equals.
///
/// `name` writes a symbol for people. The steps are left out when the budget ends; the symbols are right all the same.
pub(super) fn merge(
    word: &mut Word,
    symbols: Vec<Symbol>,
    join: impl Fn(&Symbol, &Symbol) -> Option<Joined>,
    name: impl Fn(&str, &Symbol) -> String,
    budget: &mut Budget,
) -> Vec<Symbol> {
    let text = word.text.clone();
    let names = |chain: &Chain| chain.symbols.iter().flatten().map(|symbol| name(&text, symbol)).collect::<Vec<_>>();
    let mut alive = symbols.len();
    let mut chain = Chain::new(symbols);
    let mut listed = budget.take(alive);
    if listed {
        word.symbols = names(&chain);
    }
    let mut queue = BinaryHeap::new();
    let offer = |chain: &Chain, queue: &mut BinaryHeap<_>, nth: usize| {
        if let Some((left, right, _)) = chain.pair(nth)
            && let Some(joined) = join(left, right)
        {
            queue.push(Reverse((joined.key(), nth, joined.id)));
        }
    };
    for nth in 0..alive {
        offer(&chain, &mut queue, nth);
    }
    while let Some(Reverse((_, nth, id))) = queue.pop() {
        let Some((left, right, next)) = chain.pair(nth) else { continue };
        // What was offered may be gone by now.
        let Some(joined) = join(left, right).filter(|joined| joined.id == id) else { continue };
        let (left_name, right_name) = (name(&text, left), name(&text, right));
        let part = left.part.start..right.part.end;
        chain.symbols[nth] = Some(Symbol { part, id: Some(id), frozen: false, how: "" });
        chain.symbols[next] = None;
        chain.after[nth] = chain.after[next];
        if let Some(after) = chain.after[nth] {
            chain.before[after] = Some(nth);
        }
        alive -= 1;
        if listed {
            listed = budget.take(alive + 2);
            let at = chain.symbols[..nth].iter().flatten().count();
            word.merges.push(Merge {
                at,
                left: left_name,
                right: right_name,
                rank: joined.rank,
                score: joined.score.map(f64::from),
                symbols: names(&chain),
            });
        }
        if let Some(before) = chain.before[nth] {
            offer(&chain, &mut queue, before);
        }
        offer(&chain, &mut queue, nth);
    }
    if !listed {
        word.leave_out(budget);
    }
    chain.symbols.into_iter().flatten().collect()
}
