//! Finds rich operations in their parts, as exporters write them: norms, activations, softmax, linear maps.
//!
//! What is looked for is what [`decompose`](crate::ir::decompose) makes of the operation, so each has one statement of
//! its parts; `simplify` has brought the graph to the same spelling before.

mod pattern;

use crate::{
    fault::Result,
    ir::{
        fact::{DType, Dim, Fact},
        graph::{Graph, Value},
        op::{Binary, Op, Unary},
        rewrite::rewrite,
    },
};

use pattern::Pattern;

/// A number of the operation that is to be found.
const UNKNOWN: f32 = f32::NAN;

pub(super) fn run(graph: &mut Graph) -> Result<()> {
    rewrite(graph, |writer, id| {
        let mut results = writer.copy(id)?;
        // What was found may be a part of something richer: sigmoid, then SiLU.
        while let [root] = results[..] {
            let Some((op, inputs)) = found(&writer.new, root) else { break };
            let label = writer.old.node(id).label.clone();
            results = vec![writer.new.add(op, &inputs, label)?.value()];
        }
        Ok(Some(results))
    })
}

/// The richer operation that a value is the result of, and what it reads.
fn found(graph: &Graph, root: Value) -> Option<(Op, Vec<Value>)> {
    if let Some(found) = encoded(graph, root).or_else(|| ungrouped(graph, root)) {
        return Some(found);
    }
    candidates(graph, root).into_iter().find_map(|(op, facts)| {
        let found = Pattern::of(&op, &facts)?.find(graph, root)?;
        let Some(op) = completed(&op, &found.numbers) else { return Some((op, found.inputs)) };
        // Now with its numbers, of which some stand more than once in the parts.
        let found = Pattern::of(&op, &facts)?.find(graph, root)?;
        Some((op, found.inputs))
    })
}

/// Operations that a value may be the result of, by the last of their parts, with the facts of their inputs.
fn candidates(graph: &Graph, root: Value) -> Vec<(Op, Vec<Fact>)> {
    let (node, fact) = (graph.maker(root), graph.fact(root));
    let facts = || node.inputs.iter().map(|v| graph.fact(*v).clone()).collect::<Vec<_>>();
    if fact.dtype != DType::F32 {
        return Vec::new();
    }
    let function = |f: Unary| (Op::Unary(f), vec![fact.clone()]);
    let vector = |n: u32| Fact::new(DType::F32, [Dim::Fixed(n)]);
    match (&node.op, fact.width()) {
        (Op::Unary(f), _) => match f {
            Unary::Reciprocal => vec![function(Unary::Sigmoid), function(Unary::Rsqrt)],
            Unary::Scale(_) => {
                vec![function(Unary::Gelu), function(Unary::GeluTanh), function(Unary::SoftCap(UNKNOWN))]
            }
            Unary::Square => vec![function(Unary::ReluSquared)],
            _ => Vec::new(),
        },
        (Op::Binary(Binary::Mul), Some(width)) => {
            // The second is a part of the first: a layer norm is an RMS norm of values less their mean.
            let norm = [
                (Op::LayerNorm { eps: UNKNOWN }, vec![fact.clone(), vector(width)]),
                (Op::RmsNorm { eps: UNKNOWN, group: width }, vec![fact.clone(), vector(width)]),
            ];
            [function(Unary::Silu), function(Unary::QuickGelu)].into_iter().chain(norm).collect()
        }
        (Op::Binary(Binary::Div), _) => vec![(Op::Softmax, vec![fact.clone()])],
        (Op::Binary(Binary::Add), Some(_)) => [vec![function(Unary::Softplus)], with_bias(graph, root)].concat(),
        (Op::MatMul { transposed: true }, _) if is_matrix(graph, node.inputs[1]) => vec![(Op::Linear, facts())],
        _ => Vec::new(),
    }
}

/// A map or a norm without a bias, of which one is added.
fn with_bias(graph: &Graph, root: Value) -> Vec<(Op, Vec<Fact>)> {
    let of = |value: &Value| {
        let node = graph.maker(*value);
        let facts = node.inputs.iter().map(|v| graph.fact(*v).clone());
        let bias = Fact::new(DType::F32, graph.fact(root).shape.last().copied().into_iter().collect::<Vec<_>>());
        match node.op {
            Op::Linear | Op::LayerNorm { .. } if node.inputs.len() == 2 => {
                Some((node.op.clone(), facts.chain([bias]).collect()))
            }
            _ => None,
        }
    };
    graph.maker(root).inputs.iter().filter_map(of).collect()
}

/// A linear map of a weight that was decoded before, on the weight itself: it is decoded row by row anyway.
fn encoded(graph: &Graph, root: Value) -> Option<(Op, Vec<Value>)> {
    let node = graph.maker(root);
    let (Op::Linear, &[x, weight, ref bias @ ..]) = (&node.op, node.inputs.as_slice()) else { return None };
    let cast = graph.maker(weight);
    let is_decoded =
        cast.op == Op::Cast(DType::F32) && matches!(graph.fact(*cast.inputs.first()?).dtype, DType::Block(_));
    is_decoded.then(|| (Op::Linear, [&[x, cast.inputs[0]], bias].concat()))
}

/// A norm of groups that were made dimensions of their own for it, on the rows as they were.
fn ungrouped(graph: &Graph, root: Value) -> Option<(Op, Vec<Value>)> {
    let before = |value: Value| match graph.maker(value).op {
        Op::Reshape(_) => Some(graph.maker(value).inputs[0]),
        _ => None,
    };
    let norm = graph.maker(before(root)?);
    let (Op::RmsNorm { group, .. }, &[x, weight]) = (&norm.op, norm.inputs.as_slice()) else { return None };
    let x = before(x).filter(|x| graph.fact(*x) == graph.fact(root))?;
    let is_whole = graph.fact(x).width().is_some_and(|n| n % group == 0);
    is_whole.then(|| (norm.op.clone(), vec![x, weight]))
}

/// Whether a value is a matrix known before any step.
fn is_matrix(graph: &Graph, value: Value) -> bool {
    let weight = match &graph.maker(value).op {
        Op::Cast(DType::F32) => graph.maker(value).inputs[0],
        _ => value,
    };
    matches!(graph.maker(weight).op, Op::Weight(_) | Op::Constant(_)) && graph.fact(weight).shape.len() == 2
}

/// The operation with the numbers that were found, the first of its parts' that was unknown; `None` where nothing was.
fn completed(op: &Op, numbers: &[f32]) -> Option<Op> {
    let number = *numbers.first()?;
    Some(match *op {
        Op::RmsNorm { group, .. } => Op::RmsNorm { eps: number, group },
        Op::LayerNorm { .. } => Op::LayerNorm { eps: number },
        Op::Unary(Unary::SoftCap(_)) => Op::Unary(Unary::SoftCap(number)),
        _ => return None,
    })
}
