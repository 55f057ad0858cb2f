//! What the hot kernels need of a vector instruction set: written once over [`Lanes`], compiled for each.
//!
//! Every function is `#[inline(always)]` and gets its instructions from the `#[target_feature]`
//! entry points in `dispatch.rs`; pointers are valid for `N` items where one is read or written.

/// A vector of `N` f32 (and of `N` i32).
///
/// # Safety
/// All functions need a processor with the implementation's instructions, which `dispatch.rs` checks.
#[allow(clippy::missing_safety_doc)]
pub(super) trait Lanes: Copy {
    /// `N` f32.
    type F: Copy;
    /// `N` i32.
    type I: Copy;
    /// Number of lanes; 8 or 16.
    const N: usize;
    /// Weight rows of the mat-mul's register tile.
    const TILE_ROWS: usize;
    /// Vectors of tokens of the mat-mul's register tile.
    const TILE_VECTORS: usize;

    unsafe fn splat(v: f32) -> Self::F;
    unsafe fn load(p: *const f32) -> Self::F;
    unsafe fn store(p: *mut f32, v: Self::F);
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once or twice.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Sum of the lanes.
    unsafe fn sum(v: Self::F) -> f32;

    unsafe fn splat_i(v: i32) -> Self::I;
    /// `N` bytes, zero-extended.
    unsafe fn u8s(p: *const u8) -> Self::I;
    /// `N` bytes, sign-extended.
    unsafe fn i8s(p: *const u8) -> Self::I;
    /// `N` little-endian 16-bit words, zero-extended.
    unsafe fn u16s(p: *const u8) -> Self::I;
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn add_i(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn sub_i(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn shl(a: Self::I, n: u32) -> Self::I;
    /// Logical shift.
    unsafe fn shr(a: Self::I, n: u32) -> Self::I;
    /// To the nearest f32.
    unsafe fn to_f(a: Self::I) -> Self::F;
    unsafe fn from_bits(a: Self::I) -> Self::F;
    unsafe fn bits(a: Self::F) -> Self::I;
    /// Lane i: `value` where bit i of `word` is set, else 0.
    unsafe fn where_set(word: u32, value: i32) -> Self::I;
    /// `table[lane]` for lanes of 0 to 15.
    unsafe fn lookup(lanes: Self::I, table: &[i8; 16]) -> Self::F;
    /// `N` IEEE halves.
    unsafe fn halves(p: *const u8) -> Self::F;
    /// One IEEE half.
    unsafe fn half(bits: u16) -> f32;
    /// Asks for a line of memory that will be read soon; any address will do.
    fn prefetch(p: *const u8);
}

/// Repeats a block for constant indices: compilers that favour size do not unroll by themselves, and an
/// array indexed by a variable lives in memory instead of registers.
macro_rules! each {
    ($i:ident < $n:expr => $body:block) => {{
        each!(@ $i, $n, $body, 0 1 2 3 4 5 6 7 8 9 10 11);
    }};
    (@ $i:ident, $n:expr, $body:block, $($k:literal)*) => {
        $(if $k < $n {
            let $i: usize = $k;
            $body
        })*
    };
}
pub(super) use each;

/// e^x to about 1e-7 relative; 0 below -87, inf is never reached (clamped at 88).
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
pub(super) unsafe fn exp<L: Lanes>(x: L::F) -> L::F {
    // SAFETY: the caller's processor has the instructions.
    unsafe {
        let x = L::min(L::max(x, L::splat(-87.3)), L::splat(88.0));
        // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits (Cephes expf's reduction and polynomial).
        let magic = L::splat(12_582_912.0);
        let shifted = L::fma(x, L::splat(std::f32::consts::LOG2_E), magic);
        let n = L::sub(shifted, magic);
        let r = L::fma(n, L::splat(-0.693_359_4), x);
        let r = L::fma(n, L::splat(2.121_944_4e-4), r);
        let p = L::fma(L::splat(1.987_569_1e-4), r, L::splat(1.398_199_9e-3));
        let p = L::fma(p, r, L::splat(8.333_452e-3));
        let p = L::fma(p, r, L::splat(4.166_579_6e-2));
        let p = L::fma(p, r, L::splat(1.666_666_5e-1));
        let p = L::fma(p, r, L::splat(0.5));
        let p = L::add(L::fma(p, L::mul(r, r), r), L::splat(1.0));
        let exponent = L::shl(L::sub_i(L::bits(shifted), L::bits(magic)), 23);
        L::from_bits(L::add_i(L::bits(p), exponent))
    }
}
