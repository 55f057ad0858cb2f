//! Lanes without instructions of their own: plain arrays that the compiler may vectorise.

use super::{
    bytes::{Bytes, Dots},
    lanes::Lanes,
};

#[derive(Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn map<A: Copy, B, const N: usize>(a: [A; N], f: impl Fn(A) -> B) -> [B; N] {
    a.map(f)
}

#[inline(always)]
fn zip<A: Copy, B, const N: usize>(a: [A; N], b: [A; N], f: impl Fn(A, A) -> B) -> [B; N] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Lanes for Portable {
    type F = [f32; 8];
    type I = [i32; 8];
    const N: usize = 8;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn splat(v: f32) -> Self::F {
        [v; 8]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        // SAFETY: the caller gives 8 readable values.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::F) {
        // SAFETY: the caller gives room for 8 values.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn sum(v: Self::F) -> f32 {
        ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    }
    #[inline(always)]
    unsafe fn splat_i(v: i32) -> Self::I {
        [v; 8]
    }
    #[inline(always)]
    unsafe fn u8s(p: *const u8) -> Self::I {
        // SAFETY: the caller gives 8 readable bytes.
        map(unsafe { p.cast::<[u8; 8]>().read_unaligned() }, i32::from)
    }
    #[inline(always)]
    unsafe fn i8s(p: *const u8) -> Self::I {
        // SAFETY: the caller gives 8 readable bytes.
        map(unsafe { p.cast::<[i8; 8]>().read_unaligned() }, i32::from)
    }
    #[inline(always)]
    unsafe fn u16s(p: *const u8) -> Self::I {
        // SAFETY: the caller gives 16 readable bytes.
        map(unsafe { p.cast::<[u16; 8]>().read_unaligned() }, |v| i32::from(u16::from_le(v)))
    }
    #[inline(always)]
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| a & b)
    }
    #[inline(always)]
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn sub_i(a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i32::wrapping_sub)
    }
    #[inline(always)]
    unsafe fn shl(a: Self::I, n: u32) -> Self::I {
        map(a, |a| a << n)
    }
    #[inline(always)]
    unsafe fn shr(a: Self::I, n: u32) -> Self::I {
        map(a, |a| (a as u32 >> n) as i32)
    }
    #[inline(always)]
    unsafe fn to_f(a: Self::I) -> Self::F {
        map(a, |a| a as f32)
    }
    #[inline(always)]
    unsafe fn from_bits(a: Self::I) -> Self::F {
        map(a, |a| f32::from_bits(a as u32))
    }
    #[inline(always)]
    unsafe fn bits(a: Self::F) -> Self::I {
        map(a, |a| a.to_bits() as i32)
    }
    #[inline(always)]
    unsafe fn where_set(word: u32, value: i32) -> Self::I {
        std::array::from_fn(|i| if word >> i & 1 == 1 { value } else { 0 })
    }
    #[inline(always)]
    unsafe fn lookup(lanes: Self::I, table: &[i8; 16]) -> Self::F {
        map(lanes, |i| f32::from(table[i as usize & 15]))
    }
    #[inline(always)]
    unsafe fn halves(p: *const u8) -> Self::F {
        // SAFETY: as the caller's.
        unsafe { map(Self::u16s(p), |bits| Self::half(bits as u16)) }
    }
    #[inline(always)]
    unsafe fn half(bits: u16) -> f32 {
        crate::tensor::float::f16(bits)
    }
    #[inline(always)]
    fn prefetch(_: *const u8) {}
}

