//! Linear maps of one input as one map with all their rows: queries, keys and values; gate and up.

use super::{joined, linear};
use crate::{
    fault::Result,
    ir::{
        fact::{DType, Dim, Fact},
        graph::{Graph, NodeId, Source, Value, Weight, WeightId},
        op::{Binary, Op},
        passes::dead,
        rewrite::{Readers, Rewriter, rewrite},
    },
};

pub(in crate::ir::passes) fn run(graph: &mut Graph) -> Result<()> {
    let readers = Readers::of(graph);
    let stacks = stacks(graph, &readers);
    rewrite(graph, |writer, id| {
        let Some(stack) = stacks.iter().find(|s| s.contains(&id)) else { return Ok(None) };
        if stack.iter().min() == Some(&id) {
            stacked(writer, stack)?;
        }
        Ok(Some(vec![writer.value(id.value())?]))
    })?;
    // The weights that were joined are not to be loaded a second time.
    dead::compact(graph);
    Ok(())
}

/// Groups of maps that become one, each in the order of its rows.
fn stacks(graph: &Graph, readers: &Readers) -> Vec<Vec<NodeId>> {
    let mut stacks: Vec<Vec<NodeId>> = Vec::new();
    for node in &graph.nodes {
        let group = match (&node.op, node.inputs.as_slice()) {
            (Op::Attention(_), inputs) => inputs.iter().filter_map(|v| projection(graph, *v)).collect(),
            (Op::Binary(Binary::Mul), &[a, b]) => {
                gate_and_up(graph, a, b).or_else(|| gate_and_up(graph, b, a)).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let mut alike: Vec<(Kind, Vec<NodeId>)> = Vec::new();
        for map in group {
            let is_known = stacks.iter().chain(alike.iter().map(|(_, maps)| maps)).any(|s| s.contains(&map));
            let Some(kind) = kind(graph, readers, map).filter(|_| !is_known) else { continue };
            match alike.iter_mut().find(|(k, _)| *k == kind) {
                Some((_, maps)) => maps.push(map),
                None => alike.push((kind, vec![map])),
            }
        }
        stacks.extend(alike.into_iter().map(|(_, maps)| maps).filter(|maps| maps.len() > 1));
    }
    stacks
}

/// The map that makes queries, keys or values, before norms of heads, rotation and remembering.
fn projection(graph: &Graph, mut value: Value) -> Option<NodeId> {
    loop {
        let node = graph.maker(value);
        match node.op {
            Op::Linear => return Some(value.node),
            Op::StateWrite(_)
            | Op::Rope(_)
            | Op::RmsNorm { .. }
            | Op::LayerNorm { .. }
            | Op::Unary(_)
            | Op::Reshape(_) => {
                value = node.inputs[0];
            }
            _ => return None,
        }
    }
}

fn gate_and_up(graph: &Graph, activated: Value, up: Value) -> Option<Vec<NodeId>> {
    match graph.maker(activated).op {
        Op::Unary(_) => Some(vec![linear(graph, graph.maker(activated).inputs[0])?, linear(graph, up)?]),
        _ => None,
    }
}

/// What maps must have in common to be stacked.
#[derive(PartialEq)]
struct Kind {
    x: Value,
    dtype: DType,
    row_len: Dim,
    has_bias: bool,
}

/// The kind of a map whose weights are its own; `None` where they are read elsewhere too, or are no weights of the model.
fn kind(graph: &Graph, readers: &Readers, map: NodeId) -> Option<Kind> {
    let inputs = &graph.node(map).inputs;
    let own = |value: &Value| {
        let weight = weight(graph, *value)?;
        let is_shared = graph.nodes.iter().filter(|n| n.op == graph.maker(*value).op).count() > 1;
        (readers.only(*value) == Some(map) && !is_shared && !weight.sources.is_empty()).then_some(weight)
    };
    let weights = inputs[1..].iter().map(own).collect::<Option<Vec<_>>>()?;
    let fact = &weights.first()?.fact;
    Some(Kind { x: inputs[0], dtype: fact.dtype, row_len: *fact.shape.get(1)?, has_bias: weights.len() == 2 })
}

fn weight(graph: &Graph, value: Value) -> Option<&Weight> {
    match graph.maker(value).op {
        Op::Weight(WeightId(id)) => graph.weights.get(id as usize),
        _ => None,
    }
}

/// Adds the one map and the columns that stand for each map's result.
fn stacked(writer: &mut Rewriter<'_>, stack: &[NodeId]) -> Result<()> {
    let nodes: Vec<_> = stack.iter().map(|id| writer.old.node(*id)).collect();
    let mut inputs = vec![writer.value(nodes[0].inputs[0])?];
    for i in 1..nodes[0].inputs.len() {
        let parts: Vec<&Weight> = nodes.iter().filter_map(|n| weight(writer.old, n.inputs[i])).collect();
        let weight = joined_weight(&parts);
        let label = weight.name.clone();
        writer.new.weights.push(weight);
        let id = WeightId(writer.new.weights.len() as u32 - 1);
        inputs.push(writer.new.add(Op::Weight(id), &[], label)?.value());
    }
    let labels: Vec<&str> = nodes.iter().map(|n| &*n.label).collect();
    let whole = writer.new.add(Op::Linear, &inputs, joined(&labels))?.value();
    let axis = writer.new.fact(whole).shape.len() - 1;
    let mut start = 0;
    for (id, node) in stack.iter().zip(nodes) {
        let len = node.facts[0].width().unwrap_or(0);
        let part = writer.new.add(Op::Slice { axis, start, len }, &[whole], node.label.clone())?;
        writer.set(id.value(), part.value());
        start += len;
    }
    Ok(())
}

/// All rows of some weights, in order.
fn joined_weight(parts: &[&Weight]) -> Weight {
    let names: Vec<&str> = parts.iter().map(|w| &*w.name).collect();
    let rows = parts.iter().filter_map(|w| w.fact.shape.first()?.fixed()).sum();
    let mut shape = parts[0].fact.shape.clone();
    shape[0] = Dim::Fixed(rows);
    let mut sources: Vec<Source> = Vec::new();
    for source in parts.iter().flat_map(|w| &w.sources) {
        match sources.last_mut().filter(|last| follows(last, source)) {
            Some(last) => *last = Source { run: last.run + source.run, step: last.run + source.run, ..last.clone() },
            None => sources.push(source.clone()),
        }
    }
    Weight { name: joined(&names).into(), fact: Fact::new(parts[0].fact.dtype, shape), sources }
}

/// Whether rows are the next ones of the same tensor, as where a file has queries, keys and values in one.
fn follows(last: &Source, next: &Source) -> bool {
    let alike = (last.tensor, last.stored, last.plus) == (next.tensor, next.stored, next.plus);
    alike && last.runs == 1 && next.runs == 1 && last.first.checked_add(last.run) == Some(next.first)
}
