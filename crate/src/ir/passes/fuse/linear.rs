//! A linear map and what is done with its result.

use super::{columns, linear};
use crate::{
    fault::Result,
    ir::{
        graph::{Graph, NodeId, Value},
        op::{Binary, Fused, Op, Unary},
        rewrite::{Readers, rewrite},
    },
};

/// `residual + Linear(x)` as [`Fused::LinearAdd`].
pub(in crate::ir::passes) fn linear_add(graph: &mut Graph) -> Result<()> {
    let readers = Readers::of(graph);
    rewrite(graph, |writer, id| {
        let Some((residual, map)) = sum(writer.old, &readers, id) else { return Ok(None) };
        let mut inputs = vec![writer.value(residual)?];
        inputs.extend(writer.inputs(map)?);
        let label = writer.old.node(map).label.clone();
        let node = writer.new.add(Op::Fused(Fused::LinearAdd), &inputs, label)?;
        Ok(Some(vec![node.value()]))
    })
}

/// The residual and the map of a sum that a map's result goes to alone. Of two maps, the later: the earlier's result is there by then.
fn sum(graph: &Graph, readers: &Readers, id: NodeId) -> Option<(Value, NodeId)> {
    let node = graph.node(id);
    let (Op::Binary(Binary::Add), &[a, b]) = (&node.op, node.inputs.as_slice()) else { return None };
    let of = |map: Value, residual: Value| {
        let map_node = linear(graph, map).filter(|_| readers.only(map) == Some(id))?;
        (graph.fact(residual) == graph.fact(map)).then_some((residual, map_node))
    };
    of(a, b).into_iter().chain(of(b, a)).max_by_key(|(_, map)| *map)
}

/// `f(gate) * up` of the two halves of a linear map as [`Fused::GatedLinear`].
pub(in crate::ir::passes) fn gated_linear(graph: &mut Graph) -> Result<()> {
    let readers = Readers::of(graph);
    rewrite(graph, |writer, id| {
        let node = writer.old.node(id);
        let (Op::Binary(Binary::Mul), &[a, b]) = (&node.op, node.inputs.as_slice()) else { return Ok(None) };
        let either = gate(writer.old, &readers, a, b).or_else(|| gate(writer.old, &readers, b, a));
        let Some((f, map)) = either else { return Ok(None) };
        let (inputs, label) = (writer.inputs(map)?, writer.old.node(map).label.clone());
        let node = writer.new.add(Op::Fused(Fused::GatedLinear(f)), &inputs, label)?;
        Ok(Some(vec![node.value()]))
    })
}

/// The function and the map of which one value is the function of the first half, the other the second half; nothing else reads any of them.
fn gate(graph: &Graph, readers: &Readers, activated: Value, up: Value) -> Option<(Unary, NodeId)> {
    let node = graph.maker(activated);
    let Op::Unary(f) = node.op else { return None };
    let (gate, up_columns) = (columns(graph, node.inputs[0])?, columns(graph, up)?);
    let map = linear(graph, gate.of)?;
    let halves = gate.of == up_columns.of
        && gate.start == 0
        && (up_columns.start, up_columns.len) == (gate.len, gate.len)
        && graph.fact(gate.of).width() == gate.len.checked_mul(2);
    let alone = [activated, up, node.inputs[0]].into_iter().all(|v| readers.only(v).is_some());
    let two = readers.nodes(gate.of).len() == 2 && !readers.is_result(map);
    (halves && alone && two).then_some((f, map))
}
