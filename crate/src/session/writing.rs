//! Writing an opened model anew.

use std::path::Path;

use crate::{
    convert::{
        Output,
        quantize::{self, Moved, Options, Plan},
    },
    fault::{Blame, Fault, Result},
};

use super::{Inspection, Progress};

/// An opened model on its way to another encoding.
pub struct Quantization<'a> {
    inspection: &'a Inspection,
    options: Options,
    plan: Plan,
}

impl<'a> Quantization<'a> {
    /// Decides what becomes of each tensor; nothing but headers has been read.
    ///
    /// # Errors
    /// The model is no GGUF file or is not whole; a tensor cannot become what it should.
    pub fn plan(inspection: &'a Inspection, options: Options) -> Result<Self> {
        let plan = Plan::of(inspection.model(), &options)?;
        Ok(Self { inspection, options, plan })
    }
    /// The model.
    pub fn inspection(&self) -> &Inspection {
        self.inspection
    }
    /// What was asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }
    /// What becomes of each tensor.
    pub fn decided(&self) -> &Plan {
        &self.plan
    }
    /// How far each step would move its tensor, by some of its values; nothing is written.
    ///
    /// # Errors
    /// A tensor cannot be read, or holds what cannot be rounded.
    pub async fn trial(&self, on_progress: &mut dyn FnMut(Progress)) -> Result<Vec<Moved>> {
        let mut progress = |done, total| on_progress(Progress { what: "Trying", done, total });
        let (files, model) = (self.inspection.files(), self.inspection.model());
        quantize::trial(&self.plan, files, model, &self.options, &mut progress).await
    }
    /// Writes the file, whole or not at all; returns its length, and how far each step moved its tensor.
    ///
    /// # Errors
    /// As [`Self::trial`], of all values; the file cannot be written. What lay there before is whole then.
    pub async fn write(&self, path: &Path, on_progress: &mut dyn FnMut(Progress)) -> Result<(u64, Vec<Moved>)> {
        let mut progress = |done, total| on_progress(Progress { what: "Quantizing", done, total });
        let (files, model) = (self.inspection.files(), self.inspection.model());
        let mut output = Output::create(path)?;
        let written = quantize::write(&self.plan, files, model, &self.options, &mut output, &mut progress).await;
        let written = written.map_err(|fault| of_output(fault, path))?;
        output.commit()?;
        Ok(written)
    }
}

/// Failures to read name their file; one to write that names none is the output's.
pub(super) fn of_output(fault: Fault, path: &Path) -> Fault {
    if fault.blame == Blame::Source { fault.in_file(&path.display().to_string()) } else { fault }
}
