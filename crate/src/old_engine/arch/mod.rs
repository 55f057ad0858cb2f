//! Architectures: one file each; [`ARCHITECTURES`] lists them.

use super::{
    config::{self, Config},
    graph::{Graph, GraphBuilder, Node},
    weights::Weights,
};
use crate::{
    fault::{Fault, Result},
    model::ModelFile,
};

mod llama;

/// A family of models that compute the same thing.
pub trait Architecture: Sync {
    /// Names in `general.architecture` and `model_type` that mean it.
    fn names(&self) -> &'static [&'static str];
    /// The model's numbers.
    ///
    /// # Errors
    /// Metadata is missing, contradictory, or asks for something that is not implemented.
    fn config(&self, model: &ModelFile) -> Result<Config>;
    /// The forward pass; its result are the logits.
    ///
    /// # Errors
    /// A weight is missing, has another shape than the metadata says, or is in an encoding without kernels.
    fn forward(&self, c: &Config, g: &mut GraphBuilder) -> Result<Node>;
}

/// All architectures.
pub static ARCHITECTURES: &[&dyn Architecture] = &[&llama::Llama];

/// The architecture that a model names.
///
/// # Errors
/// It names none, or one that is not in the table.
pub fn of(model: &ModelFile) -> Result<&'static dyn Architecture> {
    let name = config::architecture_name(model)?;
    ARCHITECTURES.iter().copied().find(|a| a.names().contains(&name)).ok_or_else(|| {
        let known: Vec<_> = ARCHITECTURES.iter().flat_map(|a| a.names()).copied().collect();
        Fault::unsupported(format!(
            "architecture {:?} cannot be run yet (known: {})",
            name.chars().take(60).collect::<String>(),
            known.join(", ")
        ))
    })
}

/// A model's forward pass, checked against its tensors.
///
/// # Errors
/// As [`of`], [`Architecture::config`] and [`Architecture::forward`].
pub fn graph(model: &ModelFile) -> Result<Graph> {
    let architecture = of(model)?;
    let config = architecture.config(model)?;
    config::check(&config)?;
    let mut builder = GraphBuilder::new(&config, Weights::new(model));
    architecture.forward(&config, &mut builder)?;
    Ok(builder.finish())
}
