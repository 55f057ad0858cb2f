//! Block encodings as the integer kernels read them: whole blocks, 32 quants to a vector.
//!
//! A weight is `scale * (quant - bias) + offset`. Layouts: `tensor/quant/*.rs`. A kernel multiplies quants with
//! activations in whole numbers, so scales are needed once a block, and biases once a sum of activations.

use super::{bytes::Bytes, lanes::each};
use crate::tensor::quant::mxfp4;

/// An encoding whose scales are floats, each for one or more runs of 32 weights.
pub(super) trait Small {
    /// Runs of 32 weights in a block.
    const RUNS: usize;
    /// Bytes of a block.
    const BYTES: usize;
    /// What is taken from every quant.
    const BIAS: u8;
    /// Quants are in two's complement (or table values).
    const SIGNED: bool;
    /// Whether offsets are used.
    const OFFSET: bool;
    /// The scale, everywhere.
    ///
    /// # Safety
    /// `b` points to a whole block; the processor has the instructions.
    unsafe fn scale<V: Bytes>(b: *const u8) -> V::F;
    /// The offset, everywhere.
    ///
    /// # Safety
    /// As above.
    unsafe fn offset<V: Bytes>(b: *const u8) -> V::F;
    /// The quants of a run.
    ///
    /// # Safety
    /// As above; `run` is below [`Small::RUNS`].
    unsafe fn quants<V: Bytes>(b: *const u8, run: usize) -> V::B;
}

/// An encoding of 256 weights whose 16 (or 8) runs have small whole scales below one or two floats.
pub(super) trait Super {
    /// Bytes of a block.
    const BYTES: usize;
    /// 2 to this is taken from every quant; `None`: nothing.
    const BIAS: Option<u32>;
    /// Quants are in two's complement (or table values).
    const SIGNED: bool;
    /// Whether runs have minima, which are taken away.
    const MINS: bool;
    /// The scale of the scales and of the minima, everywhere.
    ///
    /// # Safety
    /// `b` points to a whole block; the processor has the instructions.
    unsafe fn factors<V: Bytes>(b: *const u8) -> (V::F, V::F);
    /// Scales and minima of the 16 runs, even ones in the first half.
    ///
    /// # Safety
    /// As above.
    unsafe fn scales<V: Bytes>(b: *const u8) -> (V::W, V::W);
    /// Quants `32 j .. 32 j + 32`.
    ///
    /// # Safety
    /// As above; `j` is below 8.
    unsafe fn quants<V: Bytes>(b: *const u8, j: usize) -> V::B;
    /// These quants and the activations `x`, made ready for a product.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn meet<V: Bytes>(b: *const u8, j: usize, x: V::B) -> (V::B, V::B) {
        // SAFETY: as the caller's.
        unsafe {
            let quants = Self::quants::<V>(b, j);
            if Self::SIGNED { V::signed(quants, x) } else { (quants, x) }
        }
    }
}

#[inline(always)]
pub(super) unsafe fn word(b: *const u8, at: usize) -> u32 {
    // SAFETY: the caller's block holds 4 bytes there.
    unsafe { u32::from_le_bytes(b.add(at).cast::<[u8; 4]>().read()) }
}

#[inline(always)]
pub(super) unsafe fn long(b: *const u8, at: usize) -> u64 {
    // SAFETY: the caller's block holds 8 bytes there.
    unsafe { u64::from_le_bytes(b.add(at).cast::<[u8; 8]>().read()) }
}

/// Declares an encoding of floating scales.
macro_rules! small {
    ($name:ident: $runs:literal x 32 in $bytes:literal, bias $bias:literal, signed $signed:literal, offset $offset:literal,
     scale($b:ident) $scale:block add($ob:ident) $add:block quants($qb:ident, $r:ident) $quants:block) => {
        pub(super) struct $name;
        impl Small for $name {
            const RUNS: usize = $runs;
            const BYTES: usize = $bytes;
            const BIAS: u8 = $bias;
            const SIGNED: bool = $signed;
            const OFFSET: bool = $offset;
            #[inline(always)]
            unsafe fn scale<V: Bytes>($b: *const u8) -> V::F {
                // SAFETY: the caller gives a whole block, and every offset below lies in it.
                unsafe { $scale }
            }
            #[inline(always)]
            unsafe fn offset<V: Bytes>($ob: *const u8) -> V::F {
                // SAFETY: as above.
                unsafe { $add }
            }
            #[inline(always)]
            unsafe fn quants<V: Bytes>($qb: *const u8, $r: usize) -> V::B {
                // SAFETY: as above.
                unsafe { $quants }
            }
        }
    };
}

small!(Q8_0: 1 x 32 in 34, bias 0, signed true, offset false,
    scale(b) { V::half_everywhere(b) }
    add(_b) { V::splat(0.0) }
    quants(b, _r) { V::bytes(b.add(2)) });

