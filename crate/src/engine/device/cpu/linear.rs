//! Mat-vec and mat-mul over [`Lanes`].
//!
//! Mat-vec reads each weight once and computes with it at once. Mat-mul decodes a tile of a few
//! weight rows to f32 and uses it for every token of the step: tokens lie across the lanes
//! ([`pack`]), weights are broadcast, so no sum over lanes is needed.

use super::{
    blocks::{Block, Iq4Nl, Mxfp4, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0},
    lanes::{Lanes, each},
};
use crate::tensor::Encoding;

/// Length of a weight tile's rows: a multiple of every block length, and 12 such rows fit a 32 KiB cache.
const TILE_K: usize = 512;
/// Distance of a tile's rows: not a power of two, so that they do not compete for the same cache sets.
const TILE_STRIDE: usize = TILE_K + 16;
/// How far before they are read weights are asked for, in bytes.
pub(super) const AHEAD: usize = 1024;
/// The most rows of a tile.
const MAX_ROWS: usize = 12;

/// Some rows of `y[t][r] (+)= sum over k of x[t][k] * w[r][k]`.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    /// Encoding of the weights.
    pub(super) encoding: Encoding,
    /// First weight row of this piece of work.
    pub(super) w: *const u8,
    /// Bytes from a weight row to the next.
    pub(super) row_bytes: usize,
    /// Weight rows of this piece of work.
    pub(super) rows: usize,
    /// Values per row.
    pub(super) k: usize,
    /// One input row for mat-vec; packed tokens for mat-mul.
    pub(super) x: *const f32,
    /// Tokens.
    pub(super) count: usize,
    /// Output of the first row for the first token.
    pub(super) y: *mut f32,
    /// Values from a token's output row to the next token's.
    pub(super) y_stride: usize,
    /// Add to the output instead of overwriting it.
    pub(super) accumulate: bool,
}

// SAFETY: pieces of work cover different rows of the output, and inputs are only read.
unsafe impl Send for Linear {}
// SAFETY: as above.
unsafe impl Sync for Linear {}

/// Length of [`pack`]'s result.
pub(super) fn packed_len<L: Lanes>(k: usize, count: usize) -> usize {
    count.div_ceil(L::N) * L::N * k
}

/// Lays `count` rows of `k` values, `stride` apart, out with tokens across the lanes: panels of up to [`Lanes::TILE_VECTORS`]
/// vectors of tokens, in each the values of all its tokens for k = 0, then for k = 1, ... Missing tokens repeat the last one.
///
/// # Safety
/// `x` holds the rows; `out` has room for [`packed_len`] values.
#[inline(always)]
pub(super) unsafe fn pack<L: Lanes>(x: *const f32, k: usize, stride: usize, count: usize, out: *mut f32) {
    let mut first = 0;
    while first < count {
        let vectors = (count - first).div_ceil(L::N).min(L::TILE_VECTORS);
        let wide = vectors * L::N;
        // SAFETY: panels before this one took `first * k` values.
        let panel = unsafe { out.add(first * k) };
        // Sixteen values at a time: the part of the panel being written stays in the nearest cache.
        for from in (0..k).step_by(16) {
            for t in 0..wide {
                // SAFETY: rows below `count` are readable; the panel has `wide * k` values.
                unsafe {
                    let row = x.add((first + t).min(count - 1) * stride);
                    for i in from..k.min(from + 16) {
                        *panel.add(i * wide + t) = *row.add(i);
                    }
                }
            }
        }
        first += wide;
    }
}

/// Calls a generic function with the type of a block encoding.
macro_rules! by_block {
    ($encoding:expr, $B:ident => $body:expr, else $plain:expr) => {
        match $encoding {
            Encoding::Q8_0 => {
                type $B = Q8_0;
                $body
            }
            Encoding::Q4_0 => {
                type $B = Q4_0;
                $body
            }
            Encoding::Q4_1 => {
                type $B = Q4_1;
                $body
            }
            Encoding::Q5_0 => {
                type $B = Q5_0;
                $body
            }
            Encoding::Q5_1 => {
                type $B = Q5_1;
                $body
            }
            Encoding::Q2_K => {
                type $B = Q2K;
                $body
            }
            Encoding::Q3_K => {
                type $B = Q3K;
                $body
            }
            Encoding::Q4_K => {
                type $B = Q4K;
                $body
            }
            Encoding::Q5_K => {
                type $B = Q5K;
                $body
            }
            Encoding::Q6_K => {
                type $B = Q6K;
                $body
            }
            Encoding::IQ4_NL => {
                type $B = Iq4Nl;
                $body
            }
            Encoding::MXFP4 => {
                type $B = Mxfp4;
                $body
            }
            _ => $plain,
        }
    };
}

