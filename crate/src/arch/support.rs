//! For any model: whether its architecture runs, and what it would need.

use super::{Numbers, Slots, build};
use crate::{fault::Fault, model::ModelFile};

/// Names that are listed of many.
const MAX_LISTED: usize = 8;

/// Whether a model's architecture runs, and what stands in the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    /// The architecture as the model names it.
    pub architecture: Option<String>,
    /// The table has its tensors.
    pub known: bool,
    /// Why it cannot be run; `None` where it can.
    pub fault: Option<Fault>,
    /// Names of tensors that the table does not have for it: the first few.
    pub unknown_tensors: Vec<String>,
    /// How many there are.
    pub unknown_count: usize,
    /// What a person may want to know of a model that runs.
    pub notes: Vec<String>,
}

/// Whether a model's architecture runs; no byte of its weights is read.
pub fn support(model: &ModelFile) -> Support {
    let numbers = Numbers::of(model);
    let architecture = numbers.as_ref().and_then(Numbers::architecture);
    let form = numbers.as_ref().map(Numbers::form);
    let unknown: Vec<&str> = match (architecture, form) {
        (Some(architecture), Some(form)) => {
            let slots = Slots::new(architecture, form);
            model.tensors.iter().map(|t| t.name.as_str()).filter(|name| slots.find(name).is_none()).collect()
        }
        _ => Vec::new(),
    };
    let (fault, notes) = match build(model) {
        Ok(built) => (None, built.notes),
        Err(fault) => (Some(fault), Vec::new()),
    };
    Support {
        architecture: numbers.map(|n| n.name().to_owned()).filter(|name| !name.is_empty()),
        known: architecture.is_some(),
        fault,
        unknown_count: unknown.len(),
        unknown_tensors: unknown.iter().take(MAX_LISTED).map(|n| (*n).to_owned()).collect(),
        notes,
    }
}
