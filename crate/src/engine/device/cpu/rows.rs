//! Norms, attention and elementwise chains over [`Lanes`], one row (token) or head at a time.

use super::lanes::{Lanes, each, exp};
use crate::ir::{Binary, Link, Unary};

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

/// `out[row] = sum of q[i] * rows[row][i]`; four rows at once share the loads of `q`.
///
/// # Safety
/// The processor has the lanes' instructions; `q` and each of `out.len()` rows, `stride` apart, hold `len` values.
#[inline(always)]
unsafe fn dots<L: Lanes>(q: *const f32, rows: *const f32, stride: usize, len: usize, out: &mut [f32]) {
    let whole = len / L::N * L::N;
    let (groups, rest) = out.as_chunks_mut::<4>();
    let grouped = groups.len() * 4;
    for (group, out) in groups.iter_mut().enumerate() {
        // SAFETY: as the caller's.
        unsafe {
            let at = rows.add(group * 4 * stride);
            let mut acc = [L::splat(0.0); 4];
            for i in (0..whole).step_by(L::N) {
                let x = L::load(q.add(i));
                each!(r < 4 => { acc[r] = L::fma(x, L::load(at.add(r * stride + i)), acc[r]); });
            }
            each!(r < 4 => {
                out[r] = L::sum(acc[r]);
                for i in whole..len {
                    out[r] += *q.add(i) * *at.add(r * stride + i);
                }
            });
        }
    }
    for (row, out) in rest.iter_mut().enumerate() {
        // SAFETY: as the caller's.
        *out = unsafe { dot::<L>(q, rows.add((grouped + row) * stride), len) };
    }
}

/// `y[i] += sum of weights[row] * rows[row][i]`; four rows at once share the loads and stores of `y`.
///
/// # Safety
/// As [`dots`].
#[inline(always)]
unsafe fn add_rows<L: Lanes>(weights: &[f32], rows: *const f32, stride: usize, len: usize, y: *mut f32) {
    let whole = len / L::N * L::N;
    let (groups, rest) = weights.as_chunks::<4>();
    for (group, w) in groups.iter().enumerate() {
        // SAFETY: as the caller's.
        unsafe {
            let at = rows.add(group * 4 * stride);
            for i in (0..whole).step_by(L::N) {
                let mut sum = L::load(y.add(i));
                each!(r < 4 => { sum = L::fma(L::splat(w[r]), L::load(at.add(r * stride + i)), sum); });
                L::store(y.add(i), sum);
            }
            for i in whole..len {
                for (r, w) in w.iter().enumerate() {
                    *y.add(i) += w * *at.add(r * stride + i);
                }
            }
        }
    }
    for (row, weight) in rest.iter().enumerate() {
        // SAFETY: as the caller's.
        unsafe { add_scaled::<L>(*weight, rows.add((groups.len() * 4 + row) * stride), y, len) };
    }
}