/// Values `at .. at + L::N` of a row of plain floats.
#[inline(always)]
unsafe fn floats<L: Lanes>(encoding: Encoding, row: *const u8, at: usize) -> L::F {
    // SAFETY: the caller's row holds them.
    unsafe {
        match encoding {
            Encoding::F32 => L::load(row.add(at * 4).cast()),
            Encoding::F16 => L::halves(row.add(at * 2)),
            _ => L::from_bits(L::shl(L::u16s(row.add(at * 2)), 16)),
        }
    }
}

/// Value `at` of a row of plain floats.
#[inline(always)]
unsafe fn float<L: Lanes>(encoding: Encoding, row: *const u8, at: usize) -> f32 {
    // SAFETY: the caller's row holds it.
    unsafe {
        match encoding {
            Encoding::F32 => row.add(at * 4).cast::<f32>().read_unaligned(),
            Encoding::F16 => L::half(row.add(at * 2).cast::<u16>().read_unaligned()),
            _ => f32::from_bits(u32::from(row.add(at * 2).cast::<u16>().read_unaligned()) << 16),
        }
    }
}

/// One token: each weight row times `x`.
///
/// # Safety
/// The pointers of `l` hold what they say; the processor has the lanes' instructions.
#[inline(always)]
pub(super) unsafe fn matvec<L: Lanes>(l: &Linear) {
    // SAFETY: as the caller's.
    unsafe {
        by_block!(l.encoding, B => matvec_blocks::<L, B>(l), else match l.encoding {
            Encoding::F32 => matvec_floats::<L>(l, Encoding::F32),
            Encoding::F16 => matvec_floats::<L>(l, Encoding::F16),
            _ => matvec_floats::<L>(l, Encoding::BF16),
        })
    }
}

#[inline(always)]
pub(super) unsafe fn finish(l: &Linear, row: usize, sum: f32) {
    // SAFETY: the caller's row is one of the output's.
    unsafe {
        let y = l.y.add(row);
        *y = if l.accumulate { *y + sum } else { sum };
    }
}

#[inline(always)]
unsafe fn matvec_blocks<L: Lanes, B: Block>(l: &Linear) {
    let sums = if B::OFFSET { run_sums(l, B::RUN) } else { Vec::new() };
    let mut row = 0;
    // SAFETY: as the caller's; groups of four rows end before `rows`.
    unsafe {
        while row + 4 <= l.rows {
            dot_blocks::<L, B, 4>(l, row, sums.as_ptr());
            row += 4;
        }
        while row < l.rows {
            dot_blocks::<L, B, 1>(l, row, sums.as_ptr());
            row += 1;
        }
    }
}

/// Sums of `x` over each run: offsets are multiplied by them once instead of being added to every weight.
fn run_sums(l: &Linear, run: usize) -> Vec<f32> {
    // SAFETY: mat-vec's `x` holds `k` values.
    let x = unsafe { std::slice::from_raw_parts(l.x, l.k) };
    x.chunks_exact(run).map(|run| run.iter().sum()).collect()
}

