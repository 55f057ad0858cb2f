//! The only file that knows f16, bf16 and the 8-bit floats.

/// IEEE half to f32.
pub fn f16(bits: u16) -> f32 {
    half::f16::from_bits(bits).to_f32()
}
/// bfloat16 to f32.
pub fn bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
