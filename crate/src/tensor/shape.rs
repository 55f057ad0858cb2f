//! Tensor shapes.

use std::fmt;

/// Dimensions, slowest first (row-major, as PyTorch prints them); GGUF's `ne` is reversed on reading.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(pub Vec<u64>);

impl Shape {
    /// Number of elements; `None` when it does not fit 64 bits.
    pub fn elements(&self) -> Option<u64> {
        if self.0.contains(&0) {
            return Some(0);
        }
        self.0.iter().try_fold(1u64, |n, d| n.checked_mul(*d))
    }
    /// Length of the fastest dimension: 1 for a scalar.
    pub fn row_len(&self) -> u64 {
        self.0.last().copied().unwrap_or(1)
    }
    /// Number of rows: the product of all but the fastest dimension.
    pub fn rows(&self) -> Option<u64> {
        let slow = &self.0[..self.0.len().saturating_sub(1)];
        slow.iter().try_fold(1u64, |n, d| n.checked_mul(*d))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("scalar");
        }
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" x ")?;
            }
            write!(f, "{d}")?;
        }
        Ok(())
    }
}
