//! The only file that knows f16, bf16 and the floats of 8 bits and fewer.

use half::{f16, slice::HalfFloatSliceExt};

/// IEEE half to f32.
pub fn f16(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32()
}
/// bfloat16 to f32.
pub fn bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
/// f32 to IEEE half, nearest, ties to even; beyond 65,504 infinity.
pub fn to_f16(value: f32) -> u16 {
    f16::from_f32(value).to_bits()
}
/// f32 to bfloat16, nearest, ties to even.
pub fn to_bf16(value: f32) -> u16 {
    half::bf16::from_f32(value).to_bits()
}
/// The half that lies in two little-endian bytes, as block scales do.
pub(super) fn f16_le(bytes: [u8; 2]) -> f32 {
    f16(u16::from_le_bytes(bytes))
}
/// Little-endian bytes of the half nearest to `value`.
pub(super) fn to_f16_le(value: f32) -> [u8; 2] {
    to_f16(value).to_le_bytes()
}

/// Decodes little-endian halves from bytes of any alignment; as many as both slices hold.
pub(super) fn f16s_le(bytes: &[u8], out: &mut [f32]) {
    const STEP: usize = 64;
    for (bytes, out) in bytes.chunks(2 * STEP).zip(out.chunks_mut(STEP)) {
        let mut halves = [f16::ZERO; STEP];
        let n = out.len().min(bytes.len() / 2);
        for (half, pair) in halves.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *half = f16::from_bits(u16::from_le_bytes(*pair));
        }
        halves[..n].convert_to_f32_slice(&mut out[..n]);
    }
}

/// What the top bit patterns of a small float mean.
#[derive(Clone, Copy)]
enum Top {
    /// As in IEEE 754: the largest exponent holds infinities and NaNs.
    Ieee,
    /// "FN": all ones is NaN, there is no infinity.
    Fn,
    /// "FNUZ": minus zero is NaN, there is neither infinity nor minus zero.
    Fnuz,
    /// Every pattern is a number.
    Finite,
}

const fn pow2(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127) as u32) << 23)
}

/// Value of one small float: sign, `exponent` bits with `bias`, `mantissa` bits.
const fn small(bits: u32, exponent: u32, mantissa: u32, bias: i32, top: Top) -> f32 {
    let negative = bits >> (exponent + mantissa) & 1 == 1;
    let e = bits >> mantissa & ((1 << exponent) - 1);
    let m = bits & ((1 << mantissa) - 1);
    let (e_max, m_max) = ((1 << exponent) - 1, (1 << mantissa) - 1);
    match top {
        Top::Ieee if e == e_max && m == 0 => return if negative { f32::NEG_INFINITY } else { f32::INFINITY },
        Top::Ieee if e == e_max => return f32::NAN,
        Top::Fn if e == e_max && m == m_max => return f32::NAN,
        Top::Fnuz if negative && e == 0 && m == 0 => return f32::NAN,
        _ => {}
    }
    let (significand, e) = if e == 0 { (m, 1) } else { (m | 1 << mantissa, e as i32) };
    let value = significand as f32 * pow2(e - bias - mantissa as i32);
    if negative { -value } else { value }
}

const fn table<const N: usize>(exponent: u32, mantissa: u32, bias: i32, top: Top) -> [f32; N] {
    let mut values = [0.0; N];
    let mut bits = 0;
    while bits < N {
        values[bits] = small(bits as u32, exponent, mantissa, bias, top);
        bits += 1;
    }
    values
}

const fn powers() -> [f32; 256] {
    let mut values = [f32::NAN; 256];
    values[0] = f32::from_bits(1 << 22);
    let mut bits = 1;
    while bits < 255 {
        values[bits] = f32::from_bits((bits as u32) << 23);
        bits += 1;
    }
    values
}

/// 8-bit float E4M3 ("FN"): largest 448, no infinity (OCP 8-bit Floating Point 1.0).
pub static E4M3: [f32; 256] = table(4, 3, 7, Top::Fn);
/// 8-bit float E5M2: a half without its low byte (OCP 8-bit Floating Point 1.0).
pub static E5M2: [f32; 256] = table(5, 2, 15, Top::Ieee);
/// 8-bit float E4M3FNUZ: bias 8, largest 240, one NaN.
pub static E4M3FNUZ: [f32; 256] = table(4, 3, 8, Top::Fnuz);
/// 8-bit float E5M2FNUZ: bias 16, largest 57,344, one NaN.
pub static E5M2FNUZ: [f32; 256] = table(5, 2, 16, Top::Fnuz);
/// Powers of two from 2^-127, 255 is NaN (OCP Microscaling 1.0).
pub static E8M0: [f32; 256] = powers();
/// 6-bit float E2M3: largest 7.5 (OCP Microscaling 1.0).
pub static E2M3: [f32; 64] = table(2, 3, 1, Top::Finite);
/// 6-bit float E3M2: largest 28 (OCP Microscaling 1.0).
pub static E3M2: [f32; 64] = table(3, 2, 3, Top::Finite);
/// 4-bit float E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives (OCP Microscaling 1.0).
pub static E2M1: [f32; 16] = table(2, 1, 1, Top::Finite);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats_have_the_extremes_their_standards_name() {
        assert_eq!((E4M3[0x7e], E4M3[0x01]), (448.0, 2f32.powi(-9)));
        assert!(E4M3[0x7f].is_nan() && E4M3[0xff].is_nan() && E4M3.iter().all(|v| !v.is_infinite()));
        assert_eq!((E5M2[0x7b], E5M2[0x7c], E5M2[0xfc]), (57_344.0, f32::INFINITY, f32::NEG_INFINITY));
        assert_eq!((E4M3FNUZ[0x7f], E4M3FNUZ[0x01]), (240.0, 2f32.powi(-10)));
        assert_eq!((E5M2FNUZ[0x7f], E5M2FNUZ[0x01]), (57_344.0, 2f32.powi(-17)));
        assert!(E4M3FNUZ[0x80].is_nan() && E5M2FNUZ[0x80].is_nan());
        assert_eq!((E8M0[0], E8M0[127], E8M0[254]), (2f32.powi(-127), 1.0, 2f32.powi(127)));
        assert!(E8M0[255].is_nan());
        assert_eq!((E2M3[31], E3M2[31], E2M3[1], E3M2[1]), (7.5, 28.0, 0.125, 0.0625));
        assert_eq!(E2M1[..8], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
    }

    #[test]
    fn e5m2_is_a_half_without_its_low_byte() {
        for (bits, value) in E5M2.iter().enumerate() {
            let half = f16((bits as u16) << 8);
            assert!(half == *value || half.is_nan() && value.is_nan(), "{bits:#04x}: {half} and {value}");
        }
    }

    #[test]
    fn halves_decode_in_bulk_as_they_do_singly() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        let bytes: Vec<u8> = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
        let mut out = vec![0.0; bits.len()];
        f16s_le(&bytes, &mut out);
        for (bits, value) in bits.iter().zip(&out) {
            assert!(value.to_bits() == f16(*bits).to_bits() || value.is_nan() && f16(*bits).is_nan(), "{bits:#06x}");
        }
    }
}
