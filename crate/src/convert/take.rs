//! Which values of which tensors become a new tensor, row by row.

/// In which order rows of a source matrix are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// From a row on, each `step`th.
    From {
        /// The first.
        first: u64,
        /// From one to the next.
        step: u64,
    },
    /// Of each head the first row, the first of its second half, the second row and so on: pairs that rotate together lie
    /// side by side.
    Paired {
        /// Rows of a head.
        head: u64,
    },
    /// The way back: of each head all even rows, then all odd ones.
    Halved {
        /// Rows of a head.
        head: u64,
    },
    /// Fused queries, keys and values that follow each other group by group: first all queries, then all keys, then all values.
    Apart {
        /// Groups: key heads.
        groups: u64,
        /// Query heads of a group.
        queries: u64,
        /// Rows of a head.
        head: u64,
    },
    /// Behind the first rows, heads of groups in turn: the first head of every group, then the second of every group and so on.
    Tiled {
        /// Rows that stay.
        first: u64,
        /// Groups.
        groups: u64,
        /// Heads of a group.
        heads: u64,
        /// Rows of a head.
        head: u64,
    },
    /// Parts that follow each other group by group: all groups' rows of one part, then of the next.
    Sorted {
        /// Groups.
        groups: u64,
        /// Rows of each part in a group.
        sizes: [u64; 4],
        /// The first part taken.
        first: usize,
    },
}

impl Order {
    /// As they lie.
    pub(super) const SAME: Self = Self::From { first: 0, step: 1 };
    /// The source's row of the new tensor's row `i`.
    pub(super) fn source(self, i: u64) -> u64 {
        match self {
            Self::From { first, step } => first + i * step,
            Self::Paired { head } => {
                let (start, at) = (i / head * head, i % head);
                start + at / 2 + at % 2 * (head / 2)
            }
            Self::Halved { head } => {
                let (start, at) = (i / head * head, i % head);
                start + if at < head / 2 { 2 * at } else { 2 * (at - head / 2) + 1 }
            }
            Self::Apart { groups, queries, head } => {
                let (part, at) = (i / head, i % head);
                let of_queries = groups * queries;
                let (group, within) = match part {
                    p if p < of_queries => (p / queries, p % queries),
                    p if p < of_queries + groups => (p - of_queries, queries),
                    p => (p - of_queries - groups, queries + 1),
                };
                (group * (queries + 2) + within) * head + at
            }
            Self::Tiled { first, groups, heads, head } => {
                let Some(i) = i.checked_sub(first) else { return i };
                let (number, at) = (i / head, i % head);
                first + (number % groups * heads + number / groups) * head + at
            }
            Self::Sorted { groups, sizes, first } => {
                let (mut rest, mut before) = (i, sizes[..first.min(4)].iter().sum::<u64>());
                let all: u64 = sizes.iter().sum();
                for size in &sizes[first.min(4)..] {
                    if rest < groups * size {
                        return rest / size * all + before + rest % size;
                    }
                    (rest, before) = (rest - groups * size, before + size);
                }
                // Beyond them all: no row of the matrix.
                groups * all
            }
        }
    }
}

/// What becomes of each value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Map {
    /// Nothing.
    Same,
    /// Something is added: norms that are stored as `w - 1`.
    Plus(f32),
    /// The exponential, negated: decays that are stored as logarithms.
    NegativeExponential,
}

impl Map {
    pub(super) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Same => {}
            Self::Plus(more) => values.iter_mut().for_each(|v| *v += more),
            // Rounded once, from double precision.
            Self::NegativeExponential => values.iter_mut().for_each(|v| *v = -(f64::from(*v).exp() as f32)),
        }
    }
}

/// Rows of matrices in stored tensors. Each of the tensors holds whole matrices of one size, one behind the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Take {
    /// The tensors, by their numbers in the model.
    pub(super) tensors: Vec<usize>,
    /// Matrices in each of them.
    pub(super) matrices: u64,
    /// Rows of a matrix as it is stored, and the length of one.
    pub(super) stored: (u64, u64),
    /// Columns become rows.
    pub(super) turned: bool,
    /// Of a turned matrix only so many stored rows, the first, become columns.
    pub(super) kept: Option<u64>,
    /// Rows taken of each matrix.
    pub(super) rows: u64,
    /// Which.
    pub(super) order: Order,
    /// Which value of a row comes where; of rows that are not turned.
    pub(super) columns: Order,
    /// What becomes of the values.
    pub(super) map: Map,
}

