//! What a buffer holds in main memory, and checked places in it.

use crate::{
    engine::program::{BufferKind, View},
    fault::{Fault, Result},
    ir::Sizes,
    tensor::Encoding,
};

/// A buffer's contents.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CpuBuffer {
    /// Rows of a weight in its file encoding, little-endian.
    Weight { encoding: Encoding, rows: usize, row_len: usize, row_bytes: usize, bytes: Vec<u8> },
    /// Words: f32 or u32.
    Words(Vec<u32>),
}

/// Rows of f32 in a buffer, checked to lie in it.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    at: *mut f32,
    /// Number of rows.
    pub(super) rows: usize,
    /// Values of a row.
    pub(super) width: usize,
    /// Values from a row to the next.
    pub(super) stride: usize,
}

// SAFETY: tasks that share a `Rows` write different rows or columns, and the pool joins before they are read.
unsafe impl Send for Rows {}
// SAFETY: as above.
unsafe impl Sync for Rows {}

impl Rows {
    /// Contiguous rows at the start of `values`.
    pub(super) fn new(values: &mut [f32], rows: usize, width: usize) -> Result<Self> {
        if rows.checked_mul(width).is_none_or(|n| n > values.len()) {
            return Err(Fault::bug(format!("{rows} rows of {width} in {} values", values.len())));
        }
        Ok(Self { at: values.as_mut_ptr(), rows, width, stride: width })
    }
    /// The first value of a row.
    ///
    /// # Safety
    /// `row` is below [`Rows::rows`].
    pub(super) unsafe fn row(&self, row: usize) -> *mut f32 {
        // SAFETY: all rows lie in the buffer, which outlives the step.
        unsafe { self.at.add(row * self.stride) }
    }
    /// The values of a row.
    ///
    /// # Safety
    /// As [`Rows::row`]; nothing writes them meanwhile.
    pub(super) unsafe fn values(&self, row: usize) -> &[f32] {
        // SAFETY: as the caller's.
        unsafe { std::slice::from_raw_parts(self.row(row), self.width) }
    }
    /// One of them alone.
    pub(super) fn only(&self, row: usize) -> Result<Self> {
        if row >= self.rows {
            return Err(Fault::bug(format!("row {row} of {} rows", self.rows)));
        }
        // SAFETY: the row is one of these.
        Ok(Self { at: unsafe { self.row(row) }, rows: 1, ..*self })
    }
    /// Whether both are the same place.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.at == other.at && self.stride == other.stride
    }
    /// Some columns.
    pub(super) fn columns(&self, start: usize, width: usize) -> Result<Self> {
        if start + width > self.width {
            return Err(Fault::bug(format!("columns {start} to {} of rows of {}", start + width, self.width)));
        }
        // SAFETY: the columns lie in each row.
        Ok(Self { at: unsafe { self.at.add(start) }, width, ..*self })
    }
}

impl CpuBuffer {
    /// A buffer before anything is written.
    pub(super) fn new(kind: &BufferKind) -> Result<Self> {
        if let BufferKind::Weight { encoding, rows, row_len } = kind {
            let row_bytes = row_bytes(*encoding, u64::from(*row_len))?;
            let len = row_bytes.checked_mul(*rows as usize).filter(|n| isize::try_from(*n).is_ok());
            let len = len.ok_or_else(|| Fault::limit("a weight does not fit this machine's address space"))?;
            let (rows, row_len) = (*rows as usize, *row_len as usize);
            return Ok(Self::Weight { encoding: *encoding, rows, row_len, row_bytes, bytes: zeroed(len)? });
        }
        let len = usize::try_from(kind.words()).map_err(|_| Fault::limit("a buffer beyond the address space"))?;
        Ok(Self::Words(zeroed(len)?))
    }
    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Weight { bytes, .. } => bytes.len() as u64,
            Self::Words(words) => words.len() as u64 * 4,
        }
    }
    /// The words.
    pub(super) fn words(&self) -> Result<&[u32]> {
        match self {
            Self::Words(words) => Ok(words),
            Self::Weight { .. } => Err(Fault::bug("words expected in a buffer, a weight found")),
        }
    }
    /// The words, to be written.
    pub(super) fn words_mut(&mut self) -> Result<&mut Vec<u32>> {
        match self {
            Self::Words(words) => Ok(words),
            Self::Weight { .. } => Err(Fault::bug("words expected in a buffer, a weight found")),
        }
    }
    /// A view's rows in a step of the given sizes: all dimensions but the last are rows.
    pub(super) fn rows(&mut self, view: &View, sizes: &Sizes) -> Result<Rows> {
        let shape = view.fact.resolve(sizes);
        let width = shape.last().copied().unwrap_or(1);
        let rows: usize = shape.iter().rev().skip(1).product();
        let (offset, stride) = (view.offset as usize, view.stride as usize);
        let words = self.words_mut()?;
        let end = rows.checked_sub(1).map_or(Some(0), |last| {
            last.checked_mul(stride).and_then(|n| n.checked_add(offset)).and_then(|n| n.checked_add(width))
        });
        if end.is_none_or(|end| end > words.len()) {
            return Err(Fault::bug(format!(
                "{rows} rows of {width} values, {stride} apart from {offset}, in a buffer of {}",
                words.len()
            )));
        }
        // SAFETY: the offset is within the buffer where there is a row at all.
        let at = unsafe { words.as_mut_ptr().cast::<f32>().add(if rows == 0 { 0 } else { offset }) };
        Ok(Rows { at, rows, width, stride })
    }
}

/// Zeros; running out of memory is a fault, not an abort.
pub(super) fn zeroed<T: Default + Clone>(len: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(len)
        .map_err(|_| Fault::device(format!("out of memory for {len} values of {} bytes", size_of::<T>())))?;
    values.resize(len, T::default());
    Ok(values)
}

/// Bytes of one row of `row_len` values.
///
/// # Errors
/// The encoding's block size is unknown or does not divide the row.
pub(super) fn row_bytes(encoding: Encoding, row_len: u64) -> Result<usize> {
    encoding
        .bytes(row_len, row_len)
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| Fault::unsupported(format!("a row of {row_len} values in {encoding} is not whole blocks")))
}
