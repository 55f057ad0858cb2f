//! A graph: nodes in an order that computes every value before it is read.

use std::rc::Rc;

use super::{
    fact::{DType, Fact},
    op::Op,
    rotation::Rotation,
};
use crate::fault::{Fault, Result};

/// A value: one result of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// The node.
    pub node: NodeId,
    /// Which of its results.
    pub output: u8,
}

/// Index into [`Graph::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// Index into [`Graph::weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WeightId(pub u32);

/// Index into [`Graph::states`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId(pub u32);

/// What the host gives at every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// Token ids, `i32[rows]`.
    Tokens,
    /// Positions in their sequences, `i32[rows]`.
    Positions,
    /// Rows that want a result, `i32[outputs]`.
    Outputs,
    /// Kinds of tokens (BERT's segments: 0, and 1 for the second of two texts), `i32[rows]`.
    Types,
}

/// One operation, what it reads and what is known of its results.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// What it reads.
    pub inputs: Vec<Value>,
    /// Facts of its results.
    pub facts: Vec<Fact>,
    /// For people: "blk.3.attn_q", "x".
    pub label: Rc<str>,
}

/// A weight: rows of one or more tensors of the model, in one encoding.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// For people: the tensor's name, or several joined.
    pub name: Rc<str>,
    /// `[rows, row_len]` in an encoding, or `f32[n]` for vectors, which are widened at load.
    pub fact: Fact,
    /// Where its rows come from, in order.
    pub sources: Vec<Source>,
}

/// Rows of one tensor. Of a vector each value is a row (of a matrix that becomes a vector, in the order of its bytes); of a
/// tensor that is stored by inputs each column is.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Index into the model's tensors.
    pub tensor: usize,
    /// First row taken.
    pub first: u32,
    /// Rows in a run.
    pub run: u32,
    /// From the start of a run to the next one's.
    pub step: u32,
    /// Number of runs.
    pub runs: u32,
    /// How the tensor lies in its file.
    pub stored: Stored,
    /// Added to every value (norms stored as `w - 1`); for vectors only.
    pub plus: f32,
}

/// How a matrix lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// `[outputs, inputs]`: a row makes one output.
    ByOutput,
    /// `[inputs, outputs]`: to be transposed at load.
    ByInput,
    /// Matrices `[inputs, outputs]` one behind the other, each to be transposed at load. Row `r` of the weight is output
    /// `r % outputs` of matrix `r / outputs`.
    Stacked(Stack),
    /// `[rows, row_len / 32, 16]`: the bytes of MXFP4, two values each, whose scales are another tensor `[rows, row_len / 32]`.
    Mxfp4 {
        /// The tensor of the scales.
        scales: usize,
    },
    /// Codes whose scales are in other tensors of the model: unpacked at load into rows of the weight's encoding.
    Packed,
}

/// Where matrices lie in a tensor: in its rows, all outer dimensions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    /// Rows from one matrix to the next.
    pub pitch: u32,
    /// First row of a matrix.
    pub first: u32,
    /// Its rows: the inputs.
    pub inputs: u32,
    /// Values of a row: the outputs.
    pub outputs: u32,
}

impl Source {
    /// Rows `first .. first + rows` of a tensor.
    pub fn rows(tensor: usize, first: u32, rows: u32) -> Self {
        Self { tensor, first, run: rows, step: rows, runs: 1, stored: Stored::ByOutput, plus: 0.0 }
    }
    /// The tensors that are read.
    pub fn tensors(&self) -> impl Iterator<Item = usize> {
        let scales = if let Stored::Mxfp4 { scales } = self.stored { Some(scales) } else { None };
        std::iter::once(self.tensor).chain(scales)
    }
    /// Number of rows taken.
    pub fn count(&self) -> u32 {
        self.run * self.runs
    }
}

/// Memory of sequences between steps: one row a position, or one row that each step makes anew.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// For people: "blk.0.k".
    pub name: Rc<str>,
    /// Values of a row.
    pub width: u32,
    /// Positions that are looked back at, this one included; `None`: all.
    pub window: Option<u32>,
    /// One row a sequence, which [`super::Op::Recur`] carries on; else one row a position.
    pub carried: bool,
}

/// Values known when the graph is built.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// Element type and shape, all dimensions fixed.
    pub fact: Fact,
    /// The values, also of whole-number types (exact up to 2^24).
    pub values: Rc<[f32]>,
}

/// A model's computation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Operations, each after its inputs.
    pub nodes: Vec<Node>,
    /// Weights read.
    pub weights: Vec<Weight>,
    /// States kept.
    pub states: Vec<State>,
    /// Constants read.
    pub constants: Vec<Constant>,
    /// Rotary angles: what [`super::Rope::rotation`] counts.
    pub rotations: Vec<Rotation>,
    /// Results by name: "logits", "hidden".
    pub outputs: Vec<(Rc<str>, Value)>,
}

impl Graph {
    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
    /// The node that makes a value.
    pub fn maker(&self, value: Value) -> &Node {
        self.node(value.node)
    }
    /// What is known of a value.
    pub fn fact(&self, value: Value) -> &Fact {
        &self.maker(value).facts[value.output as usize]
    }
    /// Adds a node whose facts are inferred.
    ///
    /// # Errors
    /// The inputs do not fit the operation; the fault names the node and the shapes.
    pub fn add(&mut self, op: Op, inputs: &[Value], label: impl Into<Rc<str>>) -> Result<NodeId> {
        let label = label.into();
        let facts: Vec<&Fact> = inputs.iter().map(|v| self.fact(*v)).collect();
        let facts = super::infer(self, &op, &facts).map_err(|f| Fault { what: format!("{label}: {}", f.what), ..f })?;
        self.nodes.push(Node { op, inputs: inputs.to_vec(), facts, label });
        Ok(NodeId(self.nodes.len() as u32 - 1))
    }
    /// Adds values known now.
    ///
    /// # Errors
    /// As [`Graph::add`].
    pub fn add_constant(&mut self, constant: Constant, label: impl Into<Rc<str>>) -> Result<NodeId> {
        self.constants.push(constant);
        self.add(Op::Constant(self.constants.len() - 1), &[], label)
    }
    /// The result of this name.
    pub fn output(&self, name: &str) -> Option<Value> {
        self.outputs.iter().find(|(n, _)| **n == *name).map(|(_, v)| *v)
    }
    /// How often each node's results are read, by node; a result of the graph counts as read.
    pub fn readers(&self) -> Vec<u32> {
        let mut readers = vec![0; self.nodes.len()];
        for value in self.nodes.iter().flat_map(|n| &n.inputs).chain(self.outputs.iter().map(|(_, v)| v)) {
            readers[value.node.0 as usize] += 1;
        }
        readers
    }
    /// Whether a node does something besides giving values: writing a state, choosing the next token.
    pub fn has_effect(&self, id: NodeId) -> bool {
        let op = &self.node(id).op;
        *op == Op::Advance || !op.states_written().is_empty()
    }
}

impl NodeId {
    /// The node's only, or first, result.
    pub fn value(self) -> Value {
        Value { node: self, output: 0 }
    }
    /// One of its results.
    pub fn result(self, output: u8) -> Value {
        Value { node: self, output }
    }
}

/// Weight rows in `encoding`, `[rows, row_len]`.
impl Weight {
    /// The encoding of a matrix; `None` for a vector of f32.
    pub fn encoding(&self) -> Option<crate::tensor::Encoding> {
        match self.fact.dtype {
            DType::Block(encoding) => Some(encoding),
            _ => None,
        }
    }
}
