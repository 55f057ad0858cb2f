//! x86-64 with AVX2, FMA and F16C: 8 lanes.

use std::arch::x86_64::*;

use super::{
    bytes::{Bytes, Dots},
    lanes::Lanes,
};

#[derive(Clone, Copy)]
pub(super) struct Avx2;

// SAFETY of all blocks below: the entry points in `dispatch.rs` are reached only where the processor has
// AVX2, FMA and F16C, and callers give pointers valid for 8 items.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Lanes for Avx2 {
    type F = __m256;
    type I = __m256i;
    const N: usize = 8;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(v: f32) -> __m256 {
        unsafe { _mm256_set1_ps(v) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn sum(v: __m256) -> f32 {
        unsafe {
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        }
    }
    #[inline(always)]
    unsafe fn splat_i(v: i32) -> __m256i {
        unsafe { _mm256_set1_epi32(v) }
    }
    #[inline(always)]
    unsafe fn u8s(p: *const u8) -> __m256i {
        unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast())) }
    }
    #[inline(always)]
    unsafe fn i8s(p: *const u8) -> __m256i {
        unsafe { _mm256_cvtepi8_epi32(_mm_loadl_epi64(p.cast())) }
    }
    #[inline(always)]
    unsafe fn u16s(p: *const u8) -> __m256i {
        unsafe { _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast())) }
    }
    #[inline(always)]
    unsafe fn and(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_and_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn add_i(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub_i(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_sub_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn shl(a: __m256i, n: u32) -> __m256i {
        unsafe { _mm256_sll_epi32(a, _mm_cvtsi32_si128(n as i32)) }
    }
    #[inline(always)]
    unsafe fn shr(a: __m256i, n: u32) -> __m256i {
        unsafe { _mm256_srl_epi32(a, _mm_cvtsi32_si128(n as i32)) }
    }
    #[inline(always)]
    unsafe fn to_f(a: __m256i) -> __m256 {
        unsafe { _mm256_cvtepi32_ps(a) }
    }
    #[inline(always)]
    unsafe fn from_bits(a: __m256i) -> __m256 {
        unsafe { _mm256_castsi256_ps(a) }
    }
    #[inline(always)]
    unsafe fn bits(a: __m256) -> __m256i {
        unsafe { _mm256_castps_si256(a) }
    }
    #[inline(always)]
    unsafe fn where_set(word: u32, value: i32) -> __m256i {
        unsafe {
            let bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(word as i32), bit), bit);
            _mm256_and_si256(set, _mm256_set1_epi32(value))
        }
    }
    #[inline(always)]
    unsafe fn lookup(lanes: __m256i, table: &[i8; 16]) -> __m256 {
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            let found = _mm256_slli_epi32::<24>(_mm256_shuffle_epi8(table, lanes));
            _mm256_cvtepi32_ps(_mm256_srai_epi32::<24>(found))
        }
    }
    #[inline(always)]
    unsafe fn halves(p: *const u8) -> __m256 {
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) }
    }
    #[inline(always)]
    unsafe fn half(bits: u16) -> f32 {
        unsafe { _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits)))) }
    }
    #[inline(always)]
    fn prefetch(p: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
}

/// For [`Bytes::pick`]: byte numbers of word j, eight times, in both halves.
static PICK: [[u16; 16]; 8] =
    [[0x0100; 16], [0x0302; 16], [0x0504; 16], [0x0706; 16], [0x0908; 16], [0x0b0a; 16], [0x0d0c; 16], [0x0f0e; 16]];

// SAFETY of all blocks below: as above; pointers are valid for what the trait says.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Bytes for Avx2 {
    type B = __m256i;
    type W = __m256i;

    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> __m256i {
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    unsafe fn nibbles(p: *const u8) -> __m256i {
        unsafe {
            let v = _mm_loadu_si128(p.cast());
            let both = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(v), _mm_srli_epi16::<4>(v));
            _mm256_and_si256(both, _mm256_set1_epi8(15))
        }
    }
    #[inline(always)]
    unsafe fn of_words(w: [u64; 4]) -> __m256i {
        unsafe { _mm256_set_epi64x(w[3] as i64, w[2] as i64, w[1] as i64, w[0] as i64) }
    }
    #[inline(always)]
    unsafe fn splat_b(v: u8) -> __m256i {
        unsafe { _mm256_set1_epi8(v as i8) }
    }
    #[inline(always)]
    unsafe fn field(v: __m256i, from: u32, to: u32, mask: u8) -> __m256i {
        unsafe {
            let moved = match from.abs_diff(to) as i32 {
                0 => v,
                n if from > to => _mm256_srl_epi16(v, _mm_cvtsi32_si128(n)),
                n => _mm256_sll_epi16(v, _mm_cvtsi32_si128(n)),
            };
            _mm256_and_si256(moved, _mm256_set1_epi8(mask as i8))
        }
    }
    #[inline(always)]
    unsafe fn or_b(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn table(v: __m256i, table: &[i8; 16]) -> __m256i {
        unsafe { _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())), v) }
    }
    #[inline(always)]
    unsafe fn bits_as(word: u32, value: u8) -> __m256i {
        unsafe {
            // Byte i of the word under bits 8 i ..., then the bit of each place.
            let spread = _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
            let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
            let bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(word as i32), spread);
            let set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
            _mm256_and_si256(set, _mm256_set1_epi8(value as i8))
        }
    }
    #[inline(always)]
    unsafe fn signed(quants: __m256i, x: __m256i) -> (__m256i, __m256i) {
        unsafe { (_mm256_abs_epi8(quants), _mm256_sign_epi8(x, quants)) }
    }
    #[inline(always)]
    unsafe fn negated(x: __m256i, word: u32) -> __m256i {
        unsafe {
            let minus = Self::bits_as(word, 0xff);
            _mm256_sub_epi8(_mm256_xor_si256(x, minus), minus)
        }
    }
    #[inline(always)]
    unsafe fn apart(bytes: [u64; 2]) -> __m256i {
        unsafe {
            let v = _mm_set_epi64x(bytes[1] as i64, bytes[0] as i64);
            let order = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
            _mm256_cvtepi8_epi16(_mm_shuffle_epi8(v, order))
        }
    }
    #[inline(always)]
    unsafe fn twice(bytes: u64) -> __m256i {
        unsafe { _mm256_cvtepi8_epi16(_mm_set1_epi64x(bytes as i64)) }
    }
    #[inline(always)]
    unsafe fn words(p: *const i16) -> __m256i {
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    unsafe fn pick(v: __m256i, j: usize) -> __m256i {
        unsafe { _mm256_shuffle_epi8(v, _mm256_loadu_si256(PICK[j].as_ptr().cast())) }
    }
    #[inline(always)]
    unsafe fn products(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_madd_epi16(a, b) }
    }
    #[inline(always)]
    unsafe fn half_everywhere(p: *const u8) -> __m256 {
        unsafe { _mm256_cvtph_ps(_mm_set1_epi16(p.cast::<i16>().read_unaligned())) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
impl Dots for Avx2 {
    type V = Self;

    #[inline(always)]
    unsafe fn dot(acc: __m256i, quants: __m256i, x: __m256i) -> __m256i {
        unsafe {
            let pairs = _mm256_maddubs_epi16(quants, x);
            _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
    #[inline(always)]
    unsafe fn dot_scaled(acc: __m256i, quants: __m256i, x: __m256i, scale: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(quants, x), scale)) }
    }
}
