//! Encodings whose quants are points of a lattice, with signs of their own: rows beside those of `whole.rs`.
//!
//! A point's coordinates are the quants; a sign is moved to the activation that the coordinate meets. Their scales
//! `d * (0.5 + s) / n` are the whole numbers `2 s + 1` below `d / (2 n)`.

use super::{
    bytes::Bytes,
    lanes::each,
    whole::{Super, long, scaled_half, word},
};
use crate::tensor::quant::grids;

/// The eighth sign of a group makes the number of minus signs even, so seven bits say all eight.
static SIGNS: [u8; 128] = {
    let mut signs = [0; 128];
    let mut i = 0;
    while i < 128 {
        signs[i] = i as u8 | (i.count_ones() as u8 & 1) << 7;
        i += 1;
    }
    signs
};

/// 32 signs: seven bits for each eight from bit 0 on.
#[inline(always)]
fn signs_of(rest: u32) -> u32 {
    let of = |l: u32| u32::from(SIGNS[(rest >> (7 * l) & 127) as usize]) << (8 * l);
    of(0) | of(1) | of(2) | of(3)
}

/// Eight scales `2 s + 1` of the top four bits of words, `apart` bytes from each other.
#[inline(always)]
unsafe fn top_scales(b: *const u8, apart: usize) -> u64 {
    let mut scales = 0;
    // SAFETY: the caller's block holds eight words there.
    unsafe {
        each!(g < 8 => { scales |= u64::from(2 * (word(b, g * apart) >> 28) + 1) << (8 * g); });
    }
    scales
}

/// Sixteen scales `2 s + 1` of eight bytes' halves, low ones first.
#[inline(always)]
unsafe fn half_scales(b: *const u8) -> [u64; 2] {
    // SAFETY: the caller's block holds eight bytes there.
    let bytes = unsafe { long(b, 0) };
    const LOW: u64 = 0x000f_000f_000f_000f;
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Bytes of a word to every second place, then their halves to the places.
    let spread = |v: u64| {
        let v = (v | v << 16) & 0x0000_ffff_0000_ffff;
        let v = (v | v << 8) & 0x00ff_00ff_00ff_00ff;
        ((v & LOW | (v >> 4 & LOW) << 8) << 1) | ONES
    };
    [spread(bytes & 0xffff_ffff), spread(bytes >> 32)]
}

/// A point as bytes of a word.
#[inline(always)]
fn eight(point: &[i8; 8]) -> u64 {
    u64::from_le(bytemuck::cast(*point))
}

/// Two points as bytes of a word.
#[inline(always)]
fn pair(a: &[i8; 4], b: &[i8; 4]) -> u64 {
    u64::from(u32::from_le(bytemuck::cast(*a))) | u64::from(u32::from_le(bytemuck::cast(*b))) << 32
}

/// Declares a lattice encoding: bytes of a block, the factor as a half and what it is multiplied by, scales, points, signs.
macro_rules! lattice {
    ($name:ident: $bytes:literal, factor at $at:literal times $times:literal,
     scales<$V:ident>($sb:ident) $scales:block points($b:ident, $j:ident) $points:block signs($gb:ident, $gj:ident) $signs:block) => {
        pub(super) struct $name;
        impl Super for $name {
            const BYTES: usize = $bytes;
            const BIAS: Option<u32> = None;
            const SIGNED: bool = false;
            const MINS: bool = false;
            #[inline(always)]
            unsafe fn factors<V: Bytes>(b: *const u8) -> (V::F, V::F) {
                // SAFETY: the caller gives a whole block, and every offset below lies in it.
                unsafe { (scaled_half::<V>(b.add($at), $times), V::splat(0.0)) }
            }
            #[inline(always)]
            unsafe fn scales<$V: Bytes>($sb: *const u8) -> ($V::W, $V::W) {
                // SAFETY: as above.
                unsafe { ($scales, $V::apart([0; 2])) }
            }
            #[inline(always)]
            unsafe fn quants<V: Bytes>($b: *const u8, $j: usize) -> V::B {
                // SAFETY: as above.
                unsafe { V::of_words($points) }
            }
            #[inline(always)]
            unsafe fn meet<V: Bytes>($gb: *const u8, $gj: usize, x: V::B) -> (V::B, V::B) {
                // SAFETY: as above.
                unsafe { (Self::quants::<V>($gb, $gj), V::negated(x, $signs)) }
            }
        }
    };
}