/// One group's root-mean-square norm; the mean is taken in f32 lanes, the root in f64. `y` may be `x`.
///
/// # Safety
/// The processor has the lanes' instructions. All three hold `len` values.
#[inline(always)]
pub(super) unsafe fn rms_norm<L: Lanes>(x: *const f32, w: *const f32, eps: f32, len: usize, y: *mut f32) {
    // SAFETY: as the caller's.
    unsafe {
        let square = f64::from(dot::<L>(x, x, len));
        let scale = (1.0 / (square / len as f64 + f64::from(eps)).sqrt()) as f32;
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

/// One row less its mean over its standard deviation, times the weight, plus the bias (`null`: none). `y` may be `x`.
///
/// # Safety
/// The processor has the lanes' instructions. All hold `len` values.
#[inline(always)]
pub(super) unsafe fn layer_norm<L: Lanes>(
    x: *const f32,
    w: *const f32,
    bias: *const f32,
    eps: f32,
    len: usize,
    y: *mut f32,
) {
    // SAFETY: as the caller's.
    unsafe {
        let whole = len / L::N * L::N;
        let mut sum = L::splat(0.0);
        for i in (0..whole).step_by(L::N) {
            sum = L::add(sum, L::load(x.add(i)));
        }
        let mut total = f64::from(L::sum(sum));
        for i in whole..len {
            total += f64::from(*x.add(i));
        }
        let mean = (total / len as f64) as f32;
        let mut squares = L::splat(0.0);
        for i in (0..whole).step_by(L::N) {
            let d = L::sub(L::load(x.add(i)), L::splat(mean));
            squares = L::fma(d, d, squares);
        }
        let mut total = f64::from(L::sum(squares));
        for i in whole..len {
            total += f64::from(*x.add(i) - mean).powi(2);
        }
        let scale = (1.0 / (total / len as f64 + f64::from(eps)).sqrt()) as f32;
        for i in (0..whole).step_by(L::N) {
            let d = L::mul(L::sub(L::load(x.add(i)), L::splat(mean)), L::splat(scale));
            let b = if bias.is_null() { L::splat(0.0) } else { L::load(bias.add(i)) };
            L::store(y.add(i), L::fma(d, L::load(w.add(i)), b));
        }
        for i in whole..len {
            let b = if bias.is_null() { 0.0 } else { *bias.add(i) };
            *y.add(i) = (*x.add(i) - mean) * scale * *w.add(i) + b;
        }
    }
}

/// An input of a chain for one row: its values, or one value for all.
#[derive(Clone, Copy)]
pub(super) struct ChainInput {
    pub(super) values: *const f32,
    /// One value is repeated along the row.
    pub(super) repeated: bool,
}

/// Values that a chain works on at a time: each operation runs over all of them before the next one.
const CHAIN_BLOCK: usize = 256;

/// Unary and binary operations one after the other on each of `len` values. `y` may be any of the inputs.
///
/// # Safety
/// The processor has the lanes' instructions. Inputs that are not repeated, and `y`, hold `len` values; links name inputs that exist.
#[inline(always)]
pub(super) unsafe fn chain<L: Lanes>(links: &[Link], inputs: &[ChainInput], len: usize, y: *mut f32) {
    // Room for a vector more: the last one of a row reads beyond its values, which are never stored.
    let (mut x, mut other) = ([0f32; CHAIN_BLOCK + 16], [0f32; CHAIN_BLOCK + 16]);
    for from in (0..len).step_by(CHAIN_BLOCK) {
        let n = CHAIN_BLOCK.min(len - from);
        // Whole vectors are read and written where they lie; others go through the arrays.
        let whole = n % L::N == 0;
        // SAFETY: as the caller's; blocks end before `len`, and the arrays hold a block and a vector.
        unsafe {
            let mut at = x.as_ptr();
            if whole && !inputs[0].repeated {
                at = inputs[0].values.add(from);
            } else {
                copy_input(&inputs[0], from, n, x.as_mut_ptr());
            }
            for (i, link) in links.iter().enumerate() {
                let to = if whole && i + 1 == links.len() { y.add(from) } else { x.as_mut_ptr() };
                match *link {
                    Link::Unary(f) => unary_block::<L>(f, n, at, to),
                    Link::Binary(f, i) | Link::Reversed(f, i) => {
                        let input = &inputs[i as usize];
                        let b = if whole && !input.repeated {
                            input.values.add(from)
                        } else {
                            copy_input(input, from, n, other.as_mut_ptr());
                            other.as_ptr()
                        };
                        binary_block::<L>(f, matches!(link, Link::Reversed(..)), n, [at, b], to);
                    }
                }
                at = to;
            }
            if !std::ptr::eq(at, y.add(from)) {
                std::ptr::copy(at, y.add(from), n);
            }
        }
    }
}

/// Values `from .. from + n` of an input.
#[inline(always)]
unsafe fn copy_input(input: &ChainInput, from: usize, n: usize, to: *mut f32) {
    // SAFETY: the input holds the values, `to` has room for a block.
    unsafe {
        if input.repeated {
            std::slice::from_raw_parts_mut(to, n).fill(*input.values);
        } else {
            std::ptr::copy_nonoverlapping(input.values.add(from), to, n);
        }
    }
}

/// `to = f(x)` for whole vectors that cover `n` values; the function is chosen once. `to` may be `x`.
#[inline(always)]
unsafe fn unary_block<L: Lanes>(f: Unary, n: usize, x: *const f32, to: *mut f32) {
    macro_rules! each_vector {
        ($($pattern:pat),* $(,)?) => {
            match f {
                $($pattern => {
                    for i in (0..n).step_by(L::N) {
                        // SAFETY: both hold the vectors.
                        unsafe { L::store(to.add(i), unary::<L>(f, L::load(x.add(i)))) };
                    }
                })*
                _ => {
                    for i in (0..n).step_by(L::N) {
                        // SAFETY: as above.
                        unsafe { L::store(to.add(i), unary::<L>(f, L::load(x.add(i)))) };
                    }
                }
            }
        };
    }
    // The hot functions get loops of their own, in which the choice is constant.
    each_vector!(Unary::Silu, Unary::Gelu, Unary::GeluTanh, Unary::Scale(_));
}

/// `to = f(a, b)`, or `f(b, a)`, for whole vectors that cover `n` values. `to` may be either.
#[inline(always)]
unsafe fn binary_block<L: Lanes>(f: Binary, reversed: bool, n: usize, [a, b]: [*const f32; 2], to: *mut f32) {
    macro_rules! each_vector {
        ($($pattern:pat),* $(,)?) => {
            match (f, reversed) {
                $($pattern => {
                    for i in (0..n).step_by(L::N) {
                        // SAFETY: all hold the vectors.
                        unsafe { L::store(to.add(i), binary::<L>(f, L::load(a.add(i)), L::load(b.add(i)))) };
                    }
                })*
                _ => {
                    for i in (0..n).step_by(L::N) {
                        // SAFETY: as above.
                        unsafe {
                            let (a_i, b_i) = (L::load(a.add(i)), L::load(b.add(i)));
                            let value = if reversed { binary::<L>(f, b_i, a_i) } else { binary::<L>(f, a_i, b_i) };
                            L::store(to.add(i), value);
                        }
                    }
                }
            }
        };
    }
    each_vector!((Binary::Mul, false), (Binary::Add, false));
}

#[inline(always)]
unsafe fn binary<L: Lanes>(f: Binary, a: L::F, b: L::F) -> L::F {
    // SAFETY: as the caller's.
    unsafe {
        match f {
            Binary::Add => L::add(a, b),
            Binary::Sub => L::sub(a, b),
            Binary::Mul => L::mul(a, b),
            Binary::Div => L::div(a, b),
            Binary::Max => L::max(a, b),
            Binary::Min => L::min(a, b),
            Binary::Pow => by_value::<L>(a, b, |a, b| a.powf(b)),
        }
    }
}

/// Rare functions: one value after the other.
#[inline(always)]
unsafe fn by_value<L: Lanes>(a: L::F, b: L::F, f: impl Fn(f32, f32) -> f32) -> L::F {
    let (mut x, mut y) = ([0f32; 16], [0f32; 16]);
    // SAFETY: vectors have at most 16 lanes.
    unsafe {
        L::store(x.as_mut_ptr(), a);
        L::store(y.as_mut_ptr(), b);
        for (x, y) in x.iter_mut().zip(y) {
            *x = f(*x, y);
        }
        L::load(x.as_ptr())
    }
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
unsafe fn sigmoid<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: as the caller's.
    unsafe {
        let e = exp::<L>(L::sub(L::splat(0.0), x));
        L::div(L::splat(1.0), L::add(L::splat(1.0), e))
    }
}

/// `2 sigmoid(2 x) - 1`, which loses digits near 0 only where they do not count beside 1: used inside sums with 1.
#[inline(always)]
unsafe fn tanh<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: as the caller's.
    unsafe { L::sub(L::mul(L::splat(2.0), sigmoid::<L>(L::mul(L::splat(2.0), x))), L::splat(1.0)) }
}

/// The error function to 1.5e-7 (Abramowitz and Stegun 7.1.26), odd by the sign's bit.
#[inline(always)]
unsafe fn erf<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: as the caller's.
    unsafe {
        let sign = L::and(L::bits(x), L::splat_i(i32::MIN));
        let x = L::max(x, L::sub(L::splat(0.0), x));
        let t = L::div(L::splat(1.0), L::fma(L::splat(0.327_591_1), x, L::splat(1.0)));
        let p = L::fma(L::splat(1.061_405_4), t, L::splat(-1.453_152));
        let p = L::fma(p, t, L::splat(1.421_413_7));
        let p = L::fma(p, t, L::splat(-0.284_496_74));
        let p = L::mul(L::fma(p, t, L::splat(0.254_829_6)), t);
        let e = exp::<L>(L::sub(L::splat(0.0), L::mul(x, x)));
        L::from_bits(L::or(L::bits(L::sub(L::splat(1.0), L::mul(p, e))), sign))
    }
}

