//! The vectorised twins: checks every length once, then splits the work over the threads.

use std::sync::Mutex;

use super::{
    buffer::{CpuBuffer, WeightRows},
    dispatch::Kernels,
    linear::{Linear, Tile},
    pool::Pool,
    rows::Head,
    scalar::{self, Step, block, first, first_mut},
};
use crate::{
    old_engine::{
        kernel::{AttentionParams, EmbedParams, KernelId, LinearParams, NormParams, WidthParams},
        plan::Slot,
        weights::RUNNABLE,
    },
    fault::{Fault, Result},
};

/// Multiply-adds below which waking another thread costs more than it saves.
const WORTH_SPLITTING: usize = 1 << 16;

/// What one thread needs to itself.
#[derive(Default)]
struct Own {
    tile: Tile,
    scores: Vec<f32>,
}

/// Kernels, threads and their scratch memory.
pub(super) struct Fast {
    kernels: &'static Kernels,
    pool: Pool,
    own: Vec<Mutex<Own>>,
    /// The last mat-mul's input, packed; several mat-muls read the same one.
    packed: Vec<f32>,
    packed_from: Option<Slot>,
}

/// A pointer that tasks may share: they write different places.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: every task writes its own range, and the pool joins before the range is read.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// A task's own range.
    ///
    /// # Safety
    /// The range lies in the buffer and no other task uses it.
    #[allow(clippy::mut_from_ref)]
    unsafe fn range(&self, at: usize, len: usize) -> &mut [f32] {
        // SAFETY: as the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(at), len) }
    }
}

impl Fast {
    pub(super) fn new(kernels: &'static Kernels, threads: usize) -> Self {
        let pool = Pool::new(threads.max(1));
        let own = (0..pool.threads()).map(|_| Mutex::default()).collect();
        Self { kernels, pool, own, packed: Vec::new(), packed_from: None }
    }

    pub(super) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Runs a step; `bind` are the slots behind the buffers.
    pub(super) fn run(
        &mut self,
        kernel: KernelId,
        params: &[u8],
        bind: &[Slot],
        inputs: &[&CpuBuffer],
        outputs: &mut [&mut CpuBuffer],
    ) -> Result<()> {
        let result = match (kernel, inputs, &mut *outputs) {
            (KernelId::Embed, [s, tokens, table], [x]) => {
                self.embed(block(params)?, Step::of(s)?, tokens.u32s()?, &table.weight()?, x.f32s_mut()?)
            }
            (KernelId::RmsNorm, [s, x, w], [y]) => {
                self.rms_norm(block(params)?, Step::of(s)?, x.f32s()?, &w.vector()?, y.f32s_mut()?)
            }
            (KernelId::MatVec, [_, w, x], [y]) if runs(w)? => {
                self.matvec(block(params)?, &w.weight()?, x.f32s()?, y.f32s_mut()?)
            }
            (KernelId::MatMul, [s, w, x], [y]) if runs(w)? => {
                let count = Step::of(s)?.count;
                self.matmul(block(params)?, count, &w.weight()?, (bind[2], x.f32s()?), y.f32s_mut()?)
            }
            (KernelId::Attention, [s, q, k, v], [y]) => {
                self.attention(block(params)?, Step::of(s)?, [q.f32s()?, k.f32s()?, v.f32s()?], y.f32s_mut()?)
            }
            (KernelId::SiluMul, [s, gate, up], [y]) => {
                self.silu_mul(block(params)?, Step::of(s)?, gate.f32s()?, up.f32s()?, y.f32s_mut()?)
            }
            _ => scalar::run(kernel, params, inputs, outputs),
        };
        // Whatever was written is no longer what was packed; so is everything once a step advances.
        let written = &bind[bind.len() - kernel.outputs().min(bind.len())..];
        if self.packed_from.is_some_and(|slot| written.contains(&slot)) || kernel == KernelId::Embed {
            self.packed_from = None;
        }
        result
    }

