//! Models brought to another format.

use serde::Serialize;

use crate::session::{Conversion, Unpacking, Written};

use super::WrittenReport;

/// What `convert` does, or did.
#[derive(Debug, Clone, Serialize)]
pub struct ConvertReport {
    /// The format written: "GGUF" or "safetensors".
    pub format: &'static str,
    /// `general.architecture` of a GGUF file.
    pub architecture: Option<String>,
    /// What matrices of a GGUF file became: "BF16".
    pub file_type: Option<String>,
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
            format: "GGUF",
            architecture: Some(plan.architecture.clone()),
            file_type: Some(plan.main.to_string()),
            files: written.iter().map(WrittenReport::of).collect(),
            keys: plan.header.entries.iter().map(|e| e.key.clone()).collect(),
            tensors: tensors.collect(),
            notes: plan.notes.clone(),
        }
    }
    /// A plan of safetensors files, and those that were written, or would be.
    pub fn unpacked(work: &Unpacking<'_>, written: &[Written]) -> Self {
        let (plan, model) = (work.decided(), work.inspection().model());
        let tensors = plan.lines.iter().map(|line| ConvertedReport {
            name: line.name.clone(),
            shape: line.shape.0.clone(),
            encoding: line.encoding.to_string(),
            bytes: line.bytes,
            from: line.tensors().iter().filter_map(|i| Some(model.tensors.get(*i)?.name.clone())).collect(),
        });
        Self {
            format: "safetensors",
            architecture: None,
            file_type: None,
            files: written.iter().map(WrittenReport::of).collect(),
            keys: Vec::new(),
            tensors: tensors.collect(),
            notes: plan.notes.clone(),
        }
    }
}
