//! The operations that have vectorised code: lengths are checked once, then the work is split over the threads.

use std::sync::Mutex;

use super::{
    buffer::Rows,
    dispatch::Kernels,
    integer::{self, Levels},
    linear::{Linear, Tile},
    pool::Pool,
    rows::{Bias, ChainInput, Head, Segment},
};
use crate::{
    fault::{Fault, Result},
    ir::{Attention, Link, Pairing, Rope},
    tensor::Encoding,
};

/// Multiply-adds below which waking another thread costs more than it saves.
const WORTH_SPLITTING: usize = 1 << 16;

/// Encodings with vector code; others are decoded row by row.
const VECTORISED: &[Encoding] = &[
    Encoding::F32,
    Encoding::F16,
    Encoding::BF16,
    Encoding::Q4_0,
    Encoding::Q4_1,
    Encoding::Q5_0,
    Encoding::Q5_1,
    Encoding::Q8_0,
    Encoding::Q2_K,
    Encoding::Q3_K,
    Encoding::Q4_K,
    Encoding::Q5_K,
    Encoding::Q6_K,
    Encoding::IQ4_NL,
    Encoding::MXFP4,
];

/// Inputs of an elementwise chain.
const MOST_INPUTS: usize = 8;

/// What one thread needs to itself.
#[derive(Default)]
pub(super) struct Own {
    tile: Tile,
    scores: Vec<f32>,
    pub(super) row: Vec<f32>,
}

/// Kernels, threads and their scratch memory.
pub(super) struct Fast {
    pub(super) kernels: &'static Kernels,
    pool: Pool,
    own: Vec<Mutex<Own>>,
    /// A mat-mul's input, packed.
    packed: Vec<f32>,
    /// Results of a gated linear map before its gate.
    scratch: Vec<f32>,
    /// A mat-vec's input in whole numbers.
    levels: Levels,
    /// Activations are never rounded.
    exact: bool,
}

/// Rows of a weight matrix in memory.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) encoding: Encoding,
    pub(super) rows: usize,
    pub(super) row_len: usize,
    pub(super) row_bytes: usize,
    pub(super) bytes: &'a [u8],
    /// Row of the whole matrix that the first one is.
    pub(super) first_row: usize,
}

/// What one row of queries sees.
pub(super) struct Seen {
    pub(super) segments: Vec<Segment>,
    pub(super) rows: usize,
    /// From the row's own position to the first that it sees.
    pub(super) distance: i64,
}

// SAFETY: segments are only read while the step runs.
unsafe impl Sync for Seen {}

/// A pointer that tasks may share: they write different places.
#[derive(Clone, Copy)]
pub(super) struct Shared(pub(super) *mut f32);