    fn embed(&self, p: EmbedParams, s: Step, tokens: &[u32], table: &WeightRows, x: &mut [f32]) -> Result<()> {
        let width = p.width as usize;
        let tokens = first(tokens, s.count, "tokens")?;
        let x = first_mut(x, s.count * width, "x")?;
        for (id, out) in tokens.iter().zip(x.chunks_exact_mut(width)) {
            let Some(row) = id.checked_sub(p.first_row).filter(|r| *r < p.rows) else { continue };
            if RUNNABLE.contains(&table.encoding) && table.row_len == width {
                let row = table.row(row as usize)?;
                // SAFETY: the row holds `width` values in whole blocks; the table was offered for this processor.
                unsafe { (self.kernels.decode)(table.encoding, row.as_ptr(), 0, width, out.as_mut_ptr()) };
            } else {
                out.copy_from_slice(first(&table.decode_row(row as usize)?, width, "embedding row")?);
            }
            if p.scale != 1.0 {
                out.iter_mut().for_each(|v| *v *= p.scale);
            }
        }
        Ok(())
    }

    fn rms_norm(&self, p: NormParams, s: Step, x: &[f32], weight: &[f32], y: &mut [f32]) -> Result<()> {
        let width = p.width as usize;
        let weight = first(weight, width, "norm weight")?;
        let x = first(x, s.count * width, "x")?;
        let y = Shared(first_mut(y, s.count * width, "y")?.as_mut_ptr());
        self.split(s.count, width * 4, &|rows, _| {
            for t in rows {
                // SAFETY: row `t` of both lies within the lengths checked above.
                unsafe {
                    (self.kernels.rms_norm)(&x[t * width..][..width], weight, p.eps, y.range(t * width, width));
                }
            }
        });
        Ok(())
    }

    fn silu_mul(&self, p: WidthParams, s: Step, gate: &[f32], up: &[f32], y: &mut [f32]) -> Result<()> {
        let width = p.width as usize;
        let (gate, up) = (first(gate, s.count * width, "gate")?, first(up, s.count * width, "up")?);
        let y = Shared(first_mut(y, s.count * width, "y")?.as_mut_ptr());
        self.split(s.count, width * 16, &|rows, _| {
            for at in rows.map(|t| t * width) {
                // SAFETY: the row lies within the lengths checked above.
                unsafe { (self.kernels.silu_mul)(&gate[at..][..width], &up[at..][..width], y.range(at, width)) };
            }
        });
        Ok(())
    }

    fn attention(&self, p: AttentionParams, s: Step, [q, k, v]: [&[f32]; 3], y: &mut [f32]) -> Result<()> {
        let (heads, kv_heads, dim) = (p.heads as usize, p.kv_heads as usize, p.head_dim as usize);
        let (width, stride) = (heads * dim, kv_heads * dim);
        let q = first(q, s.count * width, "q")?;
        let k = first(k, (s.pos + s.count) * stride, "key cache")?;
        let v = first(v, (s.pos + s.count) * stride, "value cache")?;
        let y = Shared(first_mut(y, s.count * width, "y")?.as_mut_ptr());
        if kv_heads == 0 || heads % kv_heads != 0 {
            return Err(Fault::bug(format!("{heads} query heads over {kv_heads} key heads")));
        }
        self.split(s.count * heads, (s.pos + s.count) * dim * 2, &|items, own| {
            for item in items {
                let (t, head) = (item / heads, item % heads);
                let at = head / (heads / kv_heads) * dim;
                let (k, v) = (&k[at..], &v[at..]);
                let q = &q[item * dim..][..dim];
                let head = Head { q, k, v, stride, seen: s.pos + t + 1, scale: p.scale };
                // SAFETY: the caches hold `pos + count` rows; item `item` of `y` is this task's alone.
                unsafe { (self.kernels.attend)(&head, &mut own.scores, y.range(item * dim, dim)) };
            }
        });
        Ok(())
    }

