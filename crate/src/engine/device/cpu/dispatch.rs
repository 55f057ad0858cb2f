//! Which instruction set the hot kernels use: the only file here that asks for the target.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use super::portable::Portable;
use super::{
    columns::{self, DeltaColumn, ScanColumn, WkvColumn},
    integer::{self, Levels},
    lanes::Lanes,
    linear::{self, Linear, Tile},
    product::{self, Block},
    rows::{self, ChainInput, Head},
};
use crate::{ir::Link, tensor::Encoding};

/// The hot kernels for one instruction set. Calling them is sound where [`available`] offered the table.
pub(super) struct Kernels {
    /// For people: "AVX2 + FMA".
    pub(super) name: &'static str,
    /// Tokens of a packed panel.
    pub(super) panel: usize,
    /// Weight rows of a mat-mul tile.
    pub(super) tile_rows: usize,
    pub(super) packed_len: fn(usize, usize) -> usize,
    pub(super) pack: unsafe fn(*const f32, usize, usize, usize, *mut f32),
    pub(super) matvec: unsafe fn(&Linear),
    /// Rounds a row of activations for [`Kernels::integer`].
    pub(super) round: unsafe fn(*const f32, usize, usize, &mut Levels),
    /// Mat-vec in whole numbers.
    pub(super) integer: unsafe fn(&Linear, &Levels),
    pub(super) matmul: unsafe fn(&Linear, &mut Tile),
    pub(super) decode: unsafe fn(Encoding, *const u8, usize, usize, *mut f32),
    pub(super) rms_norm: unsafe fn(*const f32, *const f32, f32, usize, *mut f32),
    pub(super) layer_norm: unsafe fn(*const f32, *const f32, *const f32, f32, usize, *mut f32),
    pub(super) chain: unsafe fn(&[Link], &[ChainInput], usize, *mut f32),
    pub(super) attend: unsafe fn(&Head<'_>, &mut Vec<f32>, *mut f32),
    pub(super) scan: unsafe fn(&ScanColumn),
    pub(super) delta: unsafe fn(&DeltaColumn),
    pub(super) wkv: unsafe fn(&WkvColumn),
    pub(super) block: unsafe fn(&Block),
}

/// Mat-vec in whole numbers, compiled with the given target features.
macro_rules! integer {
    ($name:ident, $dots:ty $(, $feature:literal)?) => {
        $(#[target_feature(enable = $feature)])?
        unsafe fn $name(l: &Linear, x: &Levels) {
            // SAFETY: as the caller's.
            unsafe { integer::matvec::<$dots>(l, x) }
        }
    };
}

/// A kernel table: every function compiled with the given target features.
macro_rules! kernels {
    ($module:ident, $lanes:ty, $integer:path, $name:literal $(, $feature:literal)?) => {
        mod $module {
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn pack(x: *const f32, k: usize, stride: usize, count: usize, out: *mut f32) {
                // SAFETY: as the caller's.
                unsafe { linear::pack::<$lanes>(x, k, stride, count, out) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn matvec(l: &Linear) {
                // SAFETY: as the caller's.
                unsafe { linear::matvec::<$lanes>(l) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn round(x: *const f32, k: usize, block: usize, to: &mut Levels) {
                // SAFETY: as the caller's.
                unsafe { integer::round::<$lanes>(x, k, block, to) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn matmul(l: &Linear, tile: &mut Tile) {
                // SAFETY: as the caller's.
                unsafe { linear::matmul::<$lanes>(l, tile) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn decode(encoding: Encoding, row: *const u8, from: usize, to: usize, out: *mut f32) {
                // SAFETY: as the caller's.
                unsafe { linear::decode::<$lanes>(encoding, row, from, to, out) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn rms_norm(x: *const f32, w: *const f32, eps: f32, len: usize, y: *mut f32) {
                // SAFETY: as the caller's.
                unsafe { rows::rms_norm::<$lanes>(x, w, eps, len, y) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn layer_norm(x: *const f32, w: *const f32, b: *const f32, eps: f32, len: usize, y: *mut f32) {
                // SAFETY: as the caller's.
                unsafe { rows::layer_norm::<$lanes>(x, w, b, eps, len, y) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn chain(links: &[Link], inputs: &[ChainInput], len: usize, y: *mut f32) {
                // SAFETY: as the caller's.
                unsafe { rows::chain::<$lanes>(links, inputs, len, y) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn attend(h: &Head<'_>, scores: &mut Vec<f32>, y: *mut f32) {
                // SAFETY: as the caller's.
                unsafe { rows::attend::<$lanes>(h, scores, y) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn scan(s: &ScanColumn) {
                // SAFETY: as the caller's.
                unsafe { columns::scan::<$lanes>(s) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn delta(d: &DeltaColumn) {
                // SAFETY: as the caller's.
                unsafe { columns::delta::<$lanes>(d) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn wkv(c: &WkvColumn) {
                // SAFETY: as the caller's.
                unsafe { columns::wkv::<$lanes>(c) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn block(b: &Block) {
                // SAFETY: as the caller's.
                unsafe { product::block::<$lanes>(b) }
            }

            pub(super) const KERNELS: Kernels = Kernels {
                name: $name,
                panel: <$lanes as Lanes>::N * <$lanes as Lanes>::TILE_VECTORS,
                tile_rows: <$lanes as Lanes>::TILE_ROWS,
                packed_len: linear::packed_len::<$lanes>,
                pack,
                matvec,
                round,
                integer: $integer,
                matmul,
                decode,
                rms_norm,
                layer_norm,
                chain,
                attend,
                scan,
                delta,
                wkv,
                block,
            };
        }
    };
}

// A wasm with SIMD is refused by browsers without it: portable kernels beside it would only be downloaded.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
integer!(portable_integer, Portable);
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
kernels!(portable_kernels, Portable, portable_integer, "portable");
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
integer!(wasm_integer, super::wasm::Simd128);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
kernels!(wasm_kernels, super::super::wasm::Simd128, wasm_integer, "SIMD128");

/// The tables of x86-64.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{
        super::{
            avx2::Avx2,
            avx512::Avx512,
            vnni::{Avx512Vnni, AvxVnni},
        },
        *,
    };

    integer!(avx2_integer, Avx2, "avx2,fma,f16c");
    integer!(avx_vnni_integer, AvxVnni, "avxvnni,avx2,fma,f16c");
    integer!(avx512_vnni_integer, Avx512Vnni, "avx512vnni,avx512vl,avx512f,avx2,fma,f16c");

    kernels!(avx2, Avx2, avx2_integer, "AVX2 + FMA", "avx2,fma,f16c");
    kernels!(avx512, Avx512, avx2_integer, "AVX-512", "avx512f,avx2,fma,f16c");

    pub(super) static AVX2: Kernels = avx2::KERNELS;
    pub(super) static AVX2_VNNI: Kernels = Kernels { name: "AVX2 + VNNI", integer: avx_vnni_integer, ..avx2::KERNELS };
    pub(super) static AVX512: Kernels = avx512::KERNELS;
    pub(super) static AVX512_VNNI: Kernels =
        Kernels { name: "AVX-512 + VNNI", integer: avx512_vnni_integer, ..avx512::KERNELS };
}

/// The tables that this processor can run, the best first.
pub(super) fn available() -> Vec<&'static Kernels> {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    static BASE: Kernels = wasm_kernels::KERNELS;
    #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
    static BASE: Kernels = portable_kernels::KERNELS;
    #[allow(unused_mut, reason = "some processors have one table only")]
    let mut tables = vec![&BASE];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
        tables.push(&x86::AVX2);
        if is_x86_feature_detected!("avxvnni") {
            tables.push(&x86::AVX2_VNNI);
        }
        if is_x86_feature_detected!("avx512f") {
            tables.push(&x86::AVX512);
            if is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512vnni") {
                tables.push(&x86::AVX512_VNNI);
            }
        }
    }
    tables.reverse();
    tables
}

/// Threads to use unless the user says otherwise: as many as cores, counting two hardware threads as one
/// core on processors that usually have them.
pub(super) fn default_threads() -> usize {
    let n = std::thread::available_parallelism().map_or(1, usize::from);
    if cfg!(target_arch = "x86_64") && n > 2 { n.div_ceil(2) } else { n }
}