/// `R` rows at once share the loads of `x` and give the processor independent sums.
#[inline(always)]
unsafe fn dot_blocks<L: Lanes, B: Block, const R: usize>(l: &Linear, row: usize, sums: *const f32) {
    // SAFETY: as the caller's; `sums` holds a value per run where offsets are used.
    unsafe {
        let mut acc = [L::splat(0.0); R];
        let mut offsets = [0f32; R];
        for block in 0..l.k / B::LEN {
            let w = l.w.add(row * l.row_bytes + block * B::BYTES);
            for run in 0..B::LEN / B::RUN {
                let x = l.x.add(block * B::LEN + run * B::RUN);
                each!(r < R => {
                    let b = w.add(r * l.row_bytes);
                    let (scale, offset) = B::scale::<L>(b, run);
                    let mut sum = L::mul(B::quants::<L>(b, run, 0), L::load(x));
                    each!(i < B::RUN / L::N => {
                        if i > 0 {
                            sum = L::fma(B::quants::<L>(b, run, i * L::N), L::load(x.add(i * L::N)), sum);
                        }
                    });
                    acc[r] = L::fma(L::splat(scale), sum, acc[r]);
                    if B::OFFSET {
                        offsets[r] += offset * *sums.add(block * (B::LEN / B::RUN) + run);
                    }
                });
            }
        }
        each!(r < R => { finish(l, row + r, L::sum(acc[r]) + offsets[r]); });
    }
}

#[inline(always)]
unsafe fn matvec_floats<L: Lanes>(l: &Linear, encoding: Encoding) {
    let quarter = l.rows / 4;
    // SAFETY: as the caller's; rows lie below `rows`.
    unsafe {
        for row in 0..quarter {
            dot_floats::<L, 4>(l, encoding, row, quarter);
        }
        for row in 4 * quarter..l.rows {
            dot_floats::<L, 1>(l, encoding, row, 0);
        }
    }
}

/// `R` rows at once, a quarter of all `apart`: memory gives more to four streams in pages of their own than to
/// neighbouring rows, which processors take for one.
#[inline(always)]
unsafe fn dot_floats<L: Lanes, const R: usize>(l: &Linear, encoding: Encoding, row: usize, apart: usize) {
    let size = if encoding == Encoding::F32 { 4 } else { 2 };
    let whole = l.k / L::N * L::N;
    // SAFETY: as the caller's; vectors end before `k`.
    unsafe {
        let (w, apart_bytes) = (l.w.add(row * l.row_bytes), apart * l.row_bytes);
        let mut acc = [L::splat(0.0); R];
        for at in (0..whole).step_by(L::N) {
            let x = L::load(l.x.add(at));
            each!(r < R => {
                let w = w.add(r * apart_bytes);
                L::prefetch(w.wrapping_add(at * size + AHEAD));
                acc[r] = L::fma(floats::<L>(encoding, w, at), x, acc[r]);
            });
        }
        each!(r < R => {
            let mut sum = L::sum(acc[r]);
            for at in whole..l.k {
                sum += float::<L>(encoding, w.add(r * apart_bytes), at) * *l.x.add(at);
            }
            finish(l, row + r * apart, sum);
        });
    }
}

/// Decodes values `from .. to` of a row; `from` is on a block boundary.
///
/// # Safety
/// The row holds whole blocks up to `to`; `out` has room for `to - from` values.
#[inline(always)]
pub(super) unsafe fn decode<L: Lanes>(encoding: Encoding, row: *const u8, from: usize, to: usize, out: *mut f32) {
    // SAFETY: as the caller's.
    unsafe {
        by_block!(encoding, B => decode_blocks::<L, B>(row, from, to, out), else {
            let whole = from + (to - from) / L::N * L::N;
            let mut at = from;
            while at < whole {
                L::store(out.add(at - from), floats::<L>(encoding, row, at));
                at += L::N;
            }
            while at < to {
                *out.add(at - from) = float::<L>(encoding, row, at);
                at += 1;
            }
        })
    }
}

#[inline(always)]
unsafe fn decode_blocks<L: Lanes, B: Block>(row: *const u8, from: usize, to: usize, out: *mut f32) {
    // SAFETY: as the caller's.
    unsafe {
        for block in from / B::LEN..to / B::LEN {
            let b = row.add(block * B::BYTES);
            for run in 0..B::LEN / B::RUN {
                let (scale, offset) = B::scale::<L>(b, run);
                let out = out.add(block * B::LEN - from + run * B::RUN);
                each!(i < B::RUN / L::N => {
                    let product = L::mul(L::splat(scale), B::quants::<L>(b, run, i * L::N));
                    let value = if B::OFFSET { L::add(product, L::splat(offset)) } else { product };
                    L::store(out.add(i * L::N), value);
                });
            }
        }
    }
}

