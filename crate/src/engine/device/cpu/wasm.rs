//! WebAssembly SIMD: 8 lanes as two vectors of 4, which is how byte loads widen best.

use std::arch::wasm32::*;

use super::{
    bytes::{Bytes, Dots},
    lanes::Lanes,
};

#[derive(Clone, Copy)]
pub(super) struct Simd128;

/// Two vectors: lanes 0 to 3, and 4 to 7.
#[derive(Clone, Copy)]
pub(super) struct Pair(v128, v128);

#[inline(always)]
fn each(a: Pair, f: impl Fn(v128) -> v128) -> Pair {
    Pair(f(a.0), f(a.1))
}

#[inline(always)]
fn both(a: Pair, b: Pair, f: impl Fn(v128, v128) -> v128) -> Pair {
    Pair(f(a.0, b.0), f(a.1, b.1))
}

/// f16 bits in 32-bit lanes to f32: the exponent is rebiased by a multiplication, so subnormals come out right.
#[inline(always)]
fn widen_halves(h: v128) -> v128 {
    let magnitude = v128_and(h, u32x4_splat(0x7fff));
    let value = f32x4_mul(i32x4_shl(magnitude, 13), f32x4_splat(f32::from_bits(0x7780_0000)));
    let special = u32x4_ge(magnitude, u32x4_splat(0x7c00));
    let value = v128_or(value, v128_and(special, u32x4_splat(0x7f80_0000)));
    v128_or(value, i32x4_shl(v128_and(h, u32x4_splat(0x8000)), 16))
}

// SAFETY of all blocks below: this file is compiled only with simd128, and callers give pointers valid for 8 items.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Simd128 {
    type F = Pair;
    type I = Pair;
    const N: usize = 8;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn splat(v: f32) -> Pair {
        Pair(f32x4_splat(v), f32x4_splat(v))
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Pair {
        unsafe { Pair(v128_load(p.cast()), v128_load(p.add(4).cast())) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Pair) {
        unsafe {
            v128_store(p.cast(), v.0);
            v128_store(p.add(4).cast(), v.1);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| f32x4_add(x, y))
    }
    #[inline(always)]
    unsafe fn sub(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| f32x4_sub(x, y))
    }
    #[inline(always)]
    unsafe fn mul(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| f32x4_mul(x, y))
    }
    #[inline(always)]
    unsafe fn div(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| f32x4_div(x, y))
    }
    #[inline(always)]
    unsafe fn max(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| f32x4_pmax(x, y))
    }
    #[inline(always)]
    unsafe fn min(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| f32x4_pmin(x, y))
    }
    #[inline(always)]
    unsafe fn fma(a: Pair, b: Pair, c: Pair) -> Pair {
        both(c, both(a, b, |x, y| f32x4_mul(x, y)), |x, y| f32x4_add(x, y))
    }
    #[inline(always)]
    unsafe fn sum(v: Pair) -> f32 {
        let v = f32x4_add(v.0, v.1);
        let v = f32x4_add(v, i32x4_shuffle::<2, 3, 0, 1>(v, v));
        f32x4_extract_lane::<0>(v) + f32x4_extract_lane::<1>(v)
    }
    #[inline(always)]
    unsafe fn splat_i(v: i32) -> Pair {
        Pair(i32x4_splat(v), i32x4_splat(v))
    }
    #[inline(always)]
    unsafe fn u8s(p: *const u8) -> Pair {
        let v = unsafe { u16x8_load_extend_u8x8(p) };
        Pair(u32x4_extend_low_u16x8(v), u32x4_extend_high_u16x8(v))
    }
    #[inline(always)]
    unsafe fn i8s(p: *const u8) -> Pair {
        let v = unsafe { i16x8_load_extend_i8x8(p.cast()) };
        Pair(i32x4_extend_low_i16x8(v), i32x4_extend_high_i16x8(v))
    }
    #[inline(always)]
    unsafe fn u16s(p: *const u8) -> Pair {
        let v = unsafe { v128_load(p.cast()) };
        Pair(u32x4_extend_low_u16x8(v), u32x4_extend_high_u16x8(v))
    }
    #[inline(always)]
    unsafe fn and(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| v128_and(x, y))
    }
    #[inline(always)]
    unsafe fn or(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| v128_or(x, y))
    }
    #[inline(always)]
    unsafe fn add_i(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| i32x4_add(x, y))
    }
    #[inline(always)]
    unsafe fn sub_i(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| i32x4_sub(x, y))
    }
    #[inline(always)]
    unsafe fn shl(a: Pair, n: u32) -> Pair {
        each(a, |v| i32x4_shl(v, n))
    }
    #[inline(always)]
    unsafe fn shr(a: Pair, n: u32) -> Pair {
        each(a, |v| u32x4_shr(v, n))
    }
    #[inline(always)]
    unsafe fn to_f(a: Pair) -> Pair {
        each(a, |x| f32x4_convert_i32x4(x))
    }
    #[inline(always)]
    unsafe fn from_bits(a: Pair) -> Pair {
        a
    }
    #[inline(always)]
    unsafe fn bits(a: Pair) -> Pair {
        a
    }
    #[inline(always)]
    unsafe fn where_set(word: u32, value: i32) -> Pair {
        let pick = |bit| v128_and(i32x4_eq(v128_and(u32x4_splat(word), bit), bit), i32x4_splat(value));
        Pair(pick(u32x4(1, 2, 4, 8)), pick(u32x4(16, 32, 64, 128)))
    }
    #[inline(always)]
    unsafe fn lookup(lanes: Pair, table: &[i8; 16]) -> Pair {
        let table = unsafe { v128_load(table.as_ptr().cast()) };
        each(lanes, |v| f32x4_convert_i32x4(i32x4_shr(i32x4_shl(i8x16_swizzle(table, v), 24), 24)))
    }
    #[inline(always)]
    unsafe fn halves(p: *const u8) -> Pair {
        each(unsafe { Self::u16s(p) }, widen_halves)
    }
    #[inline(always)]
    unsafe fn half(bits: u16) -> f32 {
        f32x4_extract_lane::<0>(widen_halves(u32x4_splat(u32::from(bits))))
    }
    #[inline(always)]
    fn prefetch(_: *const u8) {}
}

