//! Columns of recurrent states over [`Lanes`]: one value of a result, for all rows of a sequence in a step.

use super::lanes::{Lanes, exp};

/// Values of a row after the other: the first one's place, and values from a row to the next.
#[derive(Clone, Copy)]
pub(super) struct Along {
    pub(super) at: *const f32,
    pub(super) stride: usize,
}

impl Along {
    /// # Safety
    /// Row `t` exists.
    #[inline(always)]
    unsafe fn row(self, t: usize) -> *const f32 {
        // SAFETY: as the caller's.
        unsafe { self.at.add(t * self.stride) }
    }
}

/// One column of a state: `size` values, and where its results go.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) state: *mut f32,
    pub(super) size: usize,
    pub(super) rows: usize,
    pub(super) y: *mut f32,
    pub(super) y_stride: usize,
}

/// A channel of a selective scan.
pub(super) struct ScanColumn {
    pub(super) column: Column,
    pub(super) x: Along,
    pub(super) dt: Along,
    pub(super) b: Along,
    pub(super) c: Along,
    /// A: `size` values, or one for all.
    pub(super) rate: *const f32,
    pub(super) full: bool,
    pub(super) skip: f32,
}

/// A value of a gated delta rule.
pub(super) struct DeltaColumn {
    pub(super) column: Column,
    pub(super) q: Along,
    pub(super) k: Along,
    pub(super) v: Along,
    pub(super) decay: Along,
    pub(super) beta: Along,
}

/// A value of RWKV 5 and 6.
pub(super) struct WkvColumn {
    pub(super) column: Column,
    pub(super) r: Along,
    pub(super) k: Along,
    pub(super) v: Along,
    pub(super) w: Along,
    pub(super) u: *const f32,
}

/// # Safety
/// The processor has the lanes' instructions. All rows exist; those of b, c and the rate hold `size` values.
#[inline(always)]
pub(super) unsafe fn scan<L: Lanes>(s: &ScanColumn) {
    let Column { state, size, rows, y, y_stride } = s.column;
    // SAFETY: as the caller's.
    unsafe {
        for t in 0..rows {
            let (x, dt, b, c) = (*s.x.row(t), *s.dt.row(t), s.b.row(t), s.c.row(t));
            let input = dt * x;
            let keep = if s.full { 1.0 } else { (dt * *s.rate).exp() };
            let mut acc = L::splat(0.0);
            let mut i = 0;
            while i + L::N <= size {
                let keep = match s.full {
                    true => exp::<L>(L::mul(L::splat(dt), L::load(s.rate.add(i)))),
                    false => L::splat(keep),
                };
                let new = L::mul(L::splat(input), L::load(b.add(i)));
                let now = L::fma(L::load(state.add(i)), keep, new);
                L::store(state.add(i), now);
                acc = L::fma(now, L::load(c.add(i)), acc);
                i += L::N;
            }
            let mut sum = L::sum(acc);
            while i < size {
                let keep = if s.full { (dt * *s.rate.add(i)).exp() } else { keep };
                let now = *state.add(i) * keep + input * *b.add(i);
                *state.add(i) = now;
                sum += now * *c.add(i);
                i += 1;
            }
            *y.add(t * y_stride) = sum + s.skip * x;
        }
    }
}

/// # Safety
/// The processor has the lanes' instructions. All rows exist; those of q and k hold `size` values.
#[inline(always)]
pub(super) unsafe fn delta<L: Lanes>(d: &DeltaColumn) {
    let Column { state, size, rows, y, y_stride } = d.column;
    // SAFETY: as the caller's.
    unsafe {
        for t in 0..rows {
            let (q, k) = (d.q.row(t), d.k.row(t));
            let keep = (*d.decay.row(t)).exp();
            let mut acc = L::splat(0.0);
            let mut i = 0;
            while i + L::N <= size {
                let now = L::mul(L::load(state.add(i)), L::splat(keep));
                L::store(state.add(i), now);
                acc = L::fma(now, L::load(k.add(i)), acc);
                i += L::N;
            }
            let mut known = L::sum(acc);
            while i < size {
                *state.add(i) *= keep;
                known += *state.add(i) * *k.add(i);
                i += 1;
            }
            let new = *d.beta.row(t) * (*d.v.row(t) - known);
            let mut acc = L::splat(0.0);
            let mut i = 0;
            while i + L::N <= size {
                let now = L::fma(L::load(k.add(i)), L::splat(new), L::load(state.add(i)));
                L::store(state.add(i), now);
                acc = L::fma(now, L::load(q.add(i)), acc);
                i += L::N;
            }
            let mut sum = L::sum(acc);
            while i < size {
                *state.add(i) += *k.add(i) * new;
                sum += *state.add(i) * *q.add(i);
                i += 1;
            }
            *y.add(t * y_stride) = sum;
        }
    }
}

/// # Safety
/// The processor has the lanes' instructions. All rows exist; those of r, k, w and u hold `size` values.
#[inline(always)]
pub(super) unsafe fn wkv<L: Lanes>(c: &WkvColumn) {
    let Column { state, size, rows, y, y_stride } = c.column;
    // SAFETY: as the caller's.
    unsafe {
        for t in 0..rows {
            let (r, k, w, v) = (c.r.row(t), c.k.row(t), c.w.row(t), *c.v.row(t));
            let mut acc = L::splat(0.0);
            let mut i = 0;
            while i + L::N <= size {
                let new = L::mul(L::load(k.add(i)), L::splat(v));
                let before = L::load(state.add(i));
                acc = L::fma(L::load(r.add(i)), L::fma(L::load(c.u.add(i)), new, before), acc);
                L::store(state.add(i), L::fma(before, L::load(w.add(i)), new));
                i += L::N;
            }
            let mut sum = L::sum(acc);
            while i < size {
                let new = *k.add(i) * v;
                sum += *r.add(i) * (*state.add(i) + *c.u.add(i) * new);
                *state.add(i) = *state.add(i) * *w.add(i) + new;
                i += 1;
            }
            *y.add(t * y_stride) = sum;
        }
    }
}
