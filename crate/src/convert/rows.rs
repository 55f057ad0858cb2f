//! Tensors of an open model, read piece by piece.

use std::ops::Range;

use crate::{
    fault::{Fault, Result},
    model::{ModelFile, Place, TensorEntry},
    source::{SourceFile, SourceSet},
    tensor::swap_to_little,
};

/// A tensor's bytes in its file.
pub(super) struct Stored<'a> {
    entry: &'a TensorEntry,
    file: &'a SourceFile,
    at: Range<u64>,
    big_endian: bool,
}

impl<'a> Stored<'a> {
    /// Where a tensor of a model lies.
    ///
    /// # Errors
    /// Its bytes are not here, or are not as many as its shape says.
    pub(super) fn of(files: &'a SourceSet, model: &'a ModelFile, entry: &'a TensorEntry) -> Result<Self> {
        let name = &entry.name;
        let (file, at) = match &entry.place {
            Place::Here { file, at } => (*file, at.clone()),
            Place::Missing { file, at } => {
                let what = format!("the values of {name} are missing: they lie in bytes {}..{}", at.start, at.end);
                return Err(Fault::source(what).in_file(file));
            }
            _ => return Err(Fault::unsupported(format!("the values of {name} do not lie one behind the other"))),
        };
        let summary = model.files.get(file).ok_or_else(|| Fault::bug("a tensor's place names no file"))?;
        let source = files.find(&summary.name);
        let source = source.ok_or_else(|| Fault::bug("a file of the model is not open").in_file(&summary.name))?;
        if entry.bytes.is_some_and(|n| n != at.end - at.start) || at.end > source.len() {
            let what = format!("{name} needs {} bytes, {} are here", entry.bytes.unwrap_or(0), at.end - at.start);
            return Err(Fault::file(at.start, what).in_file(&summary.name));
        }
        Ok(Self { entry, file: source, at, big_endian: model.big_endian() })
    }
    /// Its size.
    pub(super) fn bytes(&self) -> u64 {
        self.at.end - self.at.start
    }
    /// The name of its file.
    pub(super) fn file_name(&self) -> &str {
        self.file.name()
    }
    /// Bytes `range` of it, least significant byte first; the range holds whole blocks.
    ///
    /// # Errors
    /// The file cannot be read there; numbers of an encoding that is not known cannot be turned.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let mut bytes = self.file.read(self.at.start + range.start..self.at.start + range.end).await?;
        if self.big_endian {
            if self.entry.encoding.spec().is_none() {
                let what = format!("{} is {}, stored big-endian", self.entry.name, self.entry.encoding);
                return Err(Fault::unsupported(format!("{what}, and its numbers cannot be told apart")));
            }
            swap_to_little(self.entry.encoding, &mut bytes);
        }
        Ok(bytes)
    }
}
