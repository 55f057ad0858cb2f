//! Element codecs: one number in one or more little-endian bytes, or several packed in few bytes, lowest bits first.

use super::float;

/// Decodes elements of `N` bytes.
fn each<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = value(*bytes);
    }
}

/// Decodes groups of `LEN` elements that share `N` bytes; whole groups only, as in every block codec.
fn packed<const N: usize, const LEN: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn(u32) -> f32) {
    let bits = 8 * N / LEN;
    for (out, group) in out.as_chunks_mut::<LEN>().0.iter_mut().zip(bytes.as_chunks::<N>().0) {
        let word = group.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        for (k, out) in out.iter_mut().enumerate() {
            *out = value(word >> (bits * k) & ((1 << bits) - 1));
        }
    }
}

/// The number whose two's complement lies in the low `bits` bits.
fn signed(word: u32, bits: u32) -> f32 {
    ((word << (32 - bits)) as i32 >> (32 - bits)) as f32
}

pub(super) fn f64(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b| f64::from_le_bytes(b) as f32);
}
pub(super) fn f32(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, f32::from_le_bytes);
}
pub(super) fn f16(bytes: &[u8], out: &mut [f32]) {
    float::f16s_le(bytes, out);
}
pub(super) fn bf16(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b| float::bf16(u16::from_le_bytes(b)));
}
pub(super) fn e4m3(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |[b]| float::E4M3[usize::from(b)]);
}
pub(super) fn e5m2(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |[b]| float::E5M2[usize::from(b)]);
}
pub(super) fn e8m0(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |[b]| float::E8M0[usize::from(b)]);
}
pub(super) fn e4m3fnuz(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |[b]| float::E4M3FNUZ[usize::from(b)]);
}
pub(super) fn e5m2fnuz(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |[b]| float::E5M2FNUZ[usize::from(b)]);
}
pub(super) fn e2m3(bytes: &[u8], out: &mut [f32]) {
    packed::<3, 4>(bytes, out, |w| float::E2M3[w as usize & 63]);
}
pub(super) fn e3m2(bytes: &[u8], out: &mut [f32]) {
    packed::<3, 4>(bytes, out, |w| float::E3M2[w as usize & 63]);
}
pub(super) fn e2m1(bytes: &[u8], out: &mut [f32]) {
    packed::<1, 2>(bytes, out, |w| float::E2M1[w as usize & 15]);
}
pub(super) fn i64(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b| i64::from_le_bytes(b) as f32);
}
pub(super) fn i32(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b| i32::from_le_bytes(b) as f32);
}
pub(super) fn i16(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b| i16::from_le_bytes(b).into());
}
pub(super) fn i8(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b| i8::from_le_bytes(b).into());
}
pub(super) fn i4(bytes: &[u8], out: &mut [f32]) {
    packed::<1, 2>(bytes, out, |w| signed(w, 4));
}
pub(super) fn i2(bytes: &[u8], out: &mut [f32]) {
    packed::<1, 4>(bytes, out, |w| signed(w, 2));
}
pub(super) fn u64(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b| u64::from_le_bytes(b) as f32);
}
pub(super) fn u32(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b| u32::from_le_bytes(b) as f32);
}
pub(super) fn u16(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b| u16::from_le_bytes(b).into());
}
pub(super) fn u8(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |[b]| b.into());
}
pub(super) fn u4(bytes: &[u8], out: &mut [f32]) {
    packed::<1, 2>(bytes, out, |w| w as f32);
}
pub(super) fn u2(bytes: &[u8], out: &mut [f32]) {
    packed::<1, 4>(bytes, out, |w| w as f32);
}
pub(super) fn bool(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |[b]| if b == 0 { 0.0 } else { 1.0 });
}
/// Real parts.
pub(super) fn c64(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |[a, b, c, d, ..]: [u8; 8]| f32::from_le_bytes([a, b, c, d]));
}
/// Real parts.
pub(super) fn c128(bytes: &[u8], out: &mut [f32]) {
    each(bytes, out, |b: [u8; 16]| f64::from_le_bytes(*b.first_chunk().unwrap_or(&[0; 8])) as f32);
}

pub(super) fn to_f32(values: &[f32], bytes: &mut [u8]) {
    for (value, bytes) in values.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = value.to_le_bytes();
    }
}
pub(super) fn to_f16(values: &[f32], bytes: &mut [u8]) {
    for (value, bytes) in values.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = float::to_f16(*value).to_le_bytes();
    }
}
pub(super) fn to_bf16(values: &[f32], bytes: &mut [u8]) {
    for (value, bytes) in values.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = float::to_bf16(*value).to_le_bytes();
    }
}
