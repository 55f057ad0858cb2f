//! The operator graph of ONNX, TensorFlow and TensorFlow Lite files.

use crate::tensor::{Encoding, Shape};

/// An input or output of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphValue {
    /// Name.
    pub name: String,
    /// Element type, where stated.
    pub encoding: Option<Encoding>,
    /// Dimensions as stated: numbers, or names of symbolic ones, "?" where unknown.
    pub dims: Vec<String>,
}

/// One operator.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphNode {
    /// Node name; may be empty.
    pub name: String,
    /// Operator type: "MatMul".
    pub op: String,
    /// Operator domain; "" is ai.onnx.
    pub domain: String,
    /// Names of the values read.
    pub inputs: Vec<String>,
    /// Names of the values written.
    pub outputs: Vec<String>,
    /// Number of subgraphs in its attributes.
    pub subgraphs: u32,
    /// Attributes: name and value as text, long ones shortened.
    pub attributes: Vec<(String, String)>,
}

/// A graph of operators.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OpGraph {
    /// Graph name.
    pub name: String,
    /// Operator sets: domain and version.
    pub opsets: Vec<(String, i64)>,
    /// Inputs that are no initializers.
    pub inputs: Vec<GraphValue>,
    /// Outputs.
    pub outputs: Vec<GraphValue>,
    /// Nodes of the top graph, in file order.
    pub nodes: Vec<GraphNode>,
    /// Subgraphs anywhere below (If, Loop, Scan bodies).
    pub subgraphs: u64,
    /// Nodes in subgraphs and functions.
    pub inner_nodes: u64,
    /// Operators of these, each once: domain and name.
    pub inner_operators: Vec<(String, String)>,
    /// Operators that the file itself defines: domain and name.
    pub functions: Vec<(String, String)>,
    /// Values between the top graph's nodes whose type or shape the file states.
    pub values: Vec<GraphValue>,
}

impl GraphValue {
    /// The static shape, where every dimension is a number.
    pub fn shape(&self) -> Option<Shape> {
        self.dims.iter().map(|d| d.parse().ok()).collect::<Option<Vec<u64>>>().map(Shape)
    }
}