/// Room that one thread's mat-mul needs.
#[derive(Default)]
pub(super) struct Tile {
    weights: Vec<f32>,
    sums: Vec<f32>,
}

/// Many tokens: tiles of a few weight rows, decoded once, times all packed tokens.
///
/// # Safety
/// As [`matvec`]; `l.x` is [`pack`]'s result.
#[inline(always)]
pub(super) unsafe fn matmul<L: Lanes>(l: &Linear, tile: &mut Tile) {
    let padded = l.count.div_ceil(L::N) * L::N;
    tile.weights.resize(MAX_ROWS * TILE_STRIDE, 0.0);
    tile.sums.resize(MAX_ROWS * padded, 0.0);
    let (weights, sums) = (tile.weights.as_mut_ptr(), tile.sums.as_mut_ptr());
    let mut row = 0;
    while row < l.rows {
        let rows = L::TILE_ROWS.min(l.rows - row);
        let mut from = 0;
        while from < l.k {
            let to = l.k.min(from + TILE_K);
            // SAFETY: rows and values below `rows` and `k`; the tile has room for both. Rows beyond `rows` hold
            // old finite values whose products are never stored.
            unsafe {
                for r in 0..rows {
                    let w = l.w.add((row + r) * l.row_bytes);
                    decode::<L>(l.encoding, w, from, to, weights.add(r * TILE_STRIDE));
                }
                panels::<L>(l, weights, sums, padded, from, to);
            }
            from = to;
        }
        for t in 0..l.count {
            // SAFETY: token `t` of the output has these rows.
            unsafe {
                let y = l.y.add(t * l.y_stride + row);
                for r in 0..rows {
                    let sum = *sums.add(r * padded + t);
                    let y = y.add(r);
                    *y = if l.accumulate { *y + sum } else { sum };
                }
            }
        }
        row += rows;
    }
}

/// A weight tile times every panel of tokens.
#[inline(always)]
unsafe fn panels<L: Lanes>(l: &Linear, w: *const f32, sums: *mut f32, padded: usize, from: usize, to: usize) {
    let mut first = 0;
    while first < padded {
        let vectors = ((padded - first) / L::N).min(L::TILE_VECTORS);
        // SAFETY: the panel begins at `first * k` (see `pack`); sums have `padded` values per row.
        unsafe {
            let x = l.x.add(first * l.k + from * vectors * L::N);
            let sums = sums.add(first);
            // The sizes are constants of the instruction set: other arms are not compiled into it.
            match (L::TILE_ROWS, vectors) {
                (12, 2) => micro::<L, 12, 2>(w, x, to - from, sums, padded, from > 0),
                (12, _) => micro::<L, 12, 1>(w, x, to - from, sums, padded, from > 0),
                (6, 2) => micro::<L, 6, 2>(w, x, to - from, sums, padded, from > 0),
                (6, _) => micro::<L, 6, 1>(w, x, to - from, sums, padded, from > 0),
                (_, _) => micro::<L, 4, 1>(w, x, to - from, sums, padded, from > 0),
            }
        }
        first += vectors * L::N;
    }
}

/// `R` weight rows times `V` vectors of tokens, all sums in registers.
#[inline(always)]
unsafe fn micro<L: Lanes, const R: usize, const V: usize>(
    w: *const f32,
    x: *const f32,
    k: usize,
    sums: *mut f32,
    padded: usize,
    resume: bool,
) {
    // SAFETY: the tile holds R rows of k values, the panel k times V vectors, sums R rows of V vectors.
    unsafe {
        let mut acc = [[L::splat(0.0); V]; R];
        if resume {
            each!(r < R => { each!(v < V => { acc[r][v] = L::load(sums.add(r * padded + v * L::N)); }); });
        }
        for i in 0..k {
            let mut tokens = [L::splat(0.0); V];
            each!(v < V => { tokens[v] = L::load(x.add((i * V + v) * L::N)); });
            each!(r < R => {
                let weight = L::splat(*w.add(r * TILE_STRIDE + i));
                each!(v < V => { acc[r][v] = L::fma(weight, tokens[v], acc[r][v]); });
            });
        }
        each!(r < R => { each!(v < V => { L::store(sums.add(r * padded + v * L::N), acc[r][v]); }); });
    }
}
