//! What is known of a value before anything is computed: its element type and its shape.

use std::fmt;

use crate::tensor::Encoding;

/// Element type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum DType {
    F32,
    F16,
    I64,
    I32,
    I8,
    U8,
    Bool,
    /// A weight in the encoding of its file, whole blocks in each row.
    Block(Encoding),
}

/// One dimension of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dim {
    /// A number.
    Fixed(u32),
    /// Rows of the step: the tokens that are computed together.
    Rows,
    /// Rows of the step that want a result.
    Outputs,
    /// Positions of a sequence that a state remembers.
    Context,
}

/// Dimensions, the outermost first.
pub type Shape = Vec<Dim>;

/// Element type and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, the outermost first.
    pub shape: Shape,
}

/// What the symbolic dimensions are in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// [`Dim::Rows`].
    pub rows: u32,
    /// [`Dim::Outputs`].
    pub outputs: u32,
    /// [`Dim::Context`].
    pub context: u32,
}

impl Dim {
    /// The number it is for given sizes.
    pub fn resolve(self, sizes: &Sizes) -> u32 {
        match self {
            Self::Fixed(n) => n,
            Self::Rows => sizes.rows,
            Self::Outputs => sizes.outputs,
            Self::Context => sizes.context,
        }
    }
    /// The number, where it is one.
    pub fn fixed(self) -> Option<u32> {
        match self {
            Self::Fixed(n) => Some(n),
            _ => None,
        }
    }
}

impl Fact {
    /// A fact.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Self { dtype, shape: shape.into() }
    }
    /// f32 values `[rows, width]`.
    pub fn rows(rows: Dim, width: u32) -> Self {
        Self::new(DType::F32, [rows, Dim::Fixed(width)])
    }
    /// The last dimension, where it is a number: values of a row. 1 for a scalar.
    pub fn width(&self) -> Option<u32> {
        self.shape.last().map_or(Some(1), |d| d.fixed())
    }
    /// The shape as numbers.
    pub fn resolve(&self, sizes: &Sizes) -> Vec<usize> {
        self.shape.iter().map(|d| d.resolve(sizes) as usize).collect()
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(n) => write!(f, "{n}"),
            Self::Rows => f.write_str("rows"),
            Self::Outputs => f.write_str("outputs"),
            Self::Context => f.write_str("context"),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
            Self::Block(encoding) => return write!(f, "{encoding}"),
        };
        f.write_str(name)
    }
}

impl fmt::Display for Fact {
    /// "f32[rows, 64]".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, dim) in self.shape.iter().enumerate() {
            write!(f, "{}{dim}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
