//! Models written anew.

use serde::Serialize;

use crate::session::{Moved, Quantization, Why};

/// What quantizing a model does, or did.
#[derive(Debug, Clone, Serialize)]
pub struct QuantizeReport {
    /// The mix, by name: "Q4_K_M".
    pub file_type: String,
    /// llama.cpp's number of it, as `general.file_type` states it.
    pub file_type_number: u32,
    /// The file that was written; `None` for a trial.
    pub output: Option<String>,
    /// Its length.
    pub output_bytes: Option<u64>,
    /// Bytes of all tensors as they were.
    pub bytes_before: u64,
    /// Bytes of all tensors as they become.
    pub bytes_after: u64,
    /// Weights of all tensors.
    pub parameters: u64,
    /// Bits for each weight as they become.
    pub bits_per_weight: f64,
    /// The tensors in the order of the new file.
    pub tensors: Vec<QuantizedReport>,
}

/// What becomes of one tensor.
#[derive(Debug, Clone, Serialize)]
pub struct QuantizedReport {
    /// Its name.
    pub name: String,
    /// Its shape, slowest dimension first.
    pub shape: Vec<u64>,
    /// What it is stored as.
    pub from: String,
    /// What it becomes.
    pub to: String,
    /// Why: "kept", "mix", "asked" or "fallback".
    pub why: &'static str,
    /// For a fallback: the encoding whose blocks its rows do not fill.
    pub instead_of: Option<String>,
    /// Its size, in bytes.
    pub bytes_before: u64,
    /// Its size as it becomes.
    pub bytes_after: u64,
    /// Root of the sum of squared differences over that of squares; `None` where it stays as it is, or nothing was compared.
    pub relative_error: Option<f64>,
    /// Values that were compared.
    pub values_compared: u64,
}

impl QuantizeReport {
    /// A plan, with what came out of trying or writing it.
    pub fn of(work: &Quantization<'_>, moved: &[Moved], output: Option<(&str, u64)>) -> Self {
        let (model, kind) = (work.inspection().model(), work.options().kind);
        let steps = &work.decided().steps;
        let sum = |f: fn((u64, u64)) -> u64| steps.iter().map(|s| f(s.bytes)).fold(0, u64::saturating_add);
        let tensors = steps.iter().enumerate().filter_map(|(i, step)| {
            let entry = model.tensors.get(step.tensor)?;
            let moved = moved.get(i).copied().unwrap_or_default();
            let (why, instead_of) = match step.why {
                Why::Kept => ("kept", None),
                Why::Mix => ("mix", None),
                Why::Asked => ("asked", None),
                Why::Fallback(wanted) => ("fallback", Some(wanted.to_string())),
            };
            Some(QuantizedReport {
                name: entry.name.clone(),
                shape: entry.shape.0.clone(),
                from: step.from.to_string(),
                to: step.to.to_string(),
                why,
                instead_of,
                bytes_before: step.bytes.0,
                bytes_after: step.bytes.1,
                relative_error: (moved.values > 0).then(|| moved.relative()),
                values_compared: moved.values,
            })
        });
        let (parameters, bytes_after) = (model.parameters(), sum(|b| b.1));
        Self {
            file_type: kind.name.to_owned(),
            file_type_number: kind.number,
            output: output.map(|(name, _)| name.to_owned()),
            output_bytes: output.map(|(_, bytes)| bytes),
            bytes_before: sum(|b| b.0),
            bytes_after,
            parameters,
            bits_per_weight: if parameters == 0 { 0.0 } else { bytes_after as f64 * 8.0 / parameters as f64 },
            tensors: tensors.collect(),
        }
    }
}
