//! Some tensors of a model, chosen by patterns of their names.

use super::{gguf::Header, split::joined};
use crate::{
    fault::{Fault, Result},
    model::ModelFile,
};

/// The tensors whose names hold one of these regular expressions, in the model's order.
///
/// # Errors
/// A pattern is none, or fits no tensor.
pub fn chosen(model: &ModelFile, patterns: &[String]) -> Result<Vec<usize>> {
    let mut wanted = vec![false; model.tensors.len()];
    for pattern in patterns {
        let regex = fancy_regex::Regex::new(pattern)
            .map_err(|e| Fault::caller(format!("\"{pattern}\" is no regular expression: {e}")))?;
        let mut any = false;
        for (tensor, wanted) in model.tensors.iter().zip(&mut wanted) {
            if regex.is_match(&tensor.name).unwrap_or(false) {
                (*wanted, any) = (true, true);
            }
        }
        if !any {
            return Err(Fault::caller(format!(
                "no tensor has a name that holds \"{pattern}\"; `glassbox inspect --tensors` lists them"
            )));
        }
    }
    Ok(wanted.iter().enumerate().filter(|(_, wanted)| **wanted).map(|(i, _)| i).collect())
}

/// The header of a GGUF file with all of a model's metadata and some of its tensors.
///
/// # Errors
/// The model is no GGUF file or not whole.
pub fn header(model: &ModelFile, tensors: &[usize]) -> Result<Header> {
    let mut header = joined(model)?;
    header.tensors = tensors.iter().filter_map(|i| header.tensors.get(*i).cloned()).collect();
    Ok(header)
}
