//! ONNX models, run on this machine's processor.
//!
//! [`Model::open`] reads a file in pieces ([`read`]), makes its graphs ready (`graph.rs`: names become slots, nodes get
//! an order, last uses are found) and [`Model::run`] executes them node by node (`run.rs`). An operator is a row of
//! the table in `table.rs` and a function in the file of its family in `ops/`. What a run may hold and cost is bounded.

#![allow(
    clippy::clone_on_copy,
    clippy::needless_range_loop,
    clippy::unnecessary_fallible_conversions,
    clippy::useless_conversion,
    reason = "macros write one body for strings and for numbers of every width; a loop over axes indexes several lists"
)]

mod cast;
mod graph;
mod node_tests;
mod npz;
mod ops;
mod proto;
mod read;
mod run;
mod table;
mod value;
mod wire;

use std::{cell::OnceCell, collections::BTreeMap};

use crate::{
    engine::device::cpu::Product,
    fault::{Blame, Fault, Result},
    source::{SourceFile, SourceSet},
};

pub use node_tests::{CaseResult, Compared, compare, run_case};
pub use npz::{read_npy, read_npz, write_npz};
pub use ops::random::filler as random_tensor;
pub use proto::{Dim, Info, Kind};
pub use table::{Row, operators};
pub use value::{Brain, Data, Half, MEMORY_MOST, Map, RunLimits, Tensor, Type, Value, held, set_limits};

use graph::{Context, Function, Graph};
use run::Run;

/// A model ready to run.
pub struct Model {
    graph: Graph,
    functions: Vec<Function>,
    missing: BTreeMap<String, usize>,
    opsets: Vec<(String, i64)>,
    producer: String,
    product: OnceCell<Product>,
}

impl Model {
    /// Reads a model and makes its graphs ready; external data is looked for among `files` by its name.
    ///
    /// # Errors
    /// The file cannot be read, is no ONNX model, or its graph contradicts itself.
    pub async fn open(file: &SourceFile, files: &SourceSet) -> Result<Self> {
        let proto = read::model(file, files).await?;
        Self::ready(proto).map_err(|fault| fault.in_file(file.name()))
    }

    fn ready(proto: read::ModelProto) -> Result<Self> {
        let mut missing = BTreeMap::new();
        let graph = proto.graph.ok_or_else(|| Fault::new(Blame::File, "an ONNX model without a graph"))?;
        let names: Vec<(String, String, String)> =
            proto.functions.iter().map(|f| (f.domain.clone(), f.name.clone(), f.overload.clone())).collect();
        let mut functions = Vec::new();
        for function in proto.functions {
            let own = if function.opsets.is_empty() { proto.opsets.clone() } else { function.opsets.clone() };
            let mut context = Context { opsets: &own, functions: &names, missing: &mut missing };
            functions.push(graph::ready_function(function, &mut context)?);
        }
        let mut context = Context { opsets: &proto.opsets, functions: &names, missing: &mut missing };
        let graph = graph::ready(graph, &mut context)?;
        if let Some((name, _)) = graph.captures.first() {
            return Err(Fault::new(Blame::File, format!("the graph reads \"{name}\", which nothing defines")));
        }
        Ok(Self { graph, functions, missing, opsets: proto.opsets, producer: proto.producer, product: OnceCell::new() })
    }

    /// What the caller must give: the graph's inputs without those that have a value in the file.
    pub fn inputs(&self) -> Vec<&Info> {
        let given = |slot: &usize| self.graph.initializers.iter().any(|(s, _)| s == slot);
        self.graph.inputs.iter().zip(&self.graph.input_slots).filter(|(_, slot)| !given(slot)).map(|(i, _)| i).collect()
    }
    /// Every input of the graph, also those with a value in the file.
    pub fn all_inputs(&self) -> &[Info] {
        &self.graph.inputs
    }
    /// What it gives.
    pub fn outputs(&self) -> &[Info] {
        &self.graph.outputs
    }
    /// Domains and versions that it imports.
    pub fn opsets(&self) -> &[(String, i64)] {
        &self.opsets
    }
    /// The program that wrote it.
    pub fn producer(&self) -> &str {
        &self.producer
    }
    /// Nodes of the main graph.
    pub fn nodes(&self) -> usize {
        self.graph.nodes.len()
    }
    /// Operators that are not supported, with the number of nodes that need them.
    pub fn missing(&self) -> &BTreeMap<String, usize> {
        &self.missing
    }
    /// Whether the main graph has a node of this operator.
    fn has(&self, op: &str) -> bool {
        self.graph.nodes.iter().any(|node| node.op == op)
    }
    /// Whether a node's result is drawn at random by an operator whose generator ONNX does not fix.
    pub fn is_random(&self) -> bool {
        fn any(graph: &Graph) -> bool {
            graph.nodes.iter().any(|node| {
                table::RANDOM.contains(&node.op.as_str())
                    || node.attributes.iter().any(|(_, a)| matches!(a, graph::Attr::Graph(inner, _) if any(inner)))
            })
        }
        any(&self.graph) || self.functions.iter().any(|f| any(&f.graph))
    }

