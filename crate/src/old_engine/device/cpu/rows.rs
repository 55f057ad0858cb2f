//! Norm, attention and gated activation over [`Lanes`], one row (token) or head at a time.

use super::lanes::{Lanes, exp};

/// `sum of a[i] * b[i]`.
///
/// # Safety
/// Both hold `len` values; the processor has the lanes' instructions.
#[inline(always)]
unsafe fn dot<L: Lanes>(a: *const f32, b: *const f32, len: usize) -> f32 {
    // SAFETY: as the caller's.
    unsafe {
        let (mut acc, mut acc2) = (L::splat(0.0), L::splat(0.0));
        let mut i = 0;
        while i + 2 * L::N <= len {
            acc = L::fma(L::load(a.add(i)), L::load(b.add(i)), acc);
            acc2 = L::fma(L::load(a.add(i + L::N)), L::load(b.add(i + L::N)), acc2);
            i += 2 * L::N;
        }
        while i + L::N <= len {
            acc = L::fma(L::load(a.add(i)), L::load(b.add(i)), acc);
            i += L::N;
        }
        let mut sum = L::sum(L::add(acc, acc2));
        while i < len {
            sum += *a.add(i) * *b.add(i);
            i += 1;
        }
        sum
    }
}

/// `y[i] += scale * x[i]`.
///
/// # Safety
/// As [`dot`].
#[inline(always)]
unsafe fn add_scaled<L: Lanes>(scale: f32, x: *const f32, y: *mut f32, len: usize) {
    // SAFETY: as the caller's.
    unsafe {
        let mut i = 0;
        while i + L::N <= len {
            L::store(y.add(i), L::fma(L::splat(scale), L::load(x.add(i)), L::load(y.add(i))));
            i += L::N;
        }
        while i < len {
            *y.add(i) += scale * *x.add(i);
            i += 1;
        }
    }
}

/// One row's root-mean-square norm; the mean is taken in f32 lanes, the root in f64.
///
/// # Safety
/// The processor has the lanes' instructions. The slices are of equal length.
#[inline(always)]
pub(super) unsafe fn rms_norm<L: Lanes>(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    let len = x.len().min(weight.len()).min(y.len());
    // SAFETY: `len` is within all three.
    unsafe {
        let square = f64::from(dot::<L>(x.as_ptr(), x.as_ptr(), len));
        let scale = (1.0 / (square / len as f64 + f64::from(eps)).sqrt()) as f32;
        let (x, w, y) = (x.as_ptr(), weight.as_ptr(), y.as_mut_ptr());
        let mut i = 0;
        while i + L::N <= len {
            L::store(y.add(i), L::mul(L::mul(L::load(x.add(i)), L::splat(scale)), L::load(w.add(i))));
            i += L::N;
        }
        while i < len {
            *y.add(i) = *x.add(i) * scale * *w.add(i);
            i += 1;
        }
    }
}

/// `y = gate / (1 + exp(-gate)) * up`.
///
/// # Safety
/// The processor has the lanes' instructions.
#[inline(always)]
pub(super) unsafe fn silu_mul<L: Lanes>(gate: &[f32], up: &[f32], y: &mut [f32]) {
    let len = gate.len().min(up.len()).min(y.len());
    // SAFETY: `len` is within all three.
    unsafe {
        let mut i = 0;
        while i + L::N <= len {
            let g = L::load(gate.as_ptr().add(i));
            let e = exp::<L>(L::sub(L::splat(0.0), g));
            let value = L::mul(L::div(g, L::add(L::splat(1.0), e)), L::load(up.as_ptr().add(i)));
            L::store(y.as_mut_ptr().add(i), value);
            i += L::N;
        }
        for i in i..len {
            y[i] = gate[i] / (1.0 + (-gate[i]).exp()) * up[i];
        }
    }
}

/// One query head over the first `seen` rows of its keys and values.
pub(super) struct Head<'a> {
    pub(super) q: &'a [f32],
    /// Keys from this head's first value on; rows are `stride` apart.
    pub(super) k: &'a [f32],
    pub(super) v: &'a [f32],
    pub(super) stride: usize,
    pub(super) seen: usize,
    pub(super) scale: f32,
}

/// Softmax of the scaled scores times the values; `scores` has room for `seen` values and a vector more.
///
/// # Safety
/// The processor has the lanes' instructions; keys and values hold `seen` rows.
#[inline(always)]
pub(super) unsafe fn attend<L: Lanes>(h: &Head<'_>, scores: &mut Vec<f32>, y: &mut [f32]) {
    let dim = h.q.len();
    let padded = h.seen.div_ceil(L::N) * L::N;
    // Padding scores vanish in the softmax: exp(-inf) is clamped to e^-87.
    scores.clear();
    scores.resize(padded, f32::NEG_INFINITY);
    let mut top = f32::NEG_INFINITY;
    for (pos, score) in scores.iter_mut().take(h.seen).enumerate() {
        // SAFETY: row `pos` of the keys holds `dim` values from here.
        *score = unsafe { dot::<L>(h.q.as_ptr(), h.k.as_ptr().add(pos * h.stride), dim) } * h.scale;
        top = top.max(*score);
    }
    for at in (0..padded).step_by(L::N) {
        // SAFETY: `padded` is a multiple of N.
        unsafe {
            let p = scores.as_mut_ptr().add(at);
            L::store(p, exp::<L>(L::sub(L::load(p), L::splat(top))));
        }
    }
    let total: f64 = scores.iter().take(h.seen).map(|w| f64::from(*w)).sum();
    y.fill(0.0);
    for (pos, weight) in scores.iter().take(h.seen).enumerate() {
        // SAFETY: row `pos` of the values holds `dim` values from here.
        unsafe { add_scaled::<L>(*weight, h.v.as_ptr().add(pos * h.stride), y.as_mut_ptr(), dim.min(y.len())) };
    }
    let scale = (1.0 / total) as f32;
    y.iter_mut().for_each(|y| *y *= scale);
}
