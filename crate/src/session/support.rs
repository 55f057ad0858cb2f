//! Whether a model can be run, found out from its headers alone, and what it computes as text.

use super::Inspection;
use crate::{
    arch,
    engine::{
        compile::{self, Options},
        figures::Memory,
    },
    fault::Result,
    ir::{Graph, passes},
    model::ModelFile,
};

/// Rows of a step for which memory is told.
const ROWS: u32 = 256;

/// What is known of a model that can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    /// The architecture as the file names it.
    pub architecture: String,
    /// Number of layers.
    pub layers: u32,
    /// The longest sequence that the model was made for.
    pub context: u32,
    /// Whether it gives logits (a language model) or hidden states (an encoder).
    pub generates: bool,
    /// Bytes of the weights on the device (norms and biases as F32).
    pub weights: u64,
    /// Bytes of states (keys and values) per token of a short context, as f32; layers with a window stop growing at it.
    pub cache_per_token: u64,
    /// Bytes of activations, logits and tables for the model's context.
    pub scratch: u64,
}

/// Whether the engine can run a model.
///
/// # Errors
/// Why not: an unknown architecture, metadata or tensors missing or contradictory, an encoding without kernels.
pub fn support(model: &ModelFile) -> Result<Support> {
    let built = arch::build(model)?;
    let context = built.hparams.context;
    let mut graph = built.graph;
    passes::run(&mut graph, &[])?;
    let memory = |context| -> Result<Memory> {
        let options = Options { context, rows: ROWS, ..Options::default() };
        Ok(compile::compile(&graph, &options)?.memory())
    };
    let short = ROWS.min(context);
    let (at_short, at_full) = (memory(short)?, memory(context).or_else(|_| memory(short))?);
    Ok(Support {
        architecture: arch::of(model)?.1.name().to_owned(),
        layers: built.hparams.layers,
        context,
        generates: graph.output("logits").is_some(),
        weights: at_short.weights,
        cache_per_token: at_short.states / u64::from(short),
        scratch: at_full.scratch,
    })
}

/// The passes over graphs: name and what each does.
pub fn passes() -> Vec<(&'static str, &'static str)> {
    passes::names()
}

fn graph(inspection: &Inspection, disabled: &[&str]) -> Result<(Graph, u32)> {
    let built = arch::build(inspection.model())?;
    let context = built.hparams.context;
    let mut graph = built.graph;
    passes::run(&mut graph, disabled)?;
    Ok((graph, context))
}

/// The model's graph after all passes but the disabled ones, one operation a line.
///
/// # Errors
/// The model cannot be run; a pass of that name does not exist.
pub fn graph_text(inspection: &Inspection, disabled: &[&str]) -> Result<String> {
    Ok(graph(inspection, disabled)?.0.to_string())
}

/// The program of the graph, one step a line.
///
/// # Errors
/// As [`graph_text`].
pub fn program_text(inspection: &Inspection, disabled: &[&str]) -> Result<String> {
    let (graph, context) = graph(inspection, disabled)?;
    Ok(compile::compile(&graph, &Options { context: context.min(4096), ..Options::default() })?.to_string())
}