// SAFETY: every task writes its own range, and the pool joins before the range is read.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Fast {
    pub(super) fn new(kernels: &'static Kernels, threads: usize) -> Self {
        let pool = Pool::new(threads.max(1));
        let own = (0..pool.threads()).map(|_| Mutex::default()).collect();
        Self { kernels, pool, own, packed: Vec::new(), scratch: Vec::new(), levels: Levels::default(), exact: false }
    }

    /// Activations stay f32.
    pub(super) fn keep_activations(&mut self) {
        self.exact = true;
    }

    pub(super) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// `y[t] = table[ids[t]]` for ids in these rows of the table.
    pub(super) fn embed(&self, table: &Matrix<'_>, ids: &[u32], y: &Rows) -> Result<()> {
        if table.row_len != y.width || ids.len() < y.rows {
            return Err(Fault::bug(format!("{} ids of rows of {} into {}", ids.len(), table.row_len, y.width)));
        }
        for (t, id) in ids.iter().enumerate().take(y.rows) {
            let Some(row) = (*id as usize).checked_sub(table.first_row).filter(|r| *r < table.rows) else { continue };
            let bytes = &table.bytes[row * table.row_bytes..][..table.row_bytes];
            // SAFETY: `t` is one of the rows, of `width` values; the source row holds as many.
            unsafe { self.decode(table.encoding, bytes, table.row_len, y.row(t))? };
        }
        Ok(())
    }

    /// # Safety
    /// `out` has room for `row_len` values, which `bytes` holds as whole blocks.
    unsafe fn decode(&self, encoding: Encoding, bytes: &[u8], row_len: usize, out: *mut f32) -> Result<()> {
        if VECTORISED.contains(&encoding) {
            // SAFETY: as the caller's; the table was offered for this processor.
            unsafe { (self.kernels.decode)(encoding, bytes.as_ptr(), 0, row_len, out) };
            return Ok(());
        }
        let decode = encoding.spec().and_then(|s| s.decode);
        let decode = decode.ok_or_else(|| Fault::unsupported(format!("{encoding} cannot be decoded")))?;
        // SAFETY: as the caller's.
        decode(bytes, unsafe { std::slice::from_raw_parts_mut(out, row_len) });
        Ok(())
    }

    /// Each group of `group` values divided by its root mean square, times the weight.
    pub(super) fn rms_norm(&self, eps: f32, group: usize, x: &Rows, weight: &[f32], y: &Rows) -> Result<()> {
        if weight.len() < group || group == 0 || x.width % group != 0 || x.width != y.width || x.rows != y.rows {
            return Err(Fault::bug(format!("groups of {group} in rows of {}, {} weights", x.width, weight.len())));
        }
        self.split(x.rows, x.width * 4, &|rows, _| {
            for t in rows {
                for at in (0..x.width).step_by(group) {
                    // SAFETY: the group lies in row `t` of both.
                    unsafe {
                        let (x, y) = (x.row(t).add(at), y.row(t).add(at));
                        (self.kernels.rms_norm)(x, weight.as_ptr(), eps, group, y);
                    }
                }
            }
        });
        Ok(())
    }

    /// Each row less its mean, over its standard deviation, times the weight, plus the bias.
    pub(super) fn layer_norm(&self, eps: f32, x: &Rows, w: &[f32], bias: Option<&[f32]>, y: &Rows) -> Result<()> {
        let width = x.width;
        if w.len() < width || bias.is_some_and(|b| b.len() < width) || y.width != width || x.rows != y.rows {
            return Err(Fault::bug(format!("a norm of rows of {width} by {} weights", w.len())));
        }
        self.split(x.rows, width * 6, &|rows, _| {
            for t in rows {
                let bias = bias.map_or(std::ptr::null(), <[f32]>::as_ptr);
                // SAFETY: row `t` of both, the weights and the bias hold `width` values.
                unsafe { (self.kernels.layer_norm)(x.row(t), w.as_ptr(), bias, eps, width, y.row(t)) };
            }
        });
        Ok(())
    }

    /// Elementwise operations; an input of one row, or of one value a row, is repeated.
    pub(super) fn chain(&self, links: &[Link], inputs: &[Rows], y: &Rows) -> Result<()> {
        for x in inputs {
            if ![1, y.width].contains(&x.width) || ![1, y.rows].contains(&x.rows) {
                return Err(Fault::bug(format!("{} x {} values beside {} x {}", x.rows, x.width, y.rows, y.width)));
            }
        }
        let known = |i: u8| (i as usize) < inputs.len();
        if inputs.is_empty()
            || inputs.len() > MOST_INPUTS
            || links.iter().any(|l| matches!(l, Link::Binary(_, i) | Link::Reversed(_, i) if !known(*i)))
        {
            return Err(Fault::bug("a chain reads an input that it does not have"));
        }
        self.split(y.rows, y.width * 8, &|rows, _| {
            for t in rows {
                // SAFETY: the rows lie in their buffers; inputs that are not repeated hold `y.width` values.
                unsafe {
                    let mut row = [ChainInput { values: std::ptr::null(), repeated: true }; MOST_INPUTS];
                    for (to, x) in row.iter_mut().zip(inputs) {
                        let values = x.row(if x.rows == 1 { 0 } else { t });
                        *to = ChainInput { values, repeated: x.width == 1 && y.width != 1 };
                    }
                    (self.kernels.chain)(links, &row[..inputs.len()], y.width, y.row(t));
                }
            }
        });
        Ok(())
    }

    /// `y (+)= x W^T` for the rows of the matrix that are here.
    pub(super) fn linear(&mut self, w: &Matrix<'_>, x: &Rows, y: &Rows, accumulate: bool) -> Result<()> {
        if w.row_len != x.width || w.first_row + w.rows > y.width || x.rows != y.rows || x.rows == 0 {
            return Err(Fault::bug(format!(
                "{} rows of {} values at {} of {} for {} rows of {}",
                w.rows, w.row_len, w.first_row, y.width, x.rows, x.width
            )));
        }
        let whole = Linear {
            encoding: w.encoding,
            w: w.bytes.as_ptr(),
            row_bytes: w.row_bytes,
            rows: w.rows,
            k: w.row_len,
            // SAFETY: there is a row.
            x: unsafe { x.row(0) },
            count: x.rows,
            // SAFETY: there is a row, and `first_row` is within it.
            y: unsafe { y.row(0).add(w.first_row) },
            y_stride: y.stride,
            accumulate,
        };
        if let Some(block) = integer::block_of(w.encoding).filter(|_| x.rows == 1 && !self.exact) {
            self.matvec_rounded(&whole, block);
            return Ok(());
        }
        if !VECTORISED.contains(&w.encoding) {
            return self.linear_decoded(w, x, y, accumulate);
        }
        if x.rows == 1 {
            self.split(whole.rows, whole.k, &|rows, _| {
                // SAFETY: the rows lie within the lengths checked above; the table was offered for this processor.
                unsafe { (self.kernels.matvec)(&part(&whole, rows)) };
            });
            return Ok(());
        }
        self.matmul(whole, x.stride);
        Ok(())
    }

    /// One token whose activations are rounded to whole numbers, by `block`.
    fn matvec_rounded(&mut self, whole: &Linear, block: usize) {
        // SAFETY: the row holds `k` values, which are whole blocks as the weight's rows are.
        unsafe { (self.kernels.round)(whole.x, whole.k, block, &mut self.levels) };
        self.split(whole.rows, whole.k, &|rows, _| {
            // SAFETY: as in `linear`; the levels are of `k` values.
            unsafe { (self.kernels.integer)(&part(whole, rows), &self.levels) };
        });
    }

    fn matmul(&mut self, mut whole: Linear, x_stride: usize) {
        let (k, count) = (whole.k, whole.count);
        let len = (self.kernels.packed_len)(k, count);
        self.packed.resize(len.max(self.packed.len()), 0.0);
        let (from, to, panel) = (whole, Shared(self.packed.as_mut_ptr()), self.kernels.panel);
        self.split(count.div_ceil(panel), panel * k, &|panels, _| {
            let (from, to) = (&from, &to);
            let (at, end) = (panels.start * panel, count.min(panels.end * panel));
            // SAFETY: panels before `at` take `at * k` values; `x` holds `count` rows.
            unsafe { (self.kernels.pack)(from.x.add(at * x_stride), k, x_stride, end - at, to.0.add(at * k)) };
        });
        whole.x = self.packed.as_ptr();
        let tiles = whole.rows.div_ceil(self.kernels.tile_rows);
        self.split(tiles, self.kernels.tile_rows * k * count, &|tiles, own| {
            let rows = tiles.start * self.kernels.tile_rows..whole.rows.min(tiles.end * self.kernels.tile_rows);
            // SAFETY: as in `linear`; `packed` holds `packed_len` values.
            unsafe { (self.kernels.matmul)(&part(&whole, rows), &mut own.tile) };
        });
    }

    /// Encodings without vector code: each weight row is decoded once and used for every row of x.
    fn linear_decoded(&self, w: &Matrix<'_>, x: &Rows, y: &Rows, accumulate: bool) -> Result<()> {
        let spec = w.encoding.spec().and_then(|s| s.decode);
        spec.ok_or_else(|| Fault::unsupported(format!("{} cannot be decoded", w.encoding)))?;
        self.split(w.rows, w.row_len * (x.rows + 4), &|rows, own| {
            own.row.resize(w.row_len, 0.0);
            for row in rows {
                let bytes = &w.bytes[row * w.row_bytes..][..w.row_bytes];
                // SAFETY: the scratch row has room; that the encoding decodes was checked above.
                if unsafe { self.decode(w.encoding, bytes, w.row_len, own.row.as_mut_ptr()) }.is_err() {
                    continue;
                }
                for t in 0..x.rows {
                    // SAFETY: row `t` of x holds `row_len` values; column `first_row + row` of y is this task's alone.
                    unsafe {
                        let sum: f32 = own.row.iter().zip(x.values(t)).map(|(w, x)| w * x).sum();
                        let y = y.row(t).add(w.first_row + row);
                        *y = if accumulate { *y + sum } else { sum };
                    }
                }
            }
        });
        Ok(())
    }

    /// `y[t] += bias`.
    pub(super) fn add_bias(&self, bias: &[f32], y: &Rows) -> Result<()> {
        if bias.len() < y.width {
            return Err(Fault::bug(format!("a bias of {} values for rows of {}", bias.len(), y.width)));
        }
        for t in 0..y.rows {
            for (i, b) in bias.iter().enumerate().take(y.width) {
                // SAFETY: row `t` holds `width` values.
                unsafe { *y.row(t).add(i) += b };
            }
        }
        Ok(())
    }

    /// `y = f(first half) * second half` of what `make` writes into rows twice as wide as y's.
    pub(super) fn gated(
        &mut self,
        links: &[Link],
        y: &Rows,
        make: impl FnOnce(&mut Self, &Rows) -> Result<()>,
    ) -> Result<()> {
        let width = 2 * y.width;
        // Not a multiple of a page apart, so that rows do not compete for the same cache sets.
        let stride = width + 16;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize((stride * y.rows).max(scratch.len()), 0.0);
        let both = Rows::new(&mut scratch, y.rows, stride)?.columns(0, width)?;
        let result = make(self, &both)
            .and_then(|()| self.chain(links, &[both.columns(0, y.width)?, both.columns(y.width, y.width)?], y));
        self.scratch = scratch;
        result
    }

    /// Rotates each head of each row in place; `turns[t]` holds cosine and sine of each pair.
    pub(super) fn rope(&self, rope: &Rope, turns: &[f32], x: &Rows) -> Result<()> {
        let (half, head) = (rope.dims as usize / 2, rope.head_dim as usize);
        if turns.len() < x.rows * half * 2 || head < 2 * half || head == 0 || x.width % head != 0 {
            return Err(Fault::bug(format!("{half} rotated pairs in heads of {head} of rows of {}", x.width)));
        }
        self.split(x.rows, x.width * 2, &|rows, _| {
            for t in rows {
                let angles = turns[t * half * 2..][..half * 2].as_chunks::<2>().0;
                for at in (0..x.width).step_by(head) {
                    // SAFETY: the head lies in row `t`, which is this task's alone, and pairs lie in the head.
                    let values = unsafe { std::slice::from_raw_parts_mut(x.row(t).add(at), 2 * half) };
                    match rope.pairing {
                        Pairing::Halves => {
                            let (first, second) = values.split_at_mut(half);
                            for ((a, b), [cos, sin]) in first.iter_mut().zip(second).zip(angles) {
                                (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                            }
                        }
                        Pairing::Interleaved => {
                            for ([a, b], [cos, sin]) in values.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                                (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                            }
                        }
                    }
                }
            }
        });
        Ok(())
    }

    /// Attention of each row to the rows that it sees.
    pub(super) fn attention(
        &self,
        a: &Attention,
        strides: [usize; 2],
        q: &Rows,
        seen: &[Seen],
        bias: Option<&[f32]>,
        sinks: Option<&[f32]>,
        y: &Rows,
    ) -> Result<()> {
        if sinks.is_some_and(|s| s.len() < a.heads as usize) {
            return Err(Fault::bug(format!("sinks of {} heads expected", a.heads)));
        }
        let (heads, dim, value_dim) = (a.heads as usize, a.head_dim as usize, a.value_dim as usize);
        let shared = heads / (a.kv_heads as usize).max(1);
        if q.width != heads * dim || y.width != heads * value_dim || seen.len() < q.rows || q.rows != y.rows {
            return Err(Fault::bug(format!("{heads} heads of {dim} in rows of {} and {}", q.width, y.width)));
        }
        let reach = a.reach.unwrap_or(0) as usize;
        if bias.is_some_and(|b| b.len() < (2 * reach + 1) * heads) {
            return Err(Fault::bug(format!("a bias of {heads} heads for distances up to {reach} is too short")));
        }
        let most = seen.iter().map(|s| s.rows).max().unwrap_or(0);
        self.split(q.rows * heads, most * dim * 2, &|items, own| {
            let mut segments = Vec::new();
            for item in items {
                let (t, head) = (item / heads, item % heads);
                let kv = head / shared;
                segments.clear();
                // SAFETY: segments hold the key heads and value heads of whole rows; row `t`'s head of `y` is this task's alone.
                unsafe {
                    segments.extend(seen[t].segments.iter().map(|s| Segment {
                        k: s.k.add(kv * dim),
                        v: s.v.add(kv * value_dim),
                        rows: s.rows,
                    }));
                    let head_at = Head {
                        q: q.row(t).add(head * dim),
                        dim,
                        value_dim,
                        segments: &segments,
                        strides,
                        scale: a.scale,
                        soft_cap: a.soft_cap,
                        bias: bias.map(|table| Bias { table, distance: seen[t].distance, reach, heads, head }),
                        slope: a.slope(head as u32) as f32,
                        distance: seen[t].distance as f32,
                        sink: sinks.map(|s| s[head]),
                    };
                    (self.kernels.attend)(&head_at, &mut own.scores, y.row(t).add(head * value_dim));
                }
            }
        });
        Ok(())
    }

    /// Splits `items` of about `cost` multiply-adds each over the threads, several pieces for each.
    pub(super) fn split(&self, items: usize, cost: usize, work: &(dyn Fn(std::ops::Range<usize>, &mut Own) + Sync)) {
        let least = WORTH_SPLITTING.div_ceil(cost.max(1));
        let piece = items.div_ceil(self.pool.threads() * 4).max(least).max(1).next_multiple_of(4).min(items.max(1));
        let piece = if self.pool.threads() == 1 { items.max(1) } else { piece };
        self.pool.run(items.div_ceil(piece), &|task, worker| {
            let range = task * piece..items.min((task + 1) * piece);
            // Never contended: a worker's number is its own.
            let mut own = self.own[worker].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            work(range, &mut own);
        });
    }
}

/// Some of its rows.
fn part(whole: &Linear, rows: std::ops::Range<usize>) -> Linear {
    // SAFETY: the rows are among the whole's.
    let (w, y) = unsafe { (whole.w.add(rows.start * whole.row_bytes), whole.y.add(rows.start)) };
    Linear { w, y, rows: rows.len(), ..*whole }
}
