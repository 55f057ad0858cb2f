//! Whether a model can be run, found out from its headers alone, and what it computes as text.

use super::Inspection;
use crate::{
    arch,
    engine::{
        compile::{self, Options, Plan},
        program::{CHECKPOINTS, table_words},
    },
    fault::Result,
    ir::{Fact, Graph, Op, Sizes, Weight, passes},
    model::ModelFile,
    order,
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
    /// Bytes of what a sequence carries whatever its length: states of recurrences, with the one before.
    pub carried: u64,
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
    let graph = built.graph;
    let bytes = |w: &Weight| {
        let row_len = u64::from(w.fact.width().unwrap_or(0));
        let rows = w.sources.iter().map(|s| u64::from(s.count())).sum::<u64>();
        match w.encoding() {
            Some(encoding) => rows * encoding.bytes(row_len, row_len).unwrap_or(0),
            None => row_len * 4,
        }
    };
    Ok(Support {
        architecture: arch::of(model)?.1.name().to_owned(),
        layers: built.hparams.layers,
        context,
        generates: graph.output("logits").is_some(),
        weights: graph.weights.iter().map(bytes).sum(),
        cache_per_token: states(&graph, false),
        carried: states(&graph, true) * u64::from(CHECKPOINTS),
        scratch: scratch(&graph, context),
    })
}

/// Bytes of one row of each state of a kind.
fn states(graph: &Graph, carried: bool) -> u64 {
    graph.states.iter().filter(|s| s.carried == carried).map(|s| u64::from(s.width) * 4).sum()
}

/// Bytes of the values that are alive at once in a step of [`ROWS`] tokens, at most, and of the rotary tables.
///
/// A program needs a little less, since some operations write over what they read; this module of the page is smaller
/// without the compiler.
fn scratch(graph: &Graph, context: u32) -> u64 {
    let sizes = Sizes { rows: ROWS.min(context), outputs: 1, context: 0 };
    let mut last_read = vec![0; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|v| last_read[v.node.0 as usize] = i);
    }
    let size = |i: usize| -> u64 {
        let node = &graph.nodes[i];
        let is_kept = matches!(node.op, Op::Input(_) | Op::Weight(_) | Op::Constant(_) | Op::StateWrite(_));
        let values = |f: &Fact| f.shape.iter().map(|d| u64::from(d.resolve(&sizes))).product::<u64>();
        // A slice is a view of what it is cut from; of a recurrence the second result is its state.
        let kept = if matches!(node.op, Op::Recur(_)) { 1 } else { node.facts.len() };
        let all = node.facts.iter().take(kept).map(values).sum::<u64>() * 4;
        if is_kept || matches!(node.op, Op::Slice { .. }) { 0 } else { all }
    };
    let (mut alive, mut most) = (0u64, 0u64);
    for (i, node) in graph.nodes.iter().enumerate() {
        alive += size(i);
        most = most.max(alive);
        let mut read: Vec<usize> = node.inputs.iter().map(|v| v.node.0 as usize).collect();
        order::sort(&mut read);
        read.dedup();
        let over: u64 = read.into_iter().filter(|r| last_read[*r] == i).map(size).sum();
        alive = alive.saturating_sub(over);
    }
    let tables: u64 = graph.rotations.iter().map(|r| u64::from(table_words(context, r.dims / 2)) * 4).sum();
    most + tables
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
    let plan = Plan::without(disabled);
    Ok(compile::compile(&graph, &Options { context: context.min(4096), plan, ..Options::default() })?.to_string())
}
