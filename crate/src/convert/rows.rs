//! Tensors of an open model, read piece by piece.

use std::ops::Range;

use crate::{
    fault::{Fault, Result},
    model::{ModelFile, Place, TensorEntry},
    source::{SourceFile, SourceSet},
    tensor::swap_to_little,
};

/// Bytes of a view that are read at once.
const GATHERED: u64 = 256 << 20;

/// A tensor's bytes in its file.
pub(super) struct Stored<'a> {
    entry: &'a TensorEntry,
    file: &'a SourceFile,
    at: Range<u64>,
    /// Elements from one index to the next, where the values do not lie one behind the other.
    strides: Option<&'a [u64]>,
    big_endian: bool,
}

impl<'a> Stored<'a> {
    /// Where a tensor of a model lies.
    ///
    /// # Errors
    /// Its bytes are not here, or are not as many as its shape says.
    pub(super) fn of(files: &'a SourceSet, model: &'a ModelFile, entry: &'a TensorEntry) -> Result<Self> {
        let name = &entry.name;
        let mut strides = None;
        let (file, at) = match &entry.place {
            Place::Here { file, at } => (*file, at.clone()),
            Place::Strided { file, at, strides: steps } if entry.encoding.spec().is_some_and(|s| s.block_len == 1) => {
                strides = Some(steps.as_slice());
                (*file, at.clone())
            }
            Place::Missing { file, at } => {
                let what = format!("the values of {name} are missing: they lie in bytes {}..{}", at.start, at.end);
                return Err(Fault::source(what).in_file(file));
            }
            _ => {
                return Err(Fault::unsupported(format!(
                    "the values of {name} are packed, spelt out or nowhere: they cannot be copied yet"
                )));
            }
        };
        let summary = model.files.get(file).ok_or_else(|| Fault::bug("a tensor's place names no file"))?;
        let source = files.find(&summary.name);
        let source = source.ok_or_else(|| Fault::bug("a file of the model is not open").in_file(&summary.name))?;
        if strides.is_none() && entry.bytes.is_some_and(|n| n != at.end - at.start) || at.end > source.len() {
            let what = format!("{name} needs {} bytes, {} are here", entry.bytes.unwrap_or(0), at.end - at.start);
            return Err(Fault::file(at.start, what).in_file(&summary.name));
        }
        Ok(Self { entry, file: source, at, strides, big_endian: model.big_endian() })
    }
    /// Its size.
    pub(super) fn bytes(&self) -> u64 {
        let size = self.entry.encoding.spec().map_or(1, |s| u64::from(s.block_bytes));
        match self.strides {
            Some(_) => self.entry.shape.elements().unwrap_or(0).saturating_mul(size),
            None => self.at.end - self.at.start,
        }
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
        let mut bytes = match self.strides {
            Some(strides) => self.gathered(strides, range).await?,
            None => self.file.read(self.at.start + range.start..self.at.start + range.end).await?,
        };
        if self.big_endian {
            if self.entry.encoding.spec().is_none() {
                let what = format!("{} is {}, stored big-endian", self.entry.name, self.entry.encoding);
                return Err(Fault::unsupported(format!("{what}, and its numbers cannot be told apart")));
            }
            swap_to_little(self.entry.encoding, &mut bytes);
        }
        Ok(bytes)
    }
    /// Bytes of a view's elements in row-major order; the range holds whole elements.
    async fn gathered(&self, strides: &[u64], range: Range<u64>) -> Result<Vec<u8>> {
        let size = self.entry.encoding.spec().map_or(1, |s| u64::from(s.block_bytes));
        let dims = &self.entry.shape.0;
        let place = |element: u64| {
            let mut rest = element;
            dims.iter().zip(strides).rev().fold(0u64, |at, (dim, stride)| {
                let i = rest % (*dim).max(1);
                rest /= (*dim).max(1);
                at.saturating_add(i.saturating_mul(*stride))
            })
        };
        let elements = range.start / size..range.end / size;
        let (low, high) =
            (elements.clone().map(place).min().unwrap_or(0), elements.clone().map(place).max().unwrap_or(0));
        let (from, to) = (low.saturating_mul(size), high.saturating_add(1).saturating_mul(size));
        if to > self.at.end - self.at.start || to - from > GATHERED {
            let what = format!(
                "values of {} are spread over {} bytes; at most {GATHERED} are read at once",
                self.entry.name,
                to - from
            );
            return Err(Fault::limit(what).at(self.at.start).in_file(self.file.name()));
        }
        let run = self.file.read(self.at.start + from..self.at.start + to).await?;
        let mut out = Vec::with_capacity((range.end - range.start) as usize);
        for element in elements {
            let start = ((place(element) - low) * size) as usize;
            let value = run.get(start..start + size as usize);
            out.extend_from_slice(value.ok_or_else(|| Fault::bug("a view beyond its bytes"))?);
        }
        Ok(out)
    }
}