#[inline(always)]
unsafe fn unary<L: Lanes>(f: Unary, x: L::F) -> L::F {
    // SAFETY: as the caller's.
    unsafe {
        let zero = L::splat(0.0);
        match f {
            Unary::Scale(s) => L::mul(x, L::splat(s)),
            Unary::Shift(s) => L::add(x, L::splat(s)),
            Unary::SoftCap(s) => by_value::<L>(x, x, |x, _| s * (x / s).tanh()),
            Unary::AtLeast(s) => L::max(x, L::splat(s)),
            Unary::AtMost(s) => L::min(x, L::splat(s)),
            Unary::Neg => L::sub(zero, x),
            Unary::Abs => L::max(x, L::sub(zero, x)),
            Unary::Reciprocal => L::div(L::splat(1.0), x),
            Unary::Square => L::mul(x, x),
            Unary::Sigmoid => sigmoid::<L>(x),
            Unary::Relu => L::max(x, zero),
            Unary::ReluSquared => {
                let x = L::max(x, zero);
                L::mul(x, x)
            }
            Unary::Silu => L::mul(x, sigmoid::<L>(x)),
            Unary::Gelu => {
                let half = L::mul(x, L::splat(0.5));
                L::fma(half, erf::<L>(L::mul(x, L::splat(std::f32::consts::FRAC_1_SQRT_2))), half)
            }
            Unary::GeluTanh => {
                let cube = L::mul(L::mul(x, x), x);
                let inner = L::mul(L::fma(L::splat(0.044_715), cube, x), L::splat(0.797_884_6));
                let half = L::mul(x, L::splat(0.5));
                L::fma(half, tanh::<L>(inner), half)
            }
            Unary::QuickGelu => L::mul(x, sigmoid::<L>(L::mul(x, L::splat(1.702)))),
            Unary::Tanh => by_value::<L>(x, x, |x, _| x.tanh()),
            Unary::Exp => by_value::<L>(x, x, |x, _| x.exp()),
            Unary::Log => by_value::<L>(x, x, |x, _| x.ln()),
            Unary::Sqrt => by_value::<L>(x, x, |x, _| x.sqrt()),
            Unary::Rsqrt => by_value::<L>(x, x, |x, _| 1.0 / x.sqrt()),
            Unary::Erf => erf::<L>(x),
            Unary::Softplus => by_value::<L>(x, x, |x, _| if x > 20.0 { x } else { x.exp().ln_1p() }),
        }
    }
}

