//! Mat-vec in whole numbers: blocks of a weight row times activations that were rounded to 8 bits by block.
//!
//! Activations are rounded as ggml does it for its own (Q8_0 beside encodings of 32 weights, Q8_K beside those of 256),
//! with scales in f32. Products and sums within a block are exact, so only the order of a row's blocks differs
//! between instruction sets.

use super::{
    bytes::{Bytes, Dots},
    lanes::{Lanes, each},
    lattice::{Iq1S, Iq2S, Iq2Xs, Iq2Xxs, Iq3S, Iq3Xxs},
    linear::{AHEAD, Linear, finish},
    whole::{Iq4Nl, Iq4Xs, Mxfp4, Q1_0, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0, Small, Super, Tq2_0},
};
use crate::tensor::Encoding;

/// Activations of a block beside encodings of 256 weights.
const LONG: usize = 256;
/// Activations of a block beside the others.
const SHORT: usize = 32;
/// Activations whose sum is kept beside encodings of 256 weights.
const RUN: usize = 16;

/// Calls a generic function with the type of an encoding: one of floating scales, or one of 256 weights.
macro_rules! by_encoding {
    ($encoding:expr, $E:ident => small $small:expr, large $large:expr, else $none:expr) => {
        by_encoding!(@ $encoding, $E, $none,
            $small => [Q8_0 Q8_0, Q4_0 Q4_0, Q4_1 Q4_1, Q5_0 Q5_0, Q5_1 Q5_1, IQ4_NL Iq4Nl, MXFP4 Mxfp4, Q1_0 Q1_0],
            $large => [Q2_K Q2K, Q3_K Q3K, Q4_K Q4K, Q5_K Q5K, Q6_K Q6K, IQ4_XS Iq4Xs, TQ2_0 Tq2_0,
                IQ1_S Iq1S, IQ2_XXS Iq2Xxs, IQ2_XS Iq2Xs, IQ2_S Iq2S, IQ3_XXS Iq3Xxs, IQ3_S Iq3S])
    };
    (@ $encoding:expr, $E:ident, $none:expr, $($value:expr => [$($name:ident $B:ty),*]),*) => {
        match $encoding {
            $($(Encoding::$name => {
                type $E = $B;
                $value
            })*)*
            _ => $none,
        }
    };
}

/// Activations that share a scale beside an encoding; `None`: there is no kernel in whole numbers for it.
pub(super) fn block_of(encoding: Encoding) -> Option<usize> {
    by_encoding!(encoding, _E => small Some(SHORT), large Some(LONG), else None)
}

/// A row of activations in whole numbers.
#[derive(Default)]
pub(super) struct Levels {
    /// The numbers.
    quants: Vec<i8>,
    /// A scale for each block.
    scales: Vec<f32>,
    /// Blocks of 32: an eighth of the sum of each block's rounded values, for offsets.
    eighths: Vec<f32>,
    /// Blocks of 256: sums of 16 numbers each, those of even runs first.
    sums: Vec<i16>,
}

/// Rounds `k` activations to whole numbers by blocks of `block`. A block with a value that is not finite becomes NaN.
///
/// # Safety
/// `x` holds `k` values, whole blocks; the processor has the lanes' instructions.
#[inline(always)]
pub(super) unsafe fn round<L: Lanes>(x: *const f32, k: usize, block: usize, to: &mut Levels) {
    to.quants.resize(k, 0);
    to.scales.resize(k / block, 0.0);
    to.eighths.resize(if block == SHORT { k / block } else { 0 }, 0.0);
    to.sums.resize(if block == LONG { k / RUN } else { 0 }, 0);
    for (i, (quants, scale)) in to.quants.chunks_exact_mut(block).zip(&mut to.scales).enumerate() {
        // SAFETY: block `i` lies within the `k` values.
        *scale = unsafe { round_block::<L>(x.add(i * block), quants) };
        if block == SHORT {
            let sum: i32 = quants.iter().map(|q| i32::from(*q)).sum();
            to.eighths[i] = sum as f32 * *scale * 0.125;
        } else {
            let sums = &mut to.sums[i * (LONG / RUN)..][..LONG / RUN];
            for (run, quants) in quants.chunks_exact(RUN).enumerate() {
                sums[run % 2 * 8 + run / 2] = quants.iter().map(|q| i16::from(*q)).sum();
            }
        }
    }
}

/// Rounds one block so that its largest magnitude becomes 127; gives the scale.
#[inline(always)]
unsafe fn round_block<L: Lanes>(x: *const f32, quants: &mut [i8]) -> f32 {
    let mut buffer = [0f32; 16];
    // SAFETY: as the caller's; blocks are whole vectors of at most 16 lanes.
    unsafe {
        let zero = L::splat(0.0);
        let (mut most, mut strange) = (zero, zero);
        for at in (0..quants.len()).step_by(L::N) {
            let v = L::load(x.add(at));
            most = L::max(most, L::max(v, L::sub(zero, v)));
            // NaN where a value is not finite.
            strange = L::fma(v, zero, strange);
        }
        L::store(buffer.as_mut_ptr(), most);
        let most = buffer[..L::N].iter().fold(0f32, |m, v| m.max(*v));
        let scale = most / 127.0 + L::sum(strange);
        // Below this, the inverse would not be finite; such values are 0 beside anything else.
        let inverse = L::splat(if most > 1e-35 { 127.0 / most } else { 0.0 });
        // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
        let magic = L::splat(12_582_912.0);
        for (at, quants) in quants.chunks_exact_mut(L::N).enumerate() {
            L::store(buffer.as_mut_ptr(), L::fma(L::load(x.add(at * L::N)), inverse, magic));
            for (q, v) in quants.iter_mut().zip(&buffer) {
                *q = v.to_bits() as i8;
            }
        }
        scale
    }
}