#[allow(clippy::undocumented_unsafe_blocks)]
impl Bytes for Simd128 {
    type B = Pair;
    type W = Pair;

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> Pair {
        unsafe { Pair(v128_load(p.cast()), v128_load(p.add(16).cast())) }
    }
    #[inline(always)]
    unsafe fn nibbles(p: *const u8) -> Pair {
        let v = unsafe { v128_load(p.cast()) };
        Pair(v128_and(v, u8x16_splat(15)), u8x16_shr(v, 4))
    }
    #[inline(always)]
    unsafe fn of_words(w: [u64; 4]) -> Pair {
        Pair(u64x2(w[0], w[1]), u64x2(w[2], w[3]))
    }
    #[inline(always)]
    unsafe fn splat_b(v: u8) -> Pair {
        Pair(u8x16_splat(v), u8x16_splat(v))
    }
    #[inline(always)]
    unsafe fn field(v: Pair, from: u32, to: u32, mask: u8) -> Pair {
        // Shifts of 16 bits are one instruction on most processors, those of bytes are not.
        each(v, |v| {
            let moved = if from >= to { u16x8_shr(v, from - to) } else { u16x8_shl(v, to - from) };
            v128_and(moved, u8x16_splat(mask))
        })
    }
    #[inline(always)]
    unsafe fn or_b(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| v128_or(x, y))
    }
    #[inline(always)]
    unsafe fn table(v: Pair, table: &[i8; 16]) -> Pair {
        let table = unsafe { v128_load(table.as_ptr().cast()) };
        each(v, |v| i8x16_swizzle(table, v))
    }
    #[inline(always)]
    unsafe fn bits_as(word: u32, value: u8) -> Pair {
        let bit = u64x2_splat(0x8040_2010_0804_0201);
        let word = u32x4_splat(word);
        let pick = |spread| {
            let set = i8x16_eq(v128_and(i8x16_swizzle(word, spread), bit), bit);
            v128_and(set, u8x16_splat(value))
        };
        let first = u64x2(0, 0x0101_0101_0101_0101);
        Pair(pick(first), pick(i8x16_add(first, u8x16_splat(2))))
    }
    #[inline(always)]
    unsafe fn signed(quants: Pair, x: Pair) -> (Pair, Pair) {
        (quants, x)
    }
    #[inline(always)]
    unsafe fn negated(x: Pair, word: u32) -> Pair {
        both(x, unsafe { Self::bits_as(word, 0xff) }, |x, minus| i8x16_sub(v128_xor(x, minus), minus))
    }
    #[inline(always)]
    unsafe fn apart(bytes: [u64; 2]) -> Pair {
        let v = u64x2(bytes[0], bytes[1]);
        let v = i8x16_shuffle::<0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15>(v, v);
        Pair(i16x8_extend_low_i8x16(v), i16x8_extend_high_i8x16(v))
    }
    #[inline(always)]
    unsafe fn twice(bytes: u64) -> Pair {
        let v = i16x8_extend_low_i8x16(u64x2_splat(bytes));
        Pair(v, v)
    }
    #[inline(always)]
    unsafe fn words(p: *const i16) -> Pair {
        unsafe { Pair(v128_load(p.cast()), v128_load(p.add(8).cast())) }
    }
    #[inline(always)]
    unsafe fn pick(v: Pair, j: usize) -> Pair {
        each(v, |v| i8x16_swizzle(v, u16x8_splat(0x0100 + 0x0202 * j as u16)))
    }
    #[inline(always)]
    unsafe fn products(a: Pair, b: Pair) -> Pair {
        both(a, b, |x, y| i32x4_dot_i16x8(x, y))
    }
    #[inline(always)]
    unsafe fn half_everywhere(p: *const u8) -> Pair {
        let v = widen_halves(u32x4_splat(u32::from(unsafe { p.cast::<u16>().read_unaligned() })));
        Pair(v, v)
    }
}

/// Sums of products eight apart; two fit 16 bits.
#[inline(always)]
fn pairs(quants: v128, x: v128) -> v128 {
    i16x8_add(i16x8_extmul_low_i8x16(quants, x), i16x8_extmul_high_i8x16(quants, x))
}

impl Dots for Simd128 {
    type V = Self;

    #[inline(always)]
    unsafe fn dot(acc: Pair, quants: Pair, x: Pair) -> Pair {
        both(acc, both(quants, x, pairs), |acc, p| i32x4_add(acc, i32x4_extadd_pairwise_i16x8(p)))
    }
    #[inline(always)]
    unsafe fn dot_scaled(acc: Pair, quants: Pair, x: Pair, scale: Pair) -> Pair {
        let sums = both(both(quants, x, pairs), scale, |p, s| i32x4_dot_i16x8(p, s));
        both(acc, sums, |acc, s| i32x4_add(acc, s))
    }
}
