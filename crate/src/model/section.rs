//! The byte map of a file.

use std::ops::Range;

/// What a byte range holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    /// Magic, version, counts.
    Header,
    /// Key/value metadata.
    Metadata,
    /// The list of tensors.
    TensorList,
    /// Alignment padding.
    Padding,
    /// One tensor's data; its index in `ModelFile::tensors`.
    Tensor(usize),
    /// An operator graph without its tensors.
    Graph,
    /// Bytes that nothing names.
    Gap,
    /// Bytes after the end of everything.
    Trailing,
}

/// One range of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Index into `ModelFile::files`.
    pub file: usize,
    /// Byte range.
    pub at: Range<u64>,
    /// What it holds.
    pub kind: SectionKind,
}
