//! Models brought to another format.

use serde::Serialize;

use crate::session::{Conversion, Written};

use super::WrittenReport;

/// What `convert` does, or did.
#[derive(Debug, Clone, Serialize)]
pub struct ConvertReport {
    /// `general.architecture` of the file.
    pub architecture: String,
    /// What matrices became: "BF16".
    pub file_type: String,
    /// The files.
    pub files: Vec<WrittenReport>,
    /// Metadata keys of the file.
    pub keys: Vec<String>,
    /// The tensors in the order of the file.
    pub tensors: Vec<ConvertedReport>,
    /// What a person may want to know.
    pub notes: Vec<String>,
}

/// One tensor of the new file.
#[derive(Debug, Clone, Serialize)]
pub struct ConvertedReport {
    /// Its name.
    pub name: String,
    /// Its shape, slowest dimension first.
    pub shape: Vec<u64>,
    /// What it is stored as.
    pub encoding: String,
    /// Its size.
    pub bytes: u64,
    /// The tensors that its values come from; none for what follows from the configuration.
    pub from: Vec<String>,
}

impl ConvertReport {
    /// A plan, and the files that were written, or would be.
    pub fn of(work: &Conversion<'_>, written: &[Written]) -> Self {
        let (plan, model) = (work.decided(), work.inspection().model());
        let tensors = plan.steps.iter().map(|step| ConvertedReport {
            name: step.name.clone(),
            shape: step.shape.0.clone(),
            encoding: step.encoding.to_string(),
            bytes: step.bytes,
            from: step.tensors().iter().filter_map(|i| Some(model.tensors.get(*i)?.name.clone())).collect(),
        });
        Self {
            architecture: plan.architecture.clone(),
            file_type: plan.main.to_string(),
            files: written.iter().map(WrittenReport::of).collect(),
            keys: plan.header.entries.iter().map(|e| e.key.clone()).collect(),
            tensors: tensors.collect(),
            notes: plan.notes.clone(),
        }
    }
}
