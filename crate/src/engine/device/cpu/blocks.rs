//! Block encodings as the hot kernels read them: runs of weights with one scale and one offset.
//!
//! A weight is `scale * quant + offset`, with the products rounded as the encoding's decoder does, so
//! that decoding by runs is bit-exact to it. Layouts: `tensor/quant/*.rs`, ggml's `ggml-quants.c`.

use super::lanes::Lanes;

/// A block encoding.
pub(super) trait Block {
    /// Weights of a block.
    const LEN: usize;
    /// Bytes of a block.
    const BYTES: usize;
    /// Weights that share scale and offset: 16 or 32.
    const RUN: usize;
    /// Whether offsets are used.
    const OFFSET: bool;
    /// Scale and offset of a run.
    ///
    /// # Safety
    /// `b` points to a whole block; the processor has the lanes' instructions.
    unsafe fn scale<L: Lanes>(b: *const u8, run: usize) -> (f32, f32);
    /// Quants `at .. at + L::N` of a run, as whole numbers (or table values).
    ///
    /// # Safety
    /// As above; `at` is a multiple of `L::N` below [`Block::RUN`].
    unsafe fn quants<L: Lanes>(b: *const u8, run: usize, at: usize) -> L::F;
}

/// The half at byte `at`.
#[inline(always)]
unsafe fn half<L: Lanes>(b: *const u8, at: usize) -> f32 {
    // SAFETY: the caller's block holds it.
    unsafe { L::half(u16::from_le_bytes(b.add(at).cast::<[u8; 2]>().read())) }
}

/// Lanes of the byte's half: the low 4 bits for the first 16 of 32 weights, the high 4 bits for the others.
#[inline(always)]
unsafe fn nibbles<L: Lanes>(b: *const u8, at: usize) -> L::I {
    // SAFETY: the caller's block holds 16 bytes there; `at` is below 32.
    unsafe { if at < 16 { L::and(L::u8s(b.add(at)), L::splat_i(15)) } else { L::shr(L::u8s(b.add(at - 16)), 4) } }
}

/// The fifth bit of `nibbles`, as 16.
#[inline(always)]
unsafe fn fifth<L: Lanes>(b: *const u8, at: usize) -> L::I {
    // SAFETY: the caller's block holds 4 bytes there.
    unsafe { L::where_set(u32::from_le_bytes(b.cast::<[u8; 4]>().read()) >> at, 16) }
}

/// Declares an encoding: name, weights and bytes of a block, weights of a run, offsets or not, then the two functions.
macro_rules! encoding {
    ($name:ident: $len:literal in $bytes:literal, runs of $run:literal, offset $offset:literal,
     scale($b:ident, $r:ident) $scale:block quants($qb:ident, $qr:ident, $at:ident) $quants:block) => {
        pub(super) struct $name;
        impl Block for $name {
            const LEN: usize = $len;
            const BYTES: usize = $bytes;
            const RUN: usize = $run;
            const OFFSET: bool = $offset;
            #[inline(always)]
            unsafe fn scale<L: Lanes>($b: *const u8, $r: usize) -> (f32, f32) {
                // SAFETY: the caller gives a whole block, and every offset below lies in it.
                unsafe { $scale }
            }
            #[inline(always)]
            unsafe fn quants<L: Lanes>($qb: *const u8, $qr: usize, $at: usize) -> L::F {
                // SAFETY: as above.
                unsafe { $quants }
            }
        }
    };
}

encoding!(Q8_0: 32 in 34, runs of 32, offset false,
    scale(b, _r) { (half::<L>(b, 0), 0.0) }
    quants(b, _r, at) { L::to_f(L::i8s(b.add(2 + at))) });

encoding!(Q4_0: 32 in 18, runs of 32, offset false,
    scale(b, _r) { (half::<L>(b, 0), 0.0) }
    quants(b, _r, at) { L::to_f(L::sub_i(nibbles::<L>(b.add(2), at), L::splat_i(8))) });

encoding!(Q4_1: 32 in 20, runs of 32, offset true,
    scale(b, _r) { (half::<L>(b, 0), half::<L>(b, 2)) }
    quants(b, _r, at) { L::to_f(nibbles::<L>(b.add(4), at)) });

encoding!(Q5_0: 32 in 22, runs of 32, offset false,
scale(b, _r) { (half::<L>(b, 0), 0.0) }
quants(b, _r, at) {
    let q = L::or(nibbles::<L>(b.add(6), at), fifth::<L>(b.add(2), at));
    L::to_f(L::sub_i(q, L::splat_i(16)))
});

encoding!(Q5_1: 32 in 24, runs of 32, offset true,
    scale(b, _r) { (half::<L>(b, 0), half::<L>(b, 2)) }
    quants(b, _r, at) { L::to_f(L::or(nibbles::<L>(b.add(8), at), fifth::<L>(b.add(4), at))) });

/// IQ4_NL's values (ggml `kvalues_iq4nl`).
static IQ4_NL_VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

encoding!(Iq4Nl: 32 in 18, runs of 32, offset false,
    scale(b, _r) { (half::<L>(b, 0), 0.0) }
    quants(b, _r, at) { L::lookup(nibbles::<L>(b.add(2), at), &IQ4_NL_VALUES) });

