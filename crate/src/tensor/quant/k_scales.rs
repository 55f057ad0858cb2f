//! The 12 bytes that hold eight 6-bit scales and eight 6-bit minima in Q4_K and Q5_K.
//!
//! ```text
//! byte 0..4   EEAAAAAA  scales 0..4 (A), top two bits of scales 4..8 (E)
//! byte 4..8   eeaaaaaa  minima 0..4 (a), top two bits of minima 4..8 (e)
//! byte 8..12  ffffFFFF  low four bits of scales 4..8 (F) and of minima 4..8 (f)
//! ```

/// Scales and minima, 0 to 63 each.
pub(super) fn unpack(b: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    let (mut scales, mut mins) = ([0; 8], [0; 8]);
    for j in 0..4 {
        scales[j] = b[j] & 63;
        mins[j] = b[j + 4] & 63;
        scales[j + 4] = b[j + 8] & 15 | (b[j] >> 6) << 4;
        mins[j + 4] = b[j + 8] >> 4 | (b[j + 4] >> 6) << 4;
    }
    (scales, mins)
}

/// Inverse of [`unpack`]; only the low six bits of each count.
pub(super) fn pack(scales: &[u8; 8], mins: &[u8; 8]) -> [u8; 12] {
    let mut b = [0; 12];
    for j in 0..4 {
        b[j] = scales[j] & 63 | (scales[j + 4] >> 4) << 6;
        b[j + 4] = mins[j] & 63 | (mins[j + 4] >> 4) << 6;
        b[j + 8] = scales[j + 4] & 15 | mins[j + 4] << 4;
    }
    b
}
