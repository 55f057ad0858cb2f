//! Bytes to [`ModelFile`]: one file per format, one row each in [`FORMATS`].

use crate::{
    fault::{Fault, Result},
    model::{ArrayPlace, MetaType, ModelFile},
    source::{Limits, SourceSet, Stop, Window},
};

/// How sure a format is that a file is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// It is not.
    No,
    /// The name says so; the content does not contradict.
    ByName,
    /// The content says so.
    ByContent,
}

/// A reader of one container format: synchronous, pure, fuzzable.
pub trait Format: Sync {
    /// Name for people.
    fn name(&self) -> &'static str;
    /// Is this file of this format? `head` holds its first bytes (at most 4 KiB).
    fn sniff(&self, head: &[u8], name: &str, len: u64) -> Match;
    /// Reads the header; asks for bytes with [`Stop::Need`].
    ///
    /// # Errors
    /// `Need` while bytes are missing; `Bad` when the header cannot be read at all.
    fn inspect(&self, file: &Window, limits: &Limits) -> Result<ModelFile, Stop>;
}

/// All readers.
pub static FORMATS: &[&dyn Format] = &[];

/// Reads the model that the files hold together: sniffs, reads headers, merges shards.
///
/// # Errors
/// No file is a model, or the model's header cannot be read.
pub async fn open(_files: &SourceSet, _limits: &Limits) -> Result<ModelFile> {
    Err(Fault::unsupported("no format is known yet"))
}

/// All items of a metadata array, read from its file.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayItems {
    /// Strings as bytes (token pieces need not be UTF-8).
    Strings(Vec<Vec<u8>>),
    /// Integers and booleans.
    Integers(Vec<i64>),
    /// Floats.
    Floats(Vec<f64>),
}

/// Reads `range` (item numbers) of a metadata array.
///
/// # Errors
/// The source fails, or the file changed since it was inspected.
pub async fn read_array(
    _files: &SourceSet,
    _file: &str,
    _place: &ArrayPlace,
    _item: MetaType,
    _range: std::ops::Range<u64>,
) -> Result<ArrayItems> {
    Err(Fault::unsupported("no array can be read yet"))
}