impl Bytes for Portable {
    type B = [u8; 32];
    type W = [i16; 16];

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> [u8; 32] {
        // SAFETY: the caller gives 32 readable bytes.
        unsafe { p.cast::<[u8; 32]>().read() }
    }
    #[inline(always)]
    unsafe fn nibbles(p: *const u8) -> [u8; 32] {
        // SAFETY: the caller gives 16 readable bytes.
        let v = unsafe { p.cast::<[u8; 16]>().read() };
        std::array::from_fn(|i| if i < 16 { v[i] & 15 } else { v[i - 16] >> 4 })
    }
    #[inline(always)]
    unsafe fn of_words(words: [u64; 4]) -> [u8; 32] {
        std::array::from_fn(|i| (words[i / 8] >> (i % 8 * 8)) as u8)
    }
    #[inline(always)]
    unsafe fn splat_b(v: u8) -> [u8; 32] {
        [v; 32]
    }
    #[inline(always)]
    unsafe fn field(v: [u8; 32], from: u32, to: u32, mask: u8) -> [u8; 32] {
        map(v, |v| (u16::from(v) << to >> from) as u8 & mask)
    }
    #[inline(always)]
    unsafe fn or_b(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    unsafe fn table(v: [u8; 32], table: &[i8; 16]) -> [u8; 32] {
        map(v, |v| table[usize::from(v & 15)] as u8)
    }
    #[inline(always)]
    unsafe fn bits_as(word: u32, value: u8) -> [u8; 32] {
        std::array::from_fn(|i| if word >> i & 1 == 1 { value } else { 0 })
    }
    #[inline(always)]
    unsafe fn signed(quants: [u8; 32], x: [u8; 32]) -> ([u8; 32], [u8; 32]) {
        (quants, x)
    }
    #[inline(always)]
    unsafe fn negated(x: [u8; 32], word: u32) -> [u8; 32] {
        std::array::from_fn(|i| if word >> i & 1 == 1 { x[i].wrapping_neg() } else { x[i] })
    }
    #[inline(always)]
    unsafe fn apart(bytes: [u64; 2]) -> [i16; 16] {
        std::array::from_fn(|i| {
            let run = i % 8 * 2 + i / 8;
            i16::from((bytes[run / 8] >> (run % 8 * 8)) as i8)
        })
    }
    #[inline(always)]
    unsafe fn twice(bytes: u64) -> [i16; 16] {
        std::array::from_fn(|i| i16::from((bytes >> (i % 8 * 8)) as i8))
    }
    #[inline(always)]
    unsafe fn words(p: *const i16) -> [i16; 16] {
        // SAFETY: the caller gives 16 readable words.
        unsafe { p.cast::<[i16; 16]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn pick(v: [i16; 16], j: usize) -> [i16; 16] {
        std::array::from_fn(|i| v[i / 8 * 8 + j])
    }
    #[inline(always)]
    unsafe fn products(a: [i16; 16], b: [i16; 16]) -> [i32; 8] {
        std::array::from_fn(|i| {
            i32::from(a[2 * i]) * i32::from(b[2 * i]) + i32::from(a[2 * i + 1]) * i32::from(b[2 * i + 1])
        })
    }
    #[inline(always)]
    unsafe fn half_everywhere(p: *const u8) -> [f32; 8] {
        // SAFETY: the caller gives a readable half.
        unsafe { [Self::half(u16::from_le_bytes(p.cast::<[u8; 2]>().read())); 8] }
    }
}

/// Four products.
#[inline(always)]
fn four(quants: &[u8; 32], x: &[u8; 32], lane: usize) -> i32 {
    (4 * lane..4 * lane + 4).map(|i| i32::from(quants[i] as i8) * i32::from(x[i] as i8)).sum()
}

impl Dots for Portable {
    type V = Self;

    #[inline(always)]
    unsafe fn dot(acc: [i32; 8], quants: [u8; 32], x: [u8; 32]) -> [i32; 8] {
        std::array::from_fn(|lane| acc[lane] + four(&quants, &x, lane))
    }
    #[inline(always)]
    unsafe fn dot_scaled(acc: [i32; 8], quants: [u8; 32], x: [u8; 32], scale: [i16; 16]) -> [i32; 8] {
        std::array::from_fn(|lane| acc[lane] + four(&quants, &x, lane) * i32::from(scale[2 * lane]))
    }
}
