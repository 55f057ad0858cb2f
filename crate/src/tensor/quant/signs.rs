//! Signs of the lattice encodings.

/// The eighth sign of a group makes the number of minus signs even, so seven bits say all eight.
pub(super) fn of_seven_bits(index: u32) -> u8 {
    let seven = (index & 127) as u8;
    seven | (seven.count_ones() as u8 & 1) << 7
}

/// Writes `scale` times a lattice point, negated where bit j of `signs` is set.
pub(super) fn put<const DIM: usize>(out: &mut [f32], scale: f32, point: &[i8; DIM], signs: u8) {
    for (j, (out, coordinate)) in out.iter_mut().zip(point).enumerate() {
        let flip = u32::from(signs >> j & 1) << 31;
        *out = f32::from_bits((scale * f32::from(*coordinate)).to_bits() ^ flip);
    }
}
