//! One tensor of a model.

use std::{ops::Range, sync::Arc};

use super::Chunks;
use crate::tensor::{Encoding, Shape};

/// Where a tensor's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the model's file number `file` (index into [`super::ModelFile::files`]), at these bytes.
    Here {
        /// Index into `ModelFile::files`.
        file: usize,
        /// Absolute byte range in that file.
        at: Range<u64>,
    },
    /// In the model's file number `file`, but not one behind the other in row-major order: a transposed or sliced view.
    Strided {
        /// Index into `ModelFile::files`.
        file: usize,
        /// From the first element that the view reaches to the end of the last.
        at: Range<u64>,
        /// Elements from one index to the next, for each dimension.
        strides: Vec<u64>,
    },
    /// In the model's file number `file`, in chunks that may be packed.
    Chunked {
        /// Index into `ModelFile::files`.
        file: usize,
        /// From the first chunk's start to the last one's end; empty where none is stored.
        at: Range<u64>,
        /// Where each lies, and how it is packed.
        chunks: Arc<Chunks>,
    },
    /// In a file that was not given, or beyond the end of a truncated one.
    Missing {
        /// Its name as the model states it (untrusted; never used as a path).
        file: String,
        /// Byte range there; `0..0` where that is not known.
        at: Range<u64>,
    },
    /// Values in the file in a form that is not raw bytes: spelt as protobuf numbers, packed, or escaped.
    Inline,
    /// Nowhere: the header names no bytes for it.
    Absent,
}

/// One tensor: name, shape, encoding and place.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorEntry {
    /// Name as in the file.
    pub name: String,
    /// Slowest dimension first.
    pub shape: Shape,
    /// Element or block encoding.
    pub encoding: Encoding,
    /// Where the bytes are.
    pub place: Place,
    /// Size in bytes, where known.
    pub bytes: Option<u64>,
}