small!(Q4_0: 1 x 32 in 18, bias 8, signed false, offset false,
    scale(b) { V::half_everywhere(b) }
    add(_b) { V::splat(0.0) }
    quants(b, _r) { V::nibbles(b.add(2)) });

small!(Q4_1: 1 x 32 in 20, bias 0, signed false, offset true,
    scale(b) { V::half_everywhere(b) }
    add(b) { V::half_everywhere(b.add(2)) }
    quants(b, _r) { V::nibbles(b.add(4)) });

small!(Q5_0: 1 x 32 in 22, bias 16, signed false, offset false,
    scale(b) { V::half_everywhere(b) }
    add(_b) { V::splat(0.0) }
    quants(b, _r) { V::or_b(V::nibbles(b.add(6)), V::bits_as(word(b, 2), 16)) });

small!(Q5_1: 1 x 32 in 24, bias 0, signed false, offset true,
    scale(b) { V::half_everywhere(b) }
    add(b) { V::half_everywhere(b.add(2)) }
    quants(b, _r) { V::or_b(V::nibbles(b.add(8)), V::bits_as(word(b, 4), 16)) });

small!(Iq4Nl: 1 x 32 in 18, bias 0, signed true, offset false,
    scale(b) { V::half_everywhere(b) }
    add(_b) { V::splat(0.0) }
    quants(b, _r) { V::table(V::nibbles(b.add(2)), &IQ4_LEVELS) });

small!(Mxfp4: 1 x 32 in 17, bias 12, signed false, offset false,
    scale(b) { V::splat(mxfp4::half_scale(*b)) }
    add(_b) { V::splat(0.0) }
    quants(b, _r) { V::table(V::nibbles(b.add(1)), &DOUBLED_AND_12) });

small!(Q1_0: 4 x 32 in 18, bias 1, signed false, offset false,
    scale(b) { V::half_everywhere(b) }
    add(_b) { V::splat(0.0) }
    quants(b, r) { V::bits_as(word(b, 2 + 4 * r), 2) });

/// IQ4_NL's and IQ4_XS's values (ggml `kvalues_iq4nl`).
static IQ4_LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// MXFP4's doubled values, 12 above zero.
static DOUBLED_AND_12: [i8; 16] = [12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0];

/// Declares an encoding of 256 weights.
macro_rules! super_block {
    ($name:ident: $bytes:literal, bias $bias:expr, signed $signed:literal, minima $mins:literal,
     factors($b:ident) $factors:block scales($sb:ident) $scales:block quants($qb:ident, $j:ident) $quants:block) => {
        pub(super) struct $name;
        impl Super for $name {
            const BYTES: usize = $bytes;
            const BIAS: Option<u32> = $bias;
            const SIGNED: bool = $signed;
            const MINS: bool = $mins;
            #[inline(always)]
            unsafe fn factors<V: Bytes>($b: *const u8) -> (V::F, V::F) {
                // SAFETY: the caller gives a whole block, and every offset below lies in it.
                unsafe { $factors }
            }
            #[inline(always)]
            unsafe fn scales<V: Bytes>($sb: *const u8) -> (V::W, V::W) {
                // SAFETY: as above.
                unsafe { $scales }
            }
            #[inline(always)]
            unsafe fn quants<V: Bytes>($qb: *const u8, $j: usize) -> V::B {
                // SAFETY: as above.
                unsafe { $quants }
            }
        }
    };
}

/// The half at `b` times `times`, everywhere.
#[inline(always)]
pub(super) unsafe fn scaled_half<V: Bytes>(b: *const u8, times: f32) -> V::F {
    // SAFETY: the caller's block holds a half there.
    unsafe { V::mul(V::half_everywhere(b), V::splat(times)) }
}

/// Two factors of halves.
#[inline(always)]
unsafe fn two<V: Bytes>(b: *const u8, at: usize) -> (V::F, V::F) {
    // SAFETY: the caller's block holds two halves there.
    unsafe { (V::half_everywhere(b.add(at)), V::half_everywhere(b.add(at + 2))) }
}

/// One factor, and none for minima.
#[inline(always)]
unsafe fn one<V: Bytes>(b: *const u8, at: usize) -> (V::F, V::F) {
    // SAFETY: the caller's block holds a half there.
    unsafe { (V::half_everywhere(b.add(at)), V::splat(0.0)) }
}

/// Two bits of quants `32 j ..` in the order of Q2_K, Q3_K and TQ2_0: 128 weights in 32 bytes, a quarter per bit pair.
#[inline(always)]
unsafe fn crumbs<V: Bytes>(qs: *const u8, j: usize) -> V::B {
    // SAFETY: the caller's block holds 64 bytes there; `j` is below 8.
    unsafe { V::field(V::bytes(qs.add(j / 4 * 32)), (j % 4 * 2) as u32, 0, 3) }
}

super_block!(Q2K: 84, bias None, signed false, minima true,
factors(b) { two::<V>(b, 80) }
scales(b) {
    const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    let s = [long(b, 0), long(b, 8)];
    (V::apart(s.map(|s| s & LOW)), V::apart(s.map(|s| s >> 4 & LOW)))
}
quants(b, j) { crumbs::<V>(b.add(16), j) });