/// Rows of keys and values that lie one behind the other.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// The head's first value of the first key row.
    pub(super) k: *const f32,
    /// The same of the values.
    pub(super) v: *const f32,
    /// Number of rows.
    pub(super) rows: usize,
}

/// One query head over the rows it sees.
pub(super) struct Head<'a> {
    pub(super) q: *const f32,
    /// Values of a query or key head.
    pub(super) dim: usize,
    /// Values of a value head.
    pub(super) value_dim: usize,
    pub(super) segments: &'a [Segment],
    /// Values from a key row to the next, and from a value row to the next.
    pub(super) strides: [usize; 2],
    pub(super) scale: f32,
    pub(super) soft_cap: Option<f32>,
    /// What a score loses for each position of distance.
    pub(super) slope: f32,
    /// Distance from the query's position to that of the first row, below 0 for what came before.
    pub(super) distance: f32,
    /// A score that takes part in the softmax and stands for no row.
    pub(super) sink: Option<f32>,
    pub(super) bias: Option<Bias<'a>>,
}

/// What is added to scores by distance: `table[(clamp(distance) + reach) * heads + head]`.
#[derive(Clone, Copy)]
pub(super) struct Bias<'a> {
    /// `(2 * reach + 1) * heads` values.
    pub(super) table: &'a [f32],
    /// Distance of the first row that is seen.
    pub(super) distance: i64,
    pub(super) reach: usize,
    pub(super) heads: usize,
    pub(super) head: usize,
}

