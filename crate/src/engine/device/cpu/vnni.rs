//! x86-64 with VNNI: sums of four byte products, and of two word products, in one instruction each.

use std::arch::x86_64::*;

use super::{avx2::Avx2, bytes::Dots};

/// The instructions that came with AVX-512, on vectors of 32 bytes.
#[derive(Clone, Copy)]
pub(super) struct Avx512Vnni;

/// The same instructions on processors without AVX-512.
#[derive(Clone, Copy)]
pub(super) struct AvxVnni;

// SAFETY of all blocks below: the entry points in `dispatch.rs` are reached only where the processor has
// AVX2 and the VNNI of the type's name.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Dots for Avx512Vnni {
    type V = Avx2;

    #[inline(always)]
    unsafe fn dot(acc: __m256i, quants: __m256i, x: __m256i) -> __m256i {
        unsafe { _mm256_dpbusd_epi32(acc, quants, x) }
    }
    #[inline(always)]
    unsafe fn dot_scaled(acc: __m256i, quants: __m256i, x: __m256i, scale: __m256i) -> __m256i {
        unsafe { _mm256_dpwssd_epi32(acc, _mm256_maddubs_epi16(quants, x), scale) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks)]
impl Dots for AvxVnni {
    type V = Avx2;

    #[inline(always)]
    unsafe fn dot(acc: __m256i, quants: __m256i, x: __m256i) -> __m256i {
        unsafe { _mm256_dpbusd_avx_epi32(acc, quants, x) }
    }
    #[inline(always)]
    unsafe fn dot_scaled(acc: __m256i, quants: __m256i, x: __m256i, scale: __m256i) -> __m256i {
        unsafe { _mm256_dpwssd_avx_epi32(acc, _mm256_maddubs_epi16(quants, x), scale) }
    }
}
