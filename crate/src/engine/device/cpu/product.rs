//! The product of two matrices of f32 by the vectors and threads of this processor, for what runs outside a program.

use std::sync::Mutex;

use super::{
    dispatch::{self, Kernels},
    lanes::{Lanes, each},
    linear::Linear,
    pool::Pool,
};
use crate::tensor::Encoding;

/// Multiply-adds below which waking another thread costs more than it saves.
const WORTH_SPLITTING: usize = 1 << 17;
/// The most values of a panel's row.
const PANEL_MOST: usize = 64;
/// Rows of the left matrix up to which a transposed right one is read row by row instead of being laid out anew.
const FEW_ROWS: usize = 2;

/// A matrix as it lies in memory.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// Values.
    pub data: &'a [f32],
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Values from a row to the next.
    pub row_stride: usize,
    /// Values from a column to the next.
    pub col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row after row.
    pub fn rows(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }
    /// Column after column.
    pub fn columns(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self { data, rows, cols, row_stride: 1, col_stride: rows }
    }
    /// Every element lies in the data.
    fn holds(&self) -> bool {
        let last = |n: usize, stride: usize| n.saturating_sub(1).checked_mul(stride);
        self.rows == 0
            || self.cols == 0
            || last(self.rows, self.row_stride)
                .zip(last(self.cols, self.col_stride))
                .and_then(|(a, b)| a.checked_add(b))
                .is_some_and(|at| at < self.data.len())
    }
}

/// Kernels and threads.
pub struct Product {
    kernels: &'static Kernels,
    pool: Pool,
    /// A panel for each thread.
    panels: Vec<Mutex<Vec<f32>>>,
}

/// Some rows of the result for one panel of columns.
#[derive(Clone, Copy)]
pub(super) struct Block {
    a: *const f32,
    a_row: usize,
    a_col: usize,
    rows: usize,
    k: usize,
    /// `k` rows of a panel's width, `b_row` apart.
    b: *const f32,
    b_row: usize,
    out: *mut f32,
    out_row: usize,
    /// Columns that count, at most the panel's width.
    cols: usize,
}

/// The places that tasks share; each writes its own part of the result.
struct Shared {
    a: *const f32,
    b: *const f32,
    out: *mut f32,
}

// SAFETY: the operands are only read, and tasks write disjoint parts of the result.
unsafe impl Sync for Shared {}

impl Default for Product {
    fn default() -> Self {
        Self::new()
    }
}

impl Product {
    /// The best kernels of this processor, a thread for each core.
    pub fn new() -> Self {
        let kernels = dispatch::available()[0];
        let pool = Pool::new(dispatch::default_threads());
        let panels = (0..pool.threads()).map(|_| Mutex::default()).collect();
        Self { kernels, pool, panels }
    }