impl Take {
    /// All rows of one matrix.
    pub(super) fn all(tensor: usize, rows: u64, row_len: u64) -> Self {
        let (matrices, turned, kept, order, map) = (1, false, None, Order::SAME, Map::Same);
        let columns = Order::SAME;
        Self { tensors: vec![tensor], matrices, stored: (rows, row_len), turned, kept, rows, order, columns, map }
    }
    /// Rows of the new tensor.
    pub(super) fn all_rows(&self) -> u64 {
        self.tensors.len() as u64 * self.matrices * self.rows
    }
    /// Values of a row of the new tensor.
    pub(super) fn row_len(&self) -> u64 {
        if self.turned { self.kept.unwrap_or(self.stored.0) } else { self.stored.1 }
    }
    /// Of a new row: the tensor's place in the list, the matrix in it, and its row (of a turned one: column).
    pub(super) fn place(&self, row: u64) -> (usize, u64, u64) {
        let (matrix, i) = (row / self.rows.max(1), row % self.rows.max(1));
        let (tensor, matrix) = (matrix / self.matrices.max(1), matrix % self.matrices.max(1));
        (tensor as usize, matrix, self.order.source(i))
    }
    /// True where every row that is asked for is there.
    pub(super) fn fits(&self) -> bool {
        let rows = if self.turned { self.stored.1 } else { self.stored.0 };
        let last = match self.order {
            Order::From { first, step } => {
                self.rows.checked_sub(1).and_then(|n| n.checked_mul(step)?.checked_add(first))
            }
            Order::Paired { head } | Order::Halved { head } if head == 0 || head % 2 != 0 || self.rows % head != 0 => {
                None
            }
            Order::Apart { groups, queries, head } => {
                let all = queries.checked_add(2).and_then(|n| n.checked_mul(groups)?.checked_mul(head));
                (all == Some(self.rows) && self.rows > 0).then(|| self.rows - 1)
            }
            Order::Sorted { .. } => {
                return self.rows > 0 && (0..self.rows).all(|i| self.order.source(i) < rows);
            }
            Order::Tiled { first, groups, heads, head } => {
                let all = groups.checked_mul(heads).and_then(|n| n.checked_mul(head)?.checked_add(first));
                (all == Some(self.rows) && groups > 0 && head > 0).then(|| self.rows.saturating_sub(1))
            }
            Order::Paired { .. } | Order::Halved { .. } => self.rows.checked_sub(1),
        };
        last.is_some_and(|last| last < rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_halves_come_side_by_side() {
        let rows = |order: Order, n: u64| (0..n).map(|i| order.source(i)).collect::<Vec<_>>();
        assert_eq!(rows(Order::Paired { head: 6 }, 12), [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
        let there = Order::Paired { head: 8 };
        let back = Order::Halved { head: 8 };
        assert!((0..16).all(|i| back.source(there.source(i)) == i && there.source(back.source(i)) == i));
        assert_eq!(rows(Order::From { first: 1, step: 2 }, 3), [1, 3, 5]);
    }

    #[test]
    fn fused_groups_come_apart() {
        // Two groups of two queries, a key and a value, heads of one row.
        let order = Order::Apart { groups: 2, queries: 2, head: 1 };
        assert_eq!((0..8).map(|i| order.source(i)).collect::<Vec<_>>(), [0, 1, 4, 5, 2, 6, 3, 7]);
        let tiled = Order::Tiled { first: 1, groups: 2, heads: 2, head: 1 };
        assert_eq!((0..5).map(|i| tiled.source(i)).collect::<Vec<_>>(), [0, 1, 3, 2, 4]);
        let sorted = |first| Order::Sorted { groups: 2, sizes: [1, 1, 2, 1], first };
        assert_eq!((0..8).map(|i| sorted(0).source(i)).collect::<Vec<_>>(), [0, 5, 1, 6, 2, 3, 7, 8]);
        assert_eq!((0..2).map(|i| sorted(3).source(i)).collect::<Vec<_>>(), [4, 9]);
        let wide = Order::Apart { groups: 1, queries: 1, head: 2 };
        assert_eq!((0..6).map(|i| wide.source(i)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn rows_beyond_a_matrix_are_no_take() {
        let take = |order, rows| Take { order, rows, ..Take::all(0, 8, 4) };
        assert!(take(Order::SAME, 8).fits() && take(Order::From { first: 1, step: 2 }, 4).fits());
        assert!(!take(Order::SAME, 9).fits() && !take(Order::From { first: 2, step: 2 }, 4).fits());
        assert!(!take(Order::Paired { head: 3 }, 6).fits() && !take(Order::Paired { head: 0 }, 8).fits());
        assert!(!take(Order::Apart { groups: 2, queries: 1, head: 4 }, 8).fits());
    }
}