/// MXFP4's values, doubled (OCP Microscaling 1.0; ggml `kvalues_mxfp4`).
static MXFP4_VALUES: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

encoding!(Mxfp4: 32 in 17, runs of 32, offset false,
    scale(b, _r) {
        // 2^(e - 128): half of what the byte says.
        let e = u32::from(*b);
        (f32::from_bits(if e < 2 { 0x0020_0000 << e } else { (e - 1) << 23 }), 0.0)
    }
    quants(b, _r, at) { L::lookup(nibbles::<L>(b.add(1), at), &MXFP4_VALUES) });

/// Two bits of 16 weights' run `run` in the order of Q2_K and Q3_K: 128 weights in 32 bytes, a quarter per bit pair.
#[inline(always)]
unsafe fn crumbs<L: Lanes>(qs: *const u8, run: usize, at: usize) -> L::I {
    // SAFETY: the caller's block holds 64 bytes there; `run` is below 16, `at` below 16.
    unsafe {
        let bytes = L::u8s(qs.add(run / 8 * 32 + run % 2 * 16 + at));
        L::and(L::shr(bytes, (run % 8 / 2 * 2) as u32), L::splat_i(3))
    }
}

encoding!(Q2K: 256 in 84, runs of 16, offset true,
    scale(b, run) {
        let packed = *b.add(run);
        (half::<L>(b, 80) * f32::from(packed & 15), -(half::<L>(b, 82) * f32::from(packed >> 4)))
    }
    quants(b, run, at) { L::to_f(crumbs::<L>(b.add(16), run, at)) });

encoding!(Q3K: 256 in 110, runs of 16, offset false,
scale(b, run) {
    // Six bits: low four in bytes 96.., high two in bytes 104...
    let low = *b.add(96 + run % 8) >> (run / 8 * 4) & 15;
    let high = *b.add(104 + run % 4) >> (run / 4 * 2) & 3;
    (half::<L>(b, 108) * (f32::from(low | high << 4) - 32.0), 0.0)
}
quants(b, run, at) {
    let mask = L::u8s(b.add(run % 2 * 16 + at));
    let third = L::and(L::shr(mask, (run / 2) as u32), L::splat_i(1));
    let q = L::or(crumbs::<L>(b.add(32), run, at), L::shl(third, 2));
    L::to_f(L::sub_i(q, L::splat_i(4)))
});

/// Six-bit scale and minimum of one of eight runs (ggml `get_scale_min_k4`).
#[inline(always)]
unsafe fn scale_min(s: *const u8, run: usize) -> (f32, f32) {
    // SAFETY: the caller's block holds 12 bytes there; `run` is below 8.
    unsafe {
        let (scale, min) = if run < 4 {
            (*s.add(run) & 63, *s.add(run + 4) & 63)
        } else {
            let low = *s.add(run + 4);
            (low & 15 | *s.add(run - 4) >> 6 << 4, low >> 4 | *s.add(run) >> 6 << 4)
        };
        (f32::from(scale), f32::from(min))
    }
}

/// Four bits of run `run` in the order of Q4_K and Q5_K: 64 weights in 32 bytes, low halves first.
#[inline(always)]
unsafe fn halves_of_64<L: Lanes>(qs: *const u8, run: usize, at: usize) -> L::I {
    // SAFETY: the caller's block holds 128 bytes there; `run` is below 8, `at` below 32.
    unsafe { L::and(L::shr(L::u8s(qs.add(run / 2 * 32 + at)), (run % 2 * 4) as u32), L::splat_i(15)) }
}

encoding!(Q4K: 256 in 144, runs of 32, offset true,
    scale(b, run) {
        let (scale, min) = scale_min(b.add(4), run);
        (half::<L>(b, 0) * scale, -(half::<L>(b, 2) * min))
    }
    quants(b, run, at) { L::to_f(halves_of_64::<L>(b.add(16), run, at)) });

encoding!(Q5K: 256 in 176, runs of 32, offset true,
scale(b, run) {
    let (scale, min) = scale_min(b.add(4), run);
    (half::<L>(b, 0) * scale, -(half::<L>(b, 2) * min))
}
quants(b, run, at) {
    let fifth = L::and(L::shr(L::u8s(b.add(16 + at)), run as u32), L::splat_i(1));
    L::to_f(L::or(halves_of_64::<L>(b.add(48), run, at), L::shl(fifth, 4)))
});

encoding!(Q6K: 256 in 210, runs of 16, offset false,
scale(b, run) { (half::<L>(b, 208) * f32::from(*b.add(192 + run) as i8), 0.0) }
quants(b, run, at) {
    // 128 weights: 64 bytes of low halves, 32 bytes of high bit pairs; quarter `part` of them in this run.
    let (block, part, side) = (run / 8, run % 8 / 2, run % 2 * 16 + at);
    let low = L::shr(L::u8s(b.add(block * 64 + part % 2 * 32 + side)), (part / 2 * 4) as u32);
    let high = L::shr(L::u8s(b.add(128 + block * 32 + side)), (part * 2) as u32);
    let q = L::or(L::and(low, L::splat_i(15)), L::shl(L::and(high, L::splat_i(3)), 4));
    L::to_f(L::sub_i(q, L::splat_i(32)))
});