/// One token: each weight row times `x`, which was rounded for the encoding.
///
/// # Safety
/// The pointers of `l` hold what they say but for its `x`, which is not read; the processor has the instructions.
#[inline(always)]
pub(super) unsafe fn matvec<D: Dots>(l: &Linear, x: &Levels) {
    // SAFETY: as the caller's.
    unsafe {
        by_encoding!(l.encoding, E => small rows_small::<D, E>(l, x), large rows_super::<D, E>(l, x), else ());
    }
}

#[inline(always)]
unsafe fn rows_small<D: Dots, E: Small>(l: &Linear, x: &Levels) {
    let quarter = l.rows / 4;
    // SAFETY: as the caller's; rows lie below `rows`.
    unsafe {
        for row in 0..quarter {
            dot_small::<D, E, 4>(l, x, row, quarter);
        }
        for row in 4 * quarter..l.rows {
            dot_small::<D, E, 1>(l, x, row, 0);
        }
    }
}

/// `R` rows at once, a quarter of all `apart`, share the loads of `x` and give the processor independent sums, and
/// streams in pages of their own.
#[inline(always)]
unsafe fn dot_small<D: Dots, E: Small, const R: usize>(l: &Linear, x: &Levels, row: usize, apart: usize) {
    // SAFETY: as the caller's; `x` holds `k` values in blocks of 32.
    unsafe {
        let mut acc = [D::V::splat(0.0); R];
        for block in 0..l.k / (SHORT * E::RUNS) {
            let w = l.w.add(row * l.row_bytes + block * E::BYTES);
            for run in 0..E::RUNS {
                let at = block * E::RUNS + run;
                let numbers = D::V::bytes(x.quants.as_ptr().add(at * SHORT).cast());
                let scale = D::V::splat(*x.scales.as_ptr().add(at));
                let zero = D::V::splat_i(0);
                let start =
                    if E::BIAS > 0 { D::V::sub_i(zero, D::dot(zero, D::V::splat_b(E::BIAS), numbers)) } else { zero };
                each!(r < R => {
                    let b = w.add(r * apart * l.row_bytes);
                    D::V::prefetch(b.wrapping_add(AHEAD));
                    let quants = E::quants::<D::V>(b, run);
                    let (quants, numbers) = if E::SIGNED { D::V::signed(quants, numbers) } else { (quants, numbers) };
                    let sum = D::V::mul(D::V::to_f(D::dot(start, quants, numbers)), scale);
                    acc[r] = D::V::fma(sum, E::scale::<D::V>(b), acc[r]);
                    if E::OFFSET {
                        let eighth = D::V::splat(*x.eighths.as_ptr().add(at));
                        acc[r] = D::V::fma(eighth, E::offset::<D::V>(b), acc[r]);
                    }
                });
            }
        }
        each!(r < R => { finish(l, row + r * apart, D::V::sum(acc[r])); });
    }
}

#[inline(always)]
unsafe fn rows_super<D: Dots, E: Super>(l: &Linear, x: &Levels) {
    // Four streams, as above; but one block is work enough to keep the processor busy.
    let quarter = l.rows / 4;
    // SAFETY: as the caller's; rows lie below `rows`.
    unsafe {
        for row in 0..4 * quarter {
            dot_super::<D, E>(l, x, row % 4 * quarter + row / 4);
        }
        for row in 4 * quarter..l.rows {
            dot_super::<D, E>(l, x, row);
        }
    }
}

/// One row.
#[inline(always)]
unsafe fn dot_super<D: Dots, E: Super>(l: &Linear, x: &Levels, row: usize) {
    // SAFETY: as the caller's; `x` holds `k` values in blocks of 256.
    unsafe {
        let mut acc = D::V::splat(0.0);
        for block in 0..l.k / LONG {
            let b = l.w.add(row * l.row_bytes + block * E::BYTES);
            let scale = D::V::splat(*x.scales.as_ptr().add(block));
            let sums = D::V::words(x.sums.as_ptr().add(block * (LONG / RUN)));
            each!(line < E::BYTES.div_ceil(64) => { D::V::prefetch(b.wrapping_add(AHEAD + line * 64)); });
            let (scales, mins) = E::scales::<D::V>(b);
            let (d, dmin) = E::factors::<D::V>(b);
            let mut sum = D::V::splat_i(0);
            each!(j < 8 => {
                let numbers = D::V::bytes(x.quants.as_ptr().add(block * LONG + j * 32).cast());
                let (quants, numbers) = E::meet::<D::V>(b, j, numbers);
                sum = D::dot_scaled(sum, quants, numbers, D::V::pick(scales, j));
            });
            if let Some(shift) = E::BIAS {
                sum = D::V::sub_i(sum, D::V::shl(D::V::products(scales, sums), shift));
            }
            acc = D::V::fma(D::V::mul(D::V::to_f(sum), scale), d, acc);
            if E::MINS {
                let less = D::V::mul(D::V::to_f(D::V::products(mins, sums)), scale);
                acc = D::V::fma(D::V::sub(D::V::splat(0.0), less), dmin, acc);
            }
        }
        finish(l, row, D::V::sum(acc));
    }
}