    /// Writes `a * b`, row after row, into `out`; nothing where the sizes do not fit each other.
    pub fn multiply(&self, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32]) {
        let (m, k, n) = (a.rows, a.cols, b.cols);
        let fits = b.rows == k && m.checked_mul(n).is_some_and(|size| size <= out.len()) && a.holds() && b.holds();
        debug_assert!(fits, "{m} x {k} times {} x {n} into {}", b.rows, out.len());
        if !fits || m == 0 || n == 0 {
            return;
        }
        if k == 0 {
            out[..m * n].fill(0.0);
            return;
        }
        let split = m.saturating_mul(k).saturating_mul(n) >= WORTH_SPLITTING;
        if m <= FEW_ROWS && b.row_stride == 1 && a.col_stride == 1 {
            self.by_dots(a, b, out, split);
        } else {
            self.by_panels(a, b, out, split);
        }
    }

    /// Each column of `b` lies in one piece: a dot product for each value.
    fn by_dots(&self, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], split: bool) {
        let (m, k, n) = (a.rows, a.cols, b.cols);
        let shared = Shared { a: a.data.as_ptr(), b: b.data.as_ptr(), out: out.as_mut_ptr() };
        let each = if split { n.div_ceil(4 * self.pool.threads()).max(1) } else { n };
        let work = |task: usize, _: usize| {
            let shared = &shared;
            let from = task * each;
            let rows = each.min(n - from);
            for r in 0..m {
                // SAFETY: `multiply` checked that all of both matrices and of the result is there; tasks take
                // different columns.
                unsafe {
                    let piece = Linear {
                        encoding: Encoding::F32,
                        w: shared.b.add(from * b.col_stride).cast(),
                        row_bytes: b.col_stride * 4,
                        rows,
                        k,
                        x: shared.a.add(r * a.row_stride),
                        count: 1,
                        y: shared.out.add(r * n + from),
                        y_stride: n,
                        accumulate: false,
                    };
                    (self.kernels.matvec)(&piece);
                }
            }
        };
        self.pool.run(n.div_ceil(each), &work);
    }

    /// Panels of columns, each laid out once for a part of the rows.
    fn by_panels(&self, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], split: bool) {
        let (m, k, n) = (a.rows, a.cols, b.cols);
        let wide = self.kernels.panel.min(PANEL_MOST);
        let shared = Shared { a: a.data.as_ptr(), b: b.data.as_ptr(), out: out.as_mut_ptr() };
        let panels = n.div_ceil(wide);
        // Few panels: rows are shared too, in whole tiles.
        let parts = if split {
            (4 * self.pool.threads()).div_ceil(panels).min(m.div_ceil(2 * self.kernels.tile_rows))
        } else {
            1
        };
        let each = m.div_ceil(parts.max(1)).next_multiple_of(self.kernels.tile_rows);
        let parts = m.div_ceil(each);
        let work = |task: usize, worker: usize| {
            let shared = &shared;
            let (panel, part) = (task / parts, task % parts);
            let (column, row) = (panel * wide, part * each);
            let cols = wide.min(n - column);
            let rows = each.min(m - row);
            let mut own = self.panels[worker].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let direct = cols == wide && b.col_stride == 1 && rows <= 2 * self.kernels.tile_rows;
            // SAFETY: `multiply` checked that all of both matrices and of the result is there; tasks write different
            // blocks; a panel has `k` rows of `wide` values.
            unsafe {
                let from = shared.b.add(column * b.col_stride);
                let (b_at, b_row) = if direct {
                    (from, b.row_stride)
                } else {
                    own.resize(k * wide, 0.0);
                    lay_out(from, &b, k, cols, wide, own.as_mut_ptr());
                    (own.as_ptr(), wide)
                };
                (self.kernels.block)(&Block {
                    a: shared.a.add(row * a.row_stride),
                    a_row: a.row_stride,
                    a_col: a.col_stride,
                    rows,
                    k,
                    b: b_at,
                    b_row,
                    out: shared.out.add(row * n + column),
                    out_row: n,
                    cols,
                });
            }
        };
        let tasks = panels * parts;
        if split {
            self.pool.run(tasks, &work);
        } else {
            (0..tasks).for_each(|task| work(task, 0));
        }
    }
}

/// Copies `cols` columns into rows of `wide` values, the rest zero.
///
/// # Safety
/// The matrix holds the columns; `to` has room for `k * wide` values.
unsafe fn lay_out(from: *const f32, b: &Matrix<'_>, k: usize, cols: usize, wide: usize, to: *mut f32) {
    // SAFETY: as the caller's.
    unsafe {
        if b.col_stride == 1 {
            for i in 0..k {
                let row = to.add(i * wide);
                std::ptr::copy_nonoverlapping(from.add(i * b.row_stride), row, cols);
                std::ptr::write_bytes(row.add(cols), 0, wide - cols);
            }
            return;
        }
        for j in 0..wide {
            for i in 0..k {
                let value = if j < cols { *from.add(i * b.row_stride + j * b.col_stride) } else { 0.0 };
                *to.add(i * wide + j) = value;
            }
        }
    }
}