    /// Runs the model once.
    ///
    /// # Errors
    /// An operator that is not supported; inputs that are not what the model declares; what a node finds wrong; a
    /// limit of memory or work.
    pub fn run(&self, inputs: Vec<(String, Value)>) -> Result<Vec<(String, Value)>> {
        if !self.missing.is_empty() {
            let list: Vec<String> = self
                .missing
                .iter()
                .map(|(op, n)| format!("{op} ({n} node{})", if *n == 1 { "" } else { "s" }))
                .collect();
            return Err(Fault::unsupported(format!("operators that are not supported: {}", list.join(", "))));
        }
        let args = self.arguments(inputs)?;
        let outputs = Run::new(self).graph(&self.graph, args, &[], &[])?;
        Ok(self.graph.outputs.iter().map(|info| info.name.clone()).zip(outputs).collect())
    }

    /// Values in the order of the graph's inputs, after holding them against what is declared.
    fn arguments(&self, inputs: Vec<(String, Value)>) -> Result<Vec<Option<Value>>> {
        let mut args: Vec<Option<Value>> = vec![None; self.graph.inputs.len()];
        for (name, value) in inputs {
            let Some(i) = self.graph.inputs.iter().position(|info| info.name == name) else {
                let known: Vec<&str> = self.graph.inputs.iter().map(|info| info.name.as_str()).collect();
                return Err(Fault::caller(format!("the model has no input \"{name}\"; it has: {}", known.join(", "))));
            };
            fits(&self.graph.inputs[i], &value)?;
            if args[i].replace(value).is_some() {
                return Err(Fault::caller(format!("the input \"{name}\" is given twice")));
            }
        }
        let lacking: Vec<String> = self
            .inputs()
            .into_iter()
            .filter(|info| !matches!(info.kind, Kind::Optional(_)))
            .filter(|info| self.graph.inputs.iter().zip(&args).any(|(i, a)| i.name == info.name && a.is_none()))
            .map(|info| format!("\"{}\" ({})", info.name, info.kind.told()))
            .collect();
        if !lacking.is_empty() {
            return Err(Fault::caller(format!("inputs that are missing: {}", lacking.join(", "))));
        }
        for (info, arg) in self.graph.inputs.iter().zip(&mut args) {
            if arg.is_none() && matches!(info.kind, Kind::Optional(_)) {
                *arg = Some(Value::Optional(None));
            }
        }
        Ok(args)
    }
}

/// Holds a value against the declaration; exports name dimensions too carelessly to hold names against each other.
fn fits(info: &Info, value: &Value) -> Result<()> {
    let wrong = || {
        Fault::caller(format!("the input \"{}\" should be {}, {} was given", info.name, info.kind.told(), value.told()))
    };
    let (kind, dims, tensor) = match (&info.kind, value) {
        (Kind::Tensor(kind, dims), Value::Tensor(tensor)) => (kind, dims, tensor),
        (Kind::Tensor(..), _) => return Err(wrong()),
        (Kind::Sequence(_), Value::Sequence(_)) | (Kind::Unknown, _) | (Kind::Map, Value::Map(_)) => return Ok(()),
        (Kind::Optional(_), _) => return Ok(()),
        _ => return Err(wrong()),
    };
    if kind.is_some_and(|kind| kind != tensor.kind()) {
        return Err(wrong());
    }
    let Some(dims) = dims else { return Ok(()) };
    if dims.len() != tensor.rank() {
        return Err(wrong());
    }
    for (declared, found) in dims.iter().zip(tensor.dims()) {
        match declared {
            Dim::Fixed(n) if usize::try_from(*n).is_ok_and(|n| n != *found) => return Err(wrong()),
            _ => {}
        }
    }
    Ok(())
}
