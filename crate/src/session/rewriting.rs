//! An opened model with other metadata, in several files, or in one.

use std::path::{Path, PathBuf};

use crate::{
    convert::{
        Output, copy,
        edit::{self, Change, Changed},
        gguf::Header,
        split::{self, Cut, Part},
    },
    fault::{Fault, Result},
};

use super::{Inspection, Progress, writing::of_output};

/// A file that was written, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Its path.
    pub path: PathBuf,
    /// Its length; `None` where nothing was written.
    pub bytes: Option<u64>,
    /// Its tensors.
    pub tensors: u64,
    /// Bytes of its tensors, padding counted.
    pub tensor_bytes: u64,
}

impl Written {
    pub(super) fn of(path: &Path, header: &Header, bytes: Option<u64>) -> Self {
        let (tensors, tensor_bytes) = (header.tensors.len() as u64, header.data_bytes());
        Self { path: path.to_owned(), bytes, tensors, tensor_bytes }
    }
}

/// A model's metadata with some changes.
pub struct Edition<'a> {
    inspection: &'a Inspection,
    header: Header,
    changed: Vec<Changed>,
}

impl<'a> Edition<'a> {
    /// Makes the changes, in memory.
    ///
    /// # Errors
    /// The model is no GGUF file, not whole, or a part of one; a value does not fit; a key to be removed is not there.
    pub fn of(inspection: &'a Inspection, changes: &[Change]) -> Result<Self> {
        let (header, changed) = edit::edited(inspection.model(), changes)?;
        Ok(Self { inspection, header, changed })
    }
    /// What became of each key.
    pub fn changed(&self) -> &[Changed] {
        &self.changed
    }
    /// Writes the model with the changes, whole or not at all.
    ///
    /// # Errors
    /// A file cannot be read or written. What lay at the path before is whole then.
    pub async fn write(&self, path: &Path, on_progress: &mut dyn FnMut(Progress)) -> Result<Written> {
        write_whole(self.inspection, &self.header, path, on_progress).await
    }
    /// What [`Self::write`] would write.
    pub fn planned(&self, path: &Path) -> Written {
        Written::of(path, &self.header, None)
    }
}

async fn write_whole(
    inspection: &Inspection,
    header: &Header,
    path: &Path,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    let all: Vec<usize> = (0..inspection.model().tensors.len()).collect();
    let mut output = Output::create(path)?;
    let mut progress = |done, total| on_progress(Progress { what: "Writing", done, total });
    let (files, model) = (inspection.files(), inspection.model());
    let bytes = copy(header, &all, files, model, &mut output, &mut progress).await;
    let bytes = bytes.map_err(|fault| of_output(fault, path))?;
    output.commit()?;
    Ok(Written::of(path, header, Some(bytes)))
}

/// Writes a model that lies in several files as one.
///
/// # Errors
/// The model is no GGUF file or not whole; a file cannot be read or written.
pub async fn merge(inspection: &Inspection, path: &Path, on_progress: &mut dyn FnMut(Progress)) -> Result<Written> {
    write_whole(inspection, &split::joined(inspection.model())?, path, on_progress).await
}

/// A model in several files.
pub struct Splitting<'a> {
    inspection: &'a Inspection,
    prefix: String,
    parts: Vec<Part>,
}

impl<'a> Splitting<'a> {
    /// Decides which tensor goes where; the files are named PREFIX-00001-of-00002.gguf.
    ///
    /// # Errors
    /// The model is no GGUF file, not whole, or has no tensors.
    pub fn of(inspection: &'a Inspection, cut: Cut, prefix: &Path) -> Result<Self> {
        let prefix = prefix.to_str().ok_or_else(|| Fault::caller("the names of the parts must be UTF-8"))?.to_owned();
        Ok(Self { inspection, prefix, parts: split::parts(inspection.model(), cut)? })
    }
    fn path(&self, number: usize) -> PathBuf {
        split::part_name(&self.prefix, number, self.parts.len()).into()
    }
    /// What [`Self::write`] would write.
    pub fn planned(&self) -> Vec<Written> {
        self.parts.iter().enumerate().map(|(n, part)| Written::of(&self.path(n), &part.header, None)).collect()
    }
    /// Writes the parts; none takes its place before all are complete.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub async fn write(&self, on_progress: &mut dyn FnMut(Progress)) -> Result<Vec<Written>> {
        let total = self.parts.iter().map(|part| part.header.data_bytes()).fold(0, u64::saturating_add);
        let (mut outputs, mut written, mut before) = (Vec::new(), Vec::new(), 0);
        let (files, model) = (self.inspection.files(), self.inspection.model());
        for (number, part) in self.parts.iter().enumerate() {
            let path = self.path(number);
            let mut output = Output::create(&path)?;
            let mut progress = |done, _| on_progress(Progress { what: "Writing", done: before + done, total });
            let bytes = copy(&part.header, &part.tensors, files, model, &mut output, &mut progress).await;
            let bytes = bytes.map_err(|fault| of_output(fault, &path))?;
            // The bytes leave memory now, the name comes last.
            output.settle()?;
            before += part.header.data_bytes();
            written.push(Written::of(&path, &part.header, Some(bytes)));
            outputs.push(output);
        }
        for output in outputs {
            output.commit()?;
        }
        Ok(written)
    }
}
