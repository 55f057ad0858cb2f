//! What is wrong with a model, and what of it is missing.

use serde::Serialize;

use crate::{
    fault::Result,
    session::{Examination, Inspection},
};

use super::{NoteReport, facts};

/// What `glassbox check` says.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CheckReport {
    /// "GGUF", "safetensors", "ONNX".
    pub format: String,
    /// One sentence: what the model is.
    pub summary: String,
    /// Files of the model.
    #[cfg_attr(test, ts(type = "number"))]
    pub files: u64,
    /// Findings of severity "error".
    #[cfg_attr(test, ts(type = "number"))]
    pub errors: u64,
    /// Findings of severity "warning".
    #[cfg_attr(test, ts(type = "number"))]
    pub warnings: u64,
    /// Findings, most severe first; each with its reason and what to do.
    pub findings: Vec<NoteReport>,
    /// Programs that would not load it.
    pub refusals: Vec<RefusalReport>,
    /// What is there and what is missing; absent for a whole model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub salvage: Option<SalvageReport>,
    /// Names of the checks that were made.
    pub checks: Vec<&'static str>,
    /// What was read beyond the headers, in sentences.
    pub looked_at: Vec<String>,
    /// Bytes read for all of it.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes_read: u64,
}

/// A program that would not load a model.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RefusalReport {
    /// "llama.cpp".
    pub program: &'static str,
    /// The first reason.
    pub because: String,
    /// Further reasons among the findings.
    #[cfg_attr(test, ts(type = "number"))]
    pub more: usize,
}

/// What of a cut or partly given model is there, and which bytes are missing.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SalvageReport {
    /// Tensors whose bytes are all there.
    #[cfg_attr(test, ts(type = "number"))]
    pub complete: u64,
    /// Tensors of which some bytes are there.
    #[cfg_attr(test, ts(type = "number"))]
    pub partial: u64,
    /// Tensors that are listed and of which no byte is there.
    #[cfg_attr(test, ts(type = "number"))]
    pub missing: u64,
    /// Tensors that are announced but not listed; null where nobody knows how many.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub unlisted: Option<u64>,
    /// Bytes of tensors that are there.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes_here: u64,
    /// Bytes of all listed tensors.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes_all: u64,
    /// The files that lack something.
    pub files: Vec<FileSalvageReport>,
}

/// What one file lacks.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FileSalvageReport {
    /// Its name.
    pub name: String,
    /// Length in bytes; null for a file that was not given.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub bytes: Option<u64>,
    /// Missing byte ranges, first and one past the last, sorted and merged.
    #[cfg_attr(test, ts(type = "[number, number][]"))]
    pub missing: Vec<(u64, u64)>,
    /// True where more is missing than these ranges; how much is not known.
    pub more: bool,
}

impl CheckReport {
    /// Everything that the checks find on an opened model.
    ///
    /// # Errors
    /// A file cannot be read.
    pub async fn of(inspection: &Inspection) -> Result<Self> {
        Ok(Self::with(inspection, inspection.examine().await?))
    }
    /// The same without what needs the tokenizer, which the page's reader module does not hold.
    ///
    /// # Errors
    /// A file cannot be read.
    pub async fn without_tokenizer(inspection: &Inspection) -> Result<Self> {
        Ok(Self::with(inspection, inspection.examine_without_tokenizer().await?))
    }
    fn with(inspection: &Inspection, found: Examination) -> Self {
        let model = inspection.model();
        let findings: Vec<NoteReport> = found.notes.iter().map(|n| NoteReport::of(n, model)).collect();
        let of = |severity: &str| findings.iter().filter(|f| f.severity == severity).count() as u64;
        let refusals = found.refusals.into_iter();
        Self {
            format: model.format.name().into(),
            summary: facts::sentence(model),
            files: model.files.len() as u64,
            errors: of("error"),
            warnings: of("warning"),
            refusals: refusals
                .map(|r| RefusalReport { program: r.program.name(), because: r.because, more: r.more })
                .collect(),
            salvage: SalvageReport::of(inspection),
            checks: found.checks,
            looked_at: found.looked_at,
            bytes_read: inspection.files().bytes_read(),
            findings,
        }
    }
}

impl SalvageReport {
    /// `None` for a whole model.
    pub fn of(inspection: &Inspection) -> Option<Self> {
        let salvage = inspection.salvage()?;
        let files = salvage.files.into_iter().map(|f| FileSalvageReport {
            name: f.name,
            bytes: f.bytes,
            missing: f.missing.into_iter().map(|r| (r.start, r.end)).collect(),
            more: f.more,
        });
        Some(Self {
            complete: salvage.complete,
            partial: salvage.partial,
            missing: salvage.missing,
            unlisted: salvage.unlisted,
            bytes_here: salvage.bytes_here,
            bytes_all: salvage.bytes_all,
            files: files.collect(),
        })
    }
}
