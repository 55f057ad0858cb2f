//! What the integer kernels need of a vector instruction set: 32 bytes at a time, beside the [`Lanes`] of f32.
//!
//! Numbers of weights are below 128 or in two's complement, activations lie in -127 ..= 127; so every sum of two
//! products fits 16 bits, and the sums over a block fit 32.

use super::lanes::Lanes;

/// Vectors of 32 bytes, of 16 words of 16 bits, and of the lanes' 8 words of 32 bits.
///
/// # Safety
/// As for [`Lanes`]; pointers are valid for the 32 bytes (or what is said) that are read.
#[allow(clippy::missing_safety_doc)]
pub(super) trait Bytes: Lanes {
    /// 32 bytes.
    type B: Copy;
    /// 16 signed words: as the scales of a block, those of even runs in the first half, of odd runs in the second.
    type W: Copy;

    unsafe fn bytes(p: *const u8) -> Self::B;
    /// The low halves of 16 bytes, then their high halves.
    unsafe fn nibbles(p: *const u8) -> Self::B;
    /// Four words of 8 bytes.
    unsafe fn of_words(words: [u64; 4]) -> Self::B;
    unsafe fn splat_b(v: u8) -> Self::B;
    /// The bits of `mask` after bit `from` of each byte was moved to bit `to`; they must come from the byte itself.
    unsafe fn field(v: Self::B, from: u32, to: u32, mask: u8) -> Self::B;
    unsafe fn or_b(a: Self::B, b: Self::B) -> Self::B;
    /// `table[byte]` for bytes of 0 to 15.
    unsafe fn table(v: Self::B, table: &[i8; 16]) -> Self::B;
    /// Byte i: `value` where bit i of `word` is set, else 0.
    unsafe fn bits_as(word: u32, value: u8) -> Self::B;
    /// Factors for signed quants: the second may be fed to [`Dots`] as activations beside the first as quants.
    unsafe fn signed(quants: Self::B, x: Self::B) -> (Self::B, Self::B);
    /// `x` negated where bit i of `word` is set.
    unsafe fn negated(x: Self::B, word: u32) -> Self::B;

    /// 16 signed bytes in their order: even ones to the first half, odd ones to the second.
    unsafe fn apart(bytes: [u64; 2]) -> Self::W;
    /// 8 bytes, in both halves.
    unsafe fn twice(bytes: u64) -> Self::W;
    /// 16 words as they lie.
    unsafe fn words(p: *const i16) -> Self::W;
    /// Number `j` of each half, all over the half; `j` is below 8.
    unsafe fn pick(v: Self::W, j: usize) -> Self::W;
    /// Sums of two neighbours' products.
    unsafe fn products(a: Self::W, b: Self::W) -> Self::I;

    /// The half at `p`, in every lane.
    unsafe fn half_everywhere(p: *const u8) -> Self::F;
}

/// Sums of byte products: what processors do in one, two or three instructions.
///
/// # Safety
/// As for [`Bytes`].
#[allow(clippy::missing_safety_doc)]
pub(super) trait Dots {
    /// The vectors.
    type V: Bytes;
    /// `acc` plus, in each lane, some products of the 32; all lanes together have all.
    unsafe fn dot(
        acc: <Self::V as Lanes>::I,
        quants: <Self::V as Bytes>::B,
        x: <Self::V as Bytes>::B,
    ) -> <Self::V as Lanes>::I;
    /// The same with the products of the first 16 bytes times `scale`'s first half, of the others times its second.
    unsafe fn dot_scaled(
        acc: <Self::V as Lanes>::I,
        quants: <Self::V as Bytes>::B,
        x: <Self::V as Bytes>::B,
        scale: <Self::V as Bytes>::W,
    ) -> <Self::V as Lanes>::I;
}