/// Computes a block of the result, a few rows at a time.
///
/// # Safety
/// The processor has the lanes' instructions; the block's places are valid.
#[inline(always)]
pub(super) unsafe fn block<L: Lanes>(b: &Block) {
    // SAFETY: as the caller's.
    unsafe {
        let mut row = 0;
        while row < b.rows {
            let left = b.rows - row;
            if left >= L::TILE_ROWS {
                match L::TILE_ROWS {
                    12 => tile::<L, 12>(b, row),
                    8 => tile::<L, 8>(b, row),
                    6 => tile::<L, 6>(b, row),
                    _ => tile::<L, 4>(b, row),
                }
                row += match L::TILE_ROWS {
                    n @ (12 | 8 | 6) => n,
                    _ => 4,
                };
            } else if left >= 4 {
                tile::<L, 4>(b, row);
                row += 4;
            } else if left >= 2 {
                tile::<L, 2>(b, row);
                row += 2;
            } else {
                tile::<L, 1>(b, row);
                row += 1;
            }
        }
    }
}

/// `R` rows of a block: their sums stay in registers.
///
/// # Safety
/// As [`block`].
#[allow(unconditional_panic, reason = "`each!` also writes the indices that its constant condition leaves out")]
#[inline(always)]
unsafe fn tile<L: Lanes, const R: usize>(b: &Block, row: usize) {
    // SAFETY: as the caller's.
    unsafe {
        let mut sums = [[L::splat(0.0); 4]; R];
        let a = b.a.add(row * b.a_row);
        for i in 0..b.k {
            let mut right = [L::splat(0.0); 4];
            each!(v < L::TILE_VECTORS => { right[v] = L::load(b.b.add(i * b.b_row + v * L::N)); });
            each!(r < R => {
                let left = L::splat(*a.add(r * b.a_row + i * b.a_col));
                each!(v < L::TILE_VECTORS => { sums[r][v] = L::fma(left, right[v], sums[r][v]); });
            });
        }
        let wide = L::N * L::TILE_VECTORS;
        for (r, sums) in sums.iter().enumerate() {
            let to = b.out.add((row + r) * b.out_row);
            if b.cols == wide {
                each!(v < L::TILE_VECTORS => { L::store(to.add(v * L::N), sums[v]); });
            } else {
                let mut whole = [0f32; PANEL_MOST];
                each!(v < L::TILE_VECTORS => { L::store(whole.as_mut_ptr().add(v * L::N), sums[v]); });
                std::ptr::copy_nonoverlapping(whole.as_ptr(), to, b.cols);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_awkward_sizes_and_strides_are_those_of_the_definition() {
        let product = Product::new();
        let value = |i: usize| ((i * 7919 + 13) % 31) as f32 / 8.0 - 2.0;
        for (m, k, n) in
            [(1, 1, 1), (1, 5, 3), (2, 7, 70), (3, 64, 17), (6, 33, 32), (13, 20, 100), (40, 130, 90), (1, 300, 700)]
        {
            let a: Vec<f32> = (0..m * k).map(value).collect();
            let b: Vec<f32> = (0..k * n).map(|i| value(i + 5)).collect();
            for turned_a in [false, true] {
                for turned_b in [false, true] {
                    let left = if turned_a { Matrix::columns(&a, m, k) } else { Matrix::rows(&a, m, k) };
                    let right = if turned_b { Matrix::columns(&b, k, n) } else { Matrix::rows(&b, k, n) };
                    let mut out = vec![f32::NAN; m * n];
                    product.multiply(left, right, &mut out);
                    for i in 0..m {
                        for j in 0..n {
                            let sum: f64 = (0..k)
                                .map(|x| {
                                    let l = a[i * left.row_stride + x * left.col_stride];
                                    f64::from(l) * f64::from(b[x * right.row_stride + j * right.col_stride])
                                })
                                .sum();
                            let found = f64::from(out[i * n + j]);
                            // Sums of up to 300 terms of at most 4 in f32.
                            assert!((found - sum).abs() < 1e-3, "{m} {k} {n} {turned_a} {turned_b}: {found} and {sum}");
                        }
                    }
                }
            }
        }
    }
}
