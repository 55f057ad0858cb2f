//! A forward pass as a list of plain operations on rows of activations.

use super::{
    config::Config,
    weights::{Role, WeightRef, Weights},
};
use crate::fault::Result;

/// A value: the result of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub usize);

/// One operation. Rows are tokens.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Op {
    /// The tokens' rows of the table.
    Embed { table: WeightRef },
    /// `x / rms(x) * weight`.
    RmsNorm { x: Node, weight: WeightRef },
    /// `x W^T + bias`.
    Linear { x: Node, weight: WeightRef, bias: Option<WeightRef> },
    /// Rotates each head by its position.
    Rope { x: Node, heads: u32 },
    /// Appends to a layer's key (`value: false`) or value cache; has no result.
    KvWrite { x: Node, layer: u32, value: bool },
    /// Causal attention over a layer's caches.
    Attention { q: Node, layer: u32 },
    /// `silu(gate) * up`.
    SiluMul { gate: Node, up: Node },
    /// `x + y`.
    Add { x: Node, y: Node },
    /// The last row alone; needed only where a step has more than one.
    LastRow { x: Node },
}

impl Op {
    /// The values read.
    pub fn inputs(&self) -> Vec<Node> {
        match *self {
            Self::Embed { .. } => vec![],
            Self::RmsNorm { x, .. }
            | Self::Linear { x, .. }
            | Self::Rope { x, .. }
            | Self::KvWrite { x, .. }
            | Self::LastRow { x } => vec![x],
            Self::Attention { q, .. } => vec![q],
            Self::SiluMul { gate, up } => vec![gate, up],
            Self::Add { x, y } => vec![x, y],
        }
    }
}

/// An operation, the width of its result's rows, and a name for people.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphNode {
    /// What is computed.
    pub op: Op,
    /// Values per row of the result.
    pub width: u32,
    /// What the value is: "x", "q", "gate".
    pub name: &'static str,
}

/// A whole forward pass: operations in order; the last one gives the logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// The model's numbers.
    pub config: Config,
    /// Operations, each after its inputs.
    pub nodes: Vec<GraphNode>,
}

/// Builds a graph; every weight's presence, shape and encoding is checked as it is used.
pub struct GraphBuilder<'a> {
    weights: Weights<'a>,
    graph: Graph,
}

impl<'a> GraphBuilder<'a> {
    /// An empty graph over a model's weights.
    pub fn new(config: &Config, weights: Weights<'a>) -> Self {
        Self { weights, graph: Graph { config: config.clone(), nodes: Vec::new() } }
    }
    /// The finished graph.
    pub fn finish(self) -> Graph {
        self.graph
    }
    fn push(&mut self, name: &'static str, width: u32, op: Op) -> Node {
        self.graph.nodes.push(GraphNode { op, width, name });
        Node(self.graph.nodes.len() - 1)
    }
    fn width(&self, node: Node) -> u32 {
        self.graph.nodes[node.0].width
    }
    /// The tokens' embeddings.
    ///
    /// # Errors
    /// As for every weight: missing, of another shape, or in an encoding without kernels.
    pub fn embed(&mut self) -> Result<Node> {
        let (vocab, width) = (self.graph.config.vocab, self.graph.config.width);
        let table = self.weights.matrix(Role::TokenEmbedding, 0, vocab, width)?;
        Ok(self.push("x", width, Op::Embed { table }))
    }
    /// Root-mean-square norm.
    ///
    /// # Errors
    /// As for every weight.
    pub fn rms_norm(&mut self, x: Node, role: Role, layer: u32) -> Result<Node> {
        let width = self.width(x);
        let weight = self.weights.vector(role, layer, width)?;
        Ok(self.push("normed", width, Op::RmsNorm { x, weight }))
    }
    /// A matrix, with its bias where the model has one.
    ///
    /// # Errors
    /// As for every weight.
    pub fn linear(&mut self, name: &'static str, x: Node, role: Role, layer: u32, width: u32) -> Result<Node> {
        let weight = self.weights.matrix(role, layer, width, self.width(x))?;
        let bias = self.weights.bias(role, layer, width)?;
        Ok(self.push(name, width, Op::Linear { x, weight, bias }))
    }
    /// The output matrix, or the embedding table where the model ties them.
    ///
    /// # Errors
    /// As for every weight.
    pub fn head(&mut self, x: Node) -> Result<Node> {
        let tied = self.weights.find(Role::Output, 0, "weight").is_none();
        let role = if tied { Role::TokenEmbedding } else { Role::Output };
        self.linear("logits", x, role, 0, self.graph.config.vocab)
    }
    /// Rotary positions on each head.
    pub fn rope(&mut self, x: Node) -> Node {
        let width = self.width(x);
        let (name, heads) = (self.graph.nodes[x.0].name, width / self.graph.config.head_dim);
        self.push(name, width, Op::Rope { x, heads })
    }
    /// Remembers keys and values, then attends to all so far.
    pub fn attention(&mut self, layer: u32, q: Node, k: Node, v: Node) -> Node {
        let (width, kv_width) = (self.width(q), self.width(k));
        self.push("k", kv_width, Op::KvWrite { x: k, layer, value: false });
        self.push("v", kv_width, Op::KvWrite { x: v, layer, value: true });
        self.push("attended", width, Op::Attention { q, layer })
    }
    /// `silu(gate) * up`.
    pub fn silu_mul(&mut self, gate: Node, up: Node) -> Node {
        let width = self.width(gate);
        self.push("hidden", width, Op::SiluMul { gate, up })
    }
    /// `x + y`.
    pub fn add(&mut self, x: Node, y: Node) -> Node {
        let (name, width) = (self.graph.nodes[x.0].name, self.width(x));
        self.push(name, width, Op::Add { x, y })
    }
    /// The last token's row.
    pub fn last_row(&mut self, x: Node) -> Node {
        let width = self.width(x);
        self.push("last", width, Op::LastRow { x })
    }
}
