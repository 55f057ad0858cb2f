//! Values in memory, and the ways in which an operation reads them.

use crate::{
    fault::{Fault, Result},
    tensor::Encoding,
};

/// Values with a shape, the last dimension innermost.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Dimensions, the outermost first.
    pub shape: Vec<usize>,
    /// As many values as the dimensions multiply to.
    pub data: Data,
}

/// Values of one type. f16 values are held as f32, i8 and u8 values as i32.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Data {
    F32(Vec<f32>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    Bool(Vec<bool>),
}

/// Borrowed [`Data`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum Slice<'a> {
    F32(&'a [f32]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    Bool(&'a [bool]),
}

/// A borrowed [`Array`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View<'a> {
    shape: &'a [usize],
    data: Slice<'a>,
}

/// A matrix whose rows are decoded one at a time.
pub trait Rows {
    /// Rows, and values of a row.
    fn shape(&self) -> [usize; 2];
    /// Writes the values of a row.
    ///
    /// # Errors
    /// There is no such row, or it cannot be decoded.
    fn row(&self, row: usize, out: &mut [f32]) -> Result<()>;
}

/// The rows of a state, by sequence and position.
pub trait Remembered {
    /// Writes the row that a sequence remembers at a position.
    ///
    /// # Errors
    /// Nothing is remembered there.
    fn row(&self, sequence: i32, position: u32, out: &mut [f32]) -> Result<()>;
}

/// What an operation reads.
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    /// Values.
    Values(View<'a>),
    /// A weight matrix in its encoding.
    Rows(&'a dyn Rows),
    /// Remembered rows.
    State(&'a dyn Remembered),
}

/// Rows of whole blocks, little-endian, one behind the other.
#[derive(Debug, Clone, Copy)]
pub struct Blocks<'a> {
    encoding: Encoding,
    row_len: usize,
    row_bytes: usize,
    bytes: &'a [u8],
}

impl Array {
    /// f32 values.
    ///
    /// # Errors
    /// There are not as many values as the shape says.
    pub fn floats(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Result<Self> {
        Self::new(shape.into(), Data::F32(values))
    }
    /// A list of whole numbers.
    pub fn ints(values: Vec<i32>) -> Self {
        Self { shape: vec![values.len()], data: Data::I32(values) }
    }
    /// Values of any type.
    ///
    /// # Errors
    /// There are not as many values as the shape says.
    pub fn new(shape: Vec<usize>, data: Data) -> Result<Self> {
        View::new(&shape, data.as_slice())?;
        Ok(Self { shape, data })
    }
    /// The values to read.
    pub fn view(&self) -> View<'_> {
        View { shape: &self.shape, data: self.data.as_slice() }
    }
}

impl Data {
    /// The values to read.
    pub fn as_slice(&self) -> Slice<'_> {
        match self {
            Self::F32(v) => Slice::F32(v),
            Self::I32(v) => Slice::I32(v),
            Self::I64(v) => Slice::I64(v),
            Self::Bool(v) => Slice::Bool(v),
        }
    }
}

impl Slice<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::Bool(v) => v.len(),
        }
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// A copy.
    pub fn to_data(self) -> Data {
        match self {
            Self::F32(v) => Data::F32(v.to_vec()),
            Self::I32(v) => Data::I32(v.to_vec()),
            Self::I64(v) => Data::I64(v.to_vec()),
            Self::Bool(v) => Data::Bool(v.to_vec()),
        }
    }
}

