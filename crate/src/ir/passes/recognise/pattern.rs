//! A graph fragment to be found in a graph: the parts of an operation, with holes for its inputs and unknown numbers.

use crate::ir::{
    decompose::decompose,
    fact::Fact,
    graph::{Graph, Node, NodeId, Value},
    op::{Op, Unary},
};

/// The parts of an operation; the first nodes stand for its inputs.
pub(super) struct Pattern {
    parts: Graph,
    holes: usize,
    root: Value,
}

/// A place where a pattern was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// What stands in the pattern's holes.
    pub(super) inputs: Vec<Value>,
    /// Numbers where the pattern has an unknown one, from the last part to the first.
    pub(super) numbers: Vec<f32>,
}

/// What is known while a pattern is being found.
#[derive(Clone)]
struct Bindings {
    inputs: Vec<Option<Value>>,
    numbers: Vec<f32>,
}

/// Written numbers differ in their last digits: 1.4142135 or 1.41421356 or 1 / 0.70710677.
const NEAR: f32 = 1e-6;

impl Pattern {
    /// The parts of an operation on inputs of the given facts; `None` where it has no plainer parts. A number that is
    /// not a number (NaN) is unknown.
    pub(super) fn of(op: &Op, inputs: &[Fact]) -> Option<Self> {
        let mut parts = Graph::default();
        for fact in inputs {
            // Only the fact counts: a hole is known by its index.
            let (op, facts) = (Op::Constant(usize::MAX), vec![fact.clone()]);
            parts.nodes.push(Node { op, inputs: Vec::new(), facts, label: "hole".into() });
        }
        let holes: Vec<Value> = (0..inputs.len() as u32).map(|i| NodeId(i).value()).collect();
        match decompose(&mut parts, op, &holes, "part").ok()??[..] {
            [root] => Some(Self { parts, holes: inputs.len(), root }),
            _ => None,
        }
    }

    /// What the pattern's holes are where its last part is `root`.
    pub(super) fn find(&self, graph: &Graph, root: Value) -> Option<Found> {
        let mut bindings = Bindings { inputs: vec![None; self.holes], numbers: Vec::new() };
        self.matches(graph, self.root, root, &mut bindings).then_some(())?;
        Some(Found { inputs: bindings.inputs.into_iter().collect::<Option<_>>()?, numbers: bindings.numbers })
    }

    fn matches(&self, graph: &Graph, part: Value, value: Value, bindings: &mut Bindings) -> bool {
        if self.parts.fact(part) != graph.fact(value) {
            return false;
        }
        if let Some(bound) = bindings.inputs.get_mut(part.node.0 as usize) {
            return *bound.get_or_insert(value) == value;
        }
        let (part, node) = (self.parts.maker(part), graph.maker(value));
        if part.inputs.len() != node.inputs.len() || !self.same_op(graph, &part.op, &node.op, &mut bindings.numbers) {
            return false;
        }
        let before = bindings.clone();
        if self.all_match(graph, part.inputs.iter().zip(&node.inputs), bindings) {
            return true;
        }
        *bindings = before;
        let commutes = matches!(part.op, Op::Binary(f) if f.commutes());
        commutes && self.all_match(graph, part.inputs.iter().zip(node.inputs.iter().rev()), bindings)
    }

    fn all_match<'v>(
        &self,
        graph: &Graph,
        mut pairs: impl Iterator<Item = (&'v Value, &'v Value)>,
        bindings: &mut Bindings,
    ) -> bool {
        pairs.all(|(part, value)| self.matches(graph, *part, *value, bindings))
    }

    /// Whether an operation is the pattern's; keeps the number that the pattern does not know.
    fn same_op(&self, graph: &Graph, part: &Op, op: &Op, numbers: &mut Vec<f32>) -> bool {
        match (part, op) {
            (Op::Unary(Unary::Scale(known)), Op::Unary(Unary::Scale(number)))
            | (Op::Unary(Unary::Shift(known)), Op::Unary(Unary::Shift(number)))
            | (Op::LayerNorm { eps: known }, Op::LayerNorm { eps: number }) => {
                if known.is_nan() {
                    numbers.push(*number);
                }
                known.is_nan() || (known - number).abs() <= NEAR * known.abs()
            }
            (Op::Constant(known), Op::Constant(at)) => {
                self.parts.constants.get(*known).is_some_and(|c| graph.constants.get(*at) == Some(c))
            }
            _ => part == op,
        }
    }
}
