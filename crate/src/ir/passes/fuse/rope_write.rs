//! Queries, keys and values of one row: rotated, and the latter two remembered, as [`Fused::RopeWrite`].

use super::{Columns, columns};
use crate::{
    fault::Result,
    ir::{
        graph::{Graph, NodeId, StateId, Value},
        op::{Fused, Op, Rope},
        rewrite::{Readers, rewrite},
    },
    order,
};

/// What becomes one operation.
struct Found {
    /// The rows of queries, keys and values.
    base: Value,
    positions: Value,
    op: Op,
    /// The rotated queries, the key state, the value state.
    results: [Value; 3],
}

pub(in crate::ir::passes) fn run(graph: &mut Graph) -> Result<()> {
    let readers = Readers::of(graph);
    let ids = (0..graph.nodes.len() as u32).map(NodeId);
    let all: Vec<Found> = ids.filter_map(|id| find(graph, &readers, id)).collect();
    rewrite(graph, |writer, id| {
        let Some(found) = all.iter().find(|f| f.results.iter().any(|r| r.node == id)) else { return Ok(None) };
        // In place of the last of them: by then all inputs are there, and nothing has read a result.
        if found.results.iter().any(|r| r.node > id) {
            return Ok(Some(Vec::new()));
        }
        let inputs = [writer.value(found.base)?, writer.value(found.positions)?];
        let label = beside(&writer.old.node(found.base.node).label);
        let node = writer.new.add(found.op.clone(), &inputs, label)?;
        let results = writer.new.results(node);
        found.results.iter().zip(results).for_each(|(old, new)| writer.set(*old, new));
        Ok(Some(vec![writer.value(id.value())?]))
    })
}

/// "blk.0.rope_write" beside "blk.0.q+k+v".
fn beside(label: &str) -> String {
    let prefix = label.rfind('.').map_or("", |dot| &label[..=dot]);
    format!("{prefix}rope_write")
}

/// The parts that begin at a node's result, where the three ranges that read it are queries, keys and values.
fn find(graph: &Graph, readers: &Readers, base: NodeId) -> Option<Found> {
    if graph.node(base).facts.len() != 1 || readers.is_result(base) {
        return None;
    }
    let mut parts: Vec<(Columns, Value)> = Vec::with_capacity(3);
    for reader in readers.nodes(base.value()) {
        parts.push((columns(graph, reader.value())?, reader.value()));
    }
    order::sort_by_key(&mut parts, |(columns, _)| columns.start);
    let [(q, q_value), (k, k_value), (v, v_value)] = <[_; 3]>::try_from(parts).ok()?;
    let width = graph.fact(base.value()).width()?;
    if (q.start, k.start, v.start, v.start + v.len) != (0, q.len, q.len + k.len, width) {
        return None;
    }
    let (queries, rope, positions) = rotated(graph, readers, q_value)?;
    let (rotated_keys, key_rope, key_positions) = rotated(graph, readers, k_value)?;
    let (key_state, keys) = written(graph, readers, rotated_keys)?;
    let (value_state, values) = written(graph, readers, v_value)?;
    let results = [queries, key_state, value_state];
    let op = Op::Fused(Fused::RopeWrite { rope, q: q.len, k: k.len, v: v.len, keys, values });
    let agree = rope == key_rope && positions == key_positions && keys != values && !readers.is_result(queries.node);
    (agree && unread_before_last(readers, &results)).then_some(Found { base: base.value(), positions, op, results })
}

/// The rotation of a value that nothing else reads, with its numbers and positions.
fn rotated(graph: &Graph, readers: &Readers, value: Value) -> Option<(Value, Rope, Value)> {
    let reader = readers.only(value)?;
    match graph.node(reader).op {
        Op::Rope(rope) => Some((reader.value(), rope, graph.node(reader).inputs[1])),
        _ => None,
    }
}

/// The state in which a value that nothing else reads is remembered.
fn written(graph: &Graph, readers: &Readers, value: Value) -> Option<(Value, StateId)> {
    let reader = readers.only(value)?;
    match graph.node(reader).op {
        Op::StateWrite(id) => Some((reader.value(), id)),
        _ => None,
    }
}

/// Whether all that reads the results comes after the last of them.
fn unread_before_last(readers: &Readers, results: &[Value; 3]) -> bool {
    let last = results.iter().map(|r| r.node).max();
    results.iter().flat_map(|r| readers.nodes(*r)).all(|reader| Some(*reader) > last)
}