impl<'a> View<'a> {
    /// Values of a shape.
    ///
    /// # Errors
    /// There are not as many values as the shape says.
    pub fn new(shape: &'a [usize], data: Slice<'a>) -> Result<Self> {
        let expected = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if expected != Some(data.len()) {
            return Err(Fault::bug(format!("values of the shape {shape:?} expected, {} values found", data.len())));
        }
        Ok(Self { shape, data })
    }
    /// Dimensions, the outermost first.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }
    /// The values.
    pub fn data(&self) -> Slice<'a> {
        self.data
    }
    /// The values, which must be floating-point.
    ///
    /// # Errors
    /// They are not.
    pub fn floats(&self) -> Result<&'a [f32]> {
        match self.data {
            Slice::F32(values) => Ok(values),
            other => Err(Fault::bug(format!("floating-point values expected, {} found", other.kind()))),
        }
    }
    /// The values, which must be i32.
    ///
    /// # Errors
    /// They are not.
    pub fn ints(&self) -> Result<&'a [i32]> {
        match self.data {
            Slice::I32(values) => Ok(values),
            other => Err(Fault::bug(format!("i32 values expected, {} found", other.kind()))),
        }
    }
    /// Values of a row: the last dimension; 1 for a scalar.
    pub fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
    /// A copy.
    pub fn to_array(self) -> Array {
        Array { shape: self.shape.to_vec(), data: self.data.to_data() }
    }
    /// Rows and values of a row of a matrix.
    pub(super) fn matrix(&self) -> Result<[usize; 2]> {
        <[usize; 2]>::try_from(self.shape).map_err(|_| Fault::bug(format!("a matrix expected, {:?} found", self.shape)))
    }
}

impl Slice<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::I32(_) => "i32",
            Self::I64(_) => "i64",
            Self::Bool(_) => "bool",
        }
    }
}

impl<'a> Operand<'a> {
    /// The operand as values.
    ///
    /// # Errors
    /// It is a matrix in an encoding, or a state.
    pub fn values(self) -> Result<View<'a>> {
        match self {
            Self::Values(view) => Ok(view),
            Self::Rows(_) => Err(Fault::bug("values expected, a matrix in an encoding found")),
            Self::State(_) => Err(Fault::bug("values expected, a state found")),
        }
    }
}

impl<'a> From<&'a Array> for Operand<'a> {
    fn from(array: &'a Array) -> Self {
        Self::Values(array.view())
    }
}

impl<'a> From<View<'a>> for Operand<'a> {
    fn from(view: View<'a>) -> Self {
        Self::Values(view)
    }
}

/// A matrix of f32 values, as rows.
impl Rows for View<'_> {
    fn shape(&self) -> [usize; 2] {
        let width = self.width().max(1);
        [self.data.len() / width, width]
    }
    fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        let width = self.width();
        let values = self.floats()?.chunks_exact(width.max(1)).nth(row);
        out.copy_from_slice(values.filter(|v| v.len() == out.len()).ok_or_else(|| no_row(row, self.shape[0]))?);
        Ok(())
    }
}

impl<'a> Blocks<'a> {
    /// Rows of `row_len` values.
    ///
    /// # Errors
    /// The encoding cannot be decoded, its blocks do not fill rows, or the bytes are not whole rows.
    pub fn new(encoding: Encoding, row_len: usize, bytes: &'a [u8]) -> Result<Self> {
        let row_bytes = encoding.bytes(row_len as u64, row_len as u64).and_then(|n| usize::try_from(n).ok());
        let decodes = encoding.spec().is_some_and(|s| s.decode.is_some() && row_len % s.block_len as usize == 0);
        match row_bytes.filter(|n| decodes && *n > 0 && bytes.len() % n == 0) {
            Some(row_bytes) => Ok(Self { encoding, row_len, row_bytes, bytes }),
            None => {
                Err(Fault::bug(format!("rows of {row_len} values of {encoding} expected, {} bytes found", bytes.len())))
            }
        }
    }
}

impl Rows for Blocks<'_> {
    fn shape(&self) -> [usize; 2] {
        [self.bytes.len() / self.row_bytes, self.row_len]
    }
    fn row(&self, row: usize, out: &mut [f32]) -> Result<()> {
        let bytes = self.bytes.chunks_exact(self.row_bytes).nth(row);
        let bytes = bytes.filter(|_| out.len() == self.row_len).ok_or_else(|| no_row(row, self.shape()[0]))?;
        let decode = self.encoding.spec().and_then(|s| s.decode);
        decode.ok_or_else(|| Fault::unsupported(format!("{} cannot be decoded", self.encoding)))?(bytes, out);
        Ok(())
    }
}

fn no_row(row: usize, rows: usize) -> Fault {
    Fault::caller(format!("row {row} of {rows} asked for"))
}