    fn matvec(&self, p: LinearParams, w: &WeightRows, x: &[f32], y: &mut [f32]) -> Result<()> {
        let whole = linear(p, 1, w, x, y)?;
        self.split(whole.rows, whole.k, &|rows, _| {
            // SAFETY: the rows lie within the lengths that `linear` checked; the table was offered for this processor.
            unsafe { (self.kernels.matvec)(&part(&whole, rows)) };
        });
        Ok(())
    }

    fn matmul(
        &mut self,
        p: LinearParams,
        count: usize,
        w: &WeightRows,
        (slot, x): (Slot, &[f32]),
        y: &mut [f32],
    ) -> Result<()> {
        let mut whole = linear(p, count, w, x, y)?;
        let k = whole.k;
        if self.packed_from != Some(slot) {
            let len = (self.kernels.packed_len)(k, count);
            self.packed.resize(len.max(self.packed.len()), 0.0);
            let (from, to, panel) = (whole, Shared(self.packed.as_mut_ptr()), self.kernels.panel);
            self.split(count.div_ceil(panel), panel * k, &|panels, _| {
                let (from, to) = (&from, &to);
                let (at, end) = (panels.start * panel, count.min(panels.end * panel));
                // SAFETY: panels before `at` take `at * k` values; `x` holds `count` rows.
                unsafe { (self.kernels.pack)(from.x.add(at * k), k, end - at, to.0.add(at * k)) };
            });
            self.packed_from = Some(slot);
        }
        whole.x = self.packed.as_ptr();
        let tiles = whole.rows.div_ceil(self.kernels.tile_rows);
        self.split(tiles, self.kernels.tile_rows * k * count, &|tiles, own| {
            let rows = tiles.start * self.kernels.tile_rows..whole.rows.min(tiles.end * self.kernels.tile_rows);
            // SAFETY: as in `matvec`; `packed` holds `packed_len` values.
            unsafe { (self.kernels.matmul)(&part(&whole, rows), &mut own.tile) };
        });
        Ok(())
    }

    /// Splits `items` of about `cost` multiply-adds each over the threads, several pieces for each.
    fn split(&self, items: usize, cost: usize, work: &(dyn Fn(std::ops::Range<usize>, &mut Own) + Sync)) {
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

/// Whether the weight's encoding has vector kernels.
fn runs(w: &CpuBuffer) -> Result<bool> {
    Ok(RUNNABLE.contains(&w.weight()?.encoding))
}

/// The whole of a linear step, its lengths checked.
fn linear(p: LinearParams, count: usize, w: &WeightRows, x: &[f32], y: &mut [f32]) -> Result<Linear> {
    let (k, rows, stride, at) = (p.k as usize, p.rows as usize, p.y_stride as usize, p.first_row as usize);
    let x = first(x, count * k, "x")?;
    let y = first_mut(y, count * stride, "y")?;
    if w.row_len != k || w.rows < rows || at + rows > stride || count == 0 {
        return Err(Fault::bug(format!(
            "{rows} rows of {k} values at {at} of {stride} for {count} tokens, the weight has {} rows of {}",
            w.rows, w.row_len
        )));
    }
    Ok(Linear {
        encoding: w.encoding,
        w: w.bytes.as_ptr(),
        row_bytes: w.row_bytes,
        rows,
        k,
        x: x.as_ptr(),
        count,
        // SAFETY: `at` is within an output row.
        y: unsafe { y.as_mut_ptr().add(at) },
        y_stride: stride,
        accumulate: p.accumulate == 1,
    })
}

/// Some of its rows.
fn part(whole: &Linear, rows: std::ops::Range<usize>) -> Linear {
    // SAFETY: the rows are among the whole's.
    let (w, y) = unsafe { (whole.w.add(rows.start * whole.row_bytes), whole.y.add(rows.start)) };
    Linear { w, y, rows: rows.len(), ..*whole }
}
