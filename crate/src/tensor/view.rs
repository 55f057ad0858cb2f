//! Bytes with an encoding and a shape, checked once.

use std::ops::Range;

use super::{Encoding, EncodingSpec, Shape};
use crate::fault::{Fault, Result};

/// Whole rows of a tensor in memory; the byte count is checked at construction.
pub struct TensorView<'a> {
    spec: &'static EncodingSpec,
    decode: fn(&[u8], &mut [f32]),
    rows: u64,
    row_len: u64,
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// A view on whole rows.
    ///
    /// # Errors
    /// The bytes do not match encoding and shape, or the encoding has no decoder.
    pub fn new(encoding: Encoding, shape: &Shape, bytes: &'a [u8]) -> Result<Self> {
        let rows = shape.rows().ok_or_else(|| Fault::limit("more rows than 64 bits can count"))?;
        let row_len = shape.row_len();
        let Some((spec, decode)) = encoding.spec().and_then(|s| Some((s, s.decode?))) else {
            return Err(Fault::unsupported(format!("{encoding} cannot be decoded")));
        };
        let given = bytes.len();
        match shape.elements().and_then(|n| encoding.bytes(n, row_len)) {
            Some(need) if need == given as u64 => Ok(Self { spec, decode, rows, row_len, bytes }),
            Some(need) => {
                Err(Fault::caller(format!("{encoding} of shape {shape} needs {need} bytes, {given} were given")))
            }
            None => Err(Fault::caller(format!(
                "{encoding} of shape {shape} has no byte count: rows of {row_len} are not whole blocks of {}, \
                 or it is beyond 64 bits",
                spec.block_len
            ))),
        }
    }
    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }
    /// Elements of one row.
    pub fn row_len(&self) -> u64 {
        self.row_len
    }
    /// Decodes `rows` to f32, one after the other.
    ///
    /// # Errors
    /// Rows beyond the end.
    pub fn decode(&self, rows: Range<u64>) -> Result<Vec<f32>> {
        let mut out = Vec::new();
        self.decode_into(rows, &mut out)?;
        Ok(out)
    }
    /// As [`Self::decode`], into a buffer that is emptied first: for loops over many rows.
    ///
    /// # Errors
    /// Rows beyond the end.
    pub fn decode_into(&self, rows: Range<u64>, out: &mut Vec<f32>) -> Result<()> {
        out.clear();
        if rows.start > rows.end || rows.end > self.rows {
            return Err(Fault::caller(format!("rows {} to {} asked, {} are there", rows.start, rows.end, self.rows)));
        }
        // Construction bound the product of all rows to the bytes in memory; saturation only meets empty rows.
        let elements = rows.start.saturating_mul(self.row_len)..rows.end.saturating_mul(self.row_len);
        if elements.is_empty() {
            return Ok(());
        }
        let (len, size) = (u64::from(self.spec.block_len), u64::from(self.spec.block_bytes));
        let blocks = elements.start / len..elements.end.div_ceil(len);
        let at = (blocks.start * size) as usize..(blocks.end * size) as usize;
        let bytes = self.bytes.get(at).ok_or_else(|| Fault::bug("a checked view is shorter than its shape"))?;
        out.resize(((blocks.end - blocks.start) * len) as usize, 0.0);
        (self.decode)(bytes, out);
        // Packed elements: a row may begin and end inside a byte.
        out.drain(..(elements.start - blocks.start * len) as usize);
        out.truncate((elements.end - elements.start) as usize);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Blame;

    #[test]
    fn rows_of_packed_elements_may_begin_inside_a_byte() {
        let view = TensorView::new(Encoding::U4, &Shape(vec![3, 3]), &[0x21, 0x43, 0x65, 0x87, 0x09]).unwrap();
        assert_eq!(view.decode(0..3).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!(view.decode(1..2).unwrap(), [4.0, 5.0, 6.0]);
        assert_eq!(view.decode(2..3).unwrap(), [7.0, 8.0, 9.0]);
        assert!(view.decode(3..3).unwrap().is_empty());
    }

    #[test]
    fn rows_beyond_the_end_are_named() {
        let view = TensorView::new(Encoding::I8, &Shape(vec![2, 2]), &[1, 2, 3, 4]).unwrap();
        let fault = view.decode(1..3).unwrap_err();
        assert_eq!((fault.blame, fault.what.as_str()), (Blame::Caller, "rows 1 to 3 asked, 2 are there"));
        #[allow(clippy::reversed_empty_ranges)]
        let backwards = view.decode(2..1);
        assert!(backwards.is_err());
    }

    #[test]
    fn wrong_byte_counts_and_undecodable_encodings_are_refused() {
        let refusal = |e, shape: &[u64], n| TensorView::new(e, &Shape(shape.to_vec()), &vec![0; n]).err().unwrap();
        assert!(refusal(Encoding::Q4_0, &[2, 32], 35).what.contains("needs 36 bytes, 35 were given"));
        assert!(refusal(Encoding::Q4_0, &[2, 16], 18).what.contains("not whole blocks of 32"));
        assert!(refusal(Encoding::F32, &[u64::MAX / 2, 8], 0).what.contains("beyond 64 bits"));
        assert_eq!(refusal(Encoding::UnknownGgml(99), &[1], 1).blame, Blame::Unsupported);
        assert_eq!(refusal(Encoding::String, &[1], 1).blame, Blame::Unsupported);
    }

    #[test]
    fn a_zero_dimension_gives_rows_without_values() {
        let view = TensorView::new(Encoding::F32, &Shape(vec![u64::MAX, 0]), &[]).unwrap();
        assert!(view.decode(0..u64::MAX).unwrap().is_empty());
        let bytes = 2.5f32.to_le_bytes();
        let scalar = TensorView::new(Encoding::F32, &Shape(vec![]), &bytes).unwrap();
        assert_eq!(scalar.decode(0..1).unwrap(), [2.5]);
    }
}