lattice!(Iq2Xxs: 66, factor at 0 times 0.125,
    scales<V>(b) { V::twice(top_scales(b.add(6), 8)) }
    points(b, j) {
        let q = word(b, 2 + 8 * j);
        let at = |l: u32| eight(&grids::IQ2_XXS[(q >> (8 * l) & 255) as usize]);
        [at(0), at(1), at(2), at(3)]
    }
    signs(b, j) { signs_of(word(b, 6 + 8 * j)) });

lattice!(Iq2Xs: 74, factor at 0 times 0.125,
scales<V>(b) { V::apart(half_scales(b.add(66))) }
points(b, j) {
    let q = long(b, 2 + 8 * j);
    let at = |l: u32| eight(&grids::IQ2_XS[(q >> (16 * l) & 511) as usize]);
    [at(0), at(1), at(2), at(3)]
}
signs(b, j) {
    let q = long(b, 2 + 8 * j);
    let of = |l: u32| u32::from(SIGNS[(q >> (16 * l + 9) & 127) as usize]) << (8 * l);
    of(0) | of(1) | of(2) | of(3)
});

lattice!(Iq2S: 82, factor at 0 times 0.125,
    scales<V>(b) { V::apart(half_scales(b.add(74))) }
    points(b, j) {
        let (low, high) = (word(b, 2 + 4 * j), u32::from(*b.add(66 + j)));
        let at = |l: u32| eight(&grids::IQ2_S[(low >> (8 * l) & 255 | (high >> (2 * l) & 3) << 8) as usize]);
        [at(0), at(1), at(2), at(3)]
    }
    signs(b, j) { word(b, 34 + 4 * j) });

lattice!(Iq3Xxs: 98, factor at 0 times 0.25,
    scales<V>(b) { V::twice(top_scales(b.add(66), 4)) }
    points(b, j) {
        let q = long(b, 2 + 8 * j).to_le_bytes();
        let at = |i: usize| &grids::IQ3_XXS[usize::from(q[i])];
        [pair(at(0), at(1)), pair(at(2), at(3)), pair(at(4), at(5)), pair(at(6), at(7))]
    }
    signs(b, j) { signs_of(word(b, 66 + 4 * j)) });

lattice!(Iq3S: 110, factor at 0 times 1.0,
    scales<V>(b) {
        let s = u64::from(word(b, 106));
        let mut scales = 0;
        each!(g < 8 => { scales |= (2 * (s >> (4 * g) & 15) + 1) << (8 * g); });
        V::twice(scales)
    }
    points(b, j) {
        let (q, high) = (long(b, 2 + 8 * j).to_le_bytes(), usize::from(*b.add(66 + j)));
        let at = |i: usize| &grids::IQ3_S[usize::from(q[i]) | (high >> i & 1) << 8];
        [pair(at(0), at(1)), pair(at(2), at(3)), pair(at(4), at(5)), pair(at(6), at(7))]
    }
    signs(b, j) { word(b, 74 + 4 * j) });

/// Coordinates of -1, 0 and 1 that are all moved by an eighth, up or down: minima of the scale, or of its negative.
pub(super) struct Iq1S;

impl Super for Iq1S {
    const BYTES: usize = 50;
    const BIAS: Option<u32> = None;
    const SIGNED: bool = true;
    const MINS: bool = true;
    #[inline(always)]
    unsafe fn factors<V: Bytes>(b: *const u8) -> (V::F, V::F) {
        // SAFETY: the caller gives a whole block, and every offset below lies in it.
        unsafe { (V::half_everywhere(b), scaled_half::<V>(b, 0.125)) }
    }
    #[inline(always)]
    unsafe fn scales<V: Bytes>(b: *const u8) -> (V::W, V::W) {
        let (mut scales, mut mins) = (0, 0);
        // SAFETY: as above.
        unsafe {
            each!(g < 8 => {
                let high = u16::from_le_bytes(b.add(34 + 2 * g).cast::<[u8; 2]>().read());
                let scale = (2 * (high >> 12 & 7) + 1) as i8;
                scales |= u64::from(scale as u8) << (8 * g);
                let min = if high & 0x8000 == 0 { -scale } else { scale };
                mins |= u64::from(min as u8) << (8 * g);
            });
            (V::twice(scales), V::twice(mins))
        }
    }
    #[inline(always)]
    unsafe fn quants<V: Bytes>(b: *const u8, j: usize) -> V::B {
        // SAFETY: as above.
        unsafe {
            let (low, high) =
                (word(b, 2 + 4 * j), u32::from(u16::from_le_bytes(b.add(34 + 2 * j).cast::<[u8; 2]>().read())));
            let at = |l: u32| eight(&grids::IQ1[(low >> (8 * l) & 255 | (high >> (3 * l) & 7) << 8) as usize]);
            V::of_words([at(0), at(1), at(2), at(3)])
        }
    }
}