super_block!(Q3K: 110, bias Some(2), signed false, minima false,
factors(b) { one::<V>(b, 108) }
scales(b) {
    // Low four bits in bytes 96.., high two of scale i in byte 104 + i % 4 at bit 2 (i / 4).
    const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    const HIGH: u64 = 0x0303_0303_0303_0303;
    let (low, high) = (long(b, 96), u64::from(word(b, 104)));
    let pairs = |shift: u32| (high >> shift | high >> (shift + 2) << 32) & HIGH;
    let six = [low & LOW | pairs(0) << 4, low >> 4 & LOW | pairs(4) << 4];
    // 32 less, byte by byte: no byte is above 63, so the top bit keeps the others apart.
    let less = six.map(|s| ((s | TOPS) - 0x2020_2020_2020_2020) ^ TOPS);
    (V::apart(less), V::apart([0; 2]))
}
quants(b, j) {
    let third = V::field(V::bytes(b), j as u32, 2, 4);
    V::or_b(crumbs::<V>(b.add(32), j), third)
});

/// The top bit of every byte.
const TOPS: u64 = 0x8080_8080_8080_8080;

/// The eight 6-bit scales and minima of Q4_K and Q5_K (ggml `get_scale_min_k4`).
#[inline(always)]
unsafe fn scales_and_mins<V: Bytes>(s: *const u8) -> (V::W, V::W) {
    // SAFETY: the caller's block holds 12 bytes there.
    unsafe {
        let [a, b, c] = [word(s, 0), word(s, 4), word(s, 8)];
        let top = |v: u32| (v >> 6 & 0x0303_0303) << 4;
        let join = |low: u32, high: u32| V::twice(u64::from(low) | u64::from(high) << 32);
        let scales = join(a & 0x3f3f_3f3f, c & 0x0f0f_0f0f | top(a));
        let mins = join(b & 0x3f3f_3f3f, c >> 4 & 0x0f0f_0f0f | top(b));
        (scales, mins)
    }
}

/// Four bits of quants `32 j ..` in the order of Q4_K and Q5_K: 64 weights in 32 bytes, low halves first.
#[inline(always)]
unsafe fn halves_of_64<V: Bytes>(qs: *const u8, j: usize) -> V::B {
    // SAFETY: the caller's block holds 128 bytes there; `j` is below 8.
    unsafe { V::field(V::bytes(qs.add(j / 2 * 32)), (j % 2 * 4) as u32, 0, 15) }
}

super_block!(Q4K: 144, bias None, signed false, minima true,
    factors(b) { two::<V>(b, 0) }
    scales(b) { scales_and_mins::<V>(b.add(4)) }
    quants(b, j) { halves_of_64::<V>(b.add(16), j) });

super_block!(Q5K: 176, bias None, signed false, minima true,
    factors(b) { two::<V>(b, 0) }
    scales(b) { scales_and_mins::<V>(b.add(4)) }
    quants(b, j) { V::or_b(halves_of_64::<V>(b.add(48), j), V::field(V::bytes(b.add(16)), j as u32, 4, 16)) });

super_block!(Q6K: 210, bias Some(5), signed false, minima false,
factors(b) { one::<V>(b, 208) }
scales(b) { (V::apart([long(b, 192), long(b, 200)]), V::apart([0; 2])) }
quants(b, j) {
    // 128 weights: 64 bytes of low halves, 32 bytes of high bit pairs; quarter `part` of them here.
    let (half, part) = (j / 4, j % 4);
    let low = V::field(V::bytes(b.add(half * 64 + part % 2 * 32)), (part / 2 * 4) as u32, 0, 15);
    V::or_b(low, V::field(V::bytes(b.add(128 + half * 32)), (part * 2) as u32, 4, 0x30))
});

super_block!(Iq4Xs: 136, bias None, signed true, minima false,
factors(b) { one::<V>(b, 0) }
scales(b) {
    // Scale g: low four bits in nibble g of bytes 4.., high two at bit 2 g of bytes 2...
    let (high, low) = (u32::from(u16::from_le_bytes(b.add(2).cast::<[u8; 2]>().read())), word(b, 4));
    let mut scales = 0u64;
    each!(g < 8 => {
        let six = low >> (4 * g) & 15 | (high >> (2 * g) & 3) << 4;
        scales |= u64::from(six.wrapping_sub(32) as u8) << (8 * g);
    });
    (V::twice(scales), V::apart([0; 2]))
}
quants(b, j) { V::table(V::nibbles(b.add(8 + 16 * j)), &IQ4_LEVELS) });

super_block!(Tq2_0: 66, bias Some(0), signed false, minima false,
    factors(b) { one::<V>(b, 64) }
    scales(_b) { (V::apart([0x0101_0101_0101_0101; 2]), V::apart([0; 2])) }
    quants(b, j) { crumbs::<V>(b, j) });