impl Bias<'_> {
    /// Adds to each score and gives the largest.
    fn add(&self, scores: &mut [f32]) -> f32 {
        let reach = self.reach as i64;
        let mut top = f32::NEG_INFINITY;
        for (score, distance) in scores.iter_mut().zip(self.distance..) {
            *score += self.table[(distance.clamp(-reach, reach) + reach) as usize * self.heads + self.head];
            top = top.max(*score);
        }
        top
    }
}

/// Softmax of the scaled scores times the values.
///
/// # Safety
/// The processor has the lanes' instructions; `q` holds `dim` values, segments hold their rows, `y` has room for `value_dim`.
#[inline(always)]
pub(super) unsafe fn attend<L: Lanes>(h: &Head<'_>, scores: &mut Vec<f32>, y: *mut f32) {
    let seen: usize = h.segments.iter().map(|s| s.rows).sum();
    let padded = seen.div_ceil(L::N) * L::N;
    // Padding scores vanish in the softmax: exp(-inf) is clamped to e^-87.
    scores.clear();
    scores.resize(padded, f32::NEG_INFINITY);
    let mut top = f32::NEG_INFINITY;
    let mut done = 0;
    for segment in h.segments {
        let scores = &mut scores[done..done + segment.rows];
        // SAFETY: each of the segment's rows holds `dim` values from here.
        unsafe { dots::<L>(h.q, segment.k, h.strides[0], h.dim, scores) };
        for score in scores {
            *score *= h.scale;
            top = top.max(*score);
        }
        done += segment.rows;
    }
    if let Some(cap) = h.soft_cap {
        for score in scores.iter_mut().take(seen) {
            *score = cap * (*score / cap).tanh();
        }
        top = cap * (top / cap).tanh();
    }
    if let Some(bias) = &h.bias {
        top = bias.add(&mut scores[..seen]);
    }
    if h.slope > 0.0 {
        top = f32::NEG_INFINITY;
        for (row, score) in scores.iter_mut().take(seen).enumerate() {
            *score -= h.slope * (h.distance + row as f32).abs();
            top = top.max(*score);
        }
    }
    top = h.sink.map_or(top, |sink| top.max(sink));
    for at in (0..padded).step_by(L::N) {
        // SAFETY: `padded` is a multiple of N.
        unsafe {
            let p = scores.as_mut_ptr().add(at);
            L::store(p, exp::<L>(L::sub(L::load(p), L::splat(top))));
        }
    }
    let sink = h.sink.map_or(0.0, |sink| f64::from((sink - top).exp()));
    let total: f64 = scores.iter().take(seen).map(|w| f64::from(*w)).sum::<f64>() + sink;
    let scale = (1.0 / total) as f32;
    // SAFETY: `y` has room for a value head; rows as above.
    unsafe {
        for i in 0..h.value_dim {
            *y.add(i) = 0.0;
        }
        let mut done = 0;
        for segment in h.segments {
            let weights = &scores[done..done + segment.rows];
            add_rows::<L>(weights, segment.v, h.strides[1], h.value_dim, y);
            done += segment.rows;
        }
        for i in 0..h.value_dim {
            *y.add(i) *= scale;
        }
    }
}
