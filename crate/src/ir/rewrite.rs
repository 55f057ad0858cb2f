//! A graph written anew, node by node: how passes change graphs.

use super::{
    fact::DType,
    graph::{Graph, Node, NodeId, Value},
    op::Op,
};
use crate::{
    fault::{Fault, Result},
    tensor::Encoding,
};

/// The new graph so far, beside the old one.
pub(super) struct Rewriter<'g> {
    /// The graph that is read.
    pub(super) old: &'g Graph,
    /// The graph that is written; its tables begin as the old one's.
    pub(super) new: Graph,
    map: Vec<Vec<Option<Value>>>,
}

/// Writes a graph anew: `visit` gives the new values that stand for the results of a node of the old graph, or `None` to copy it.
///
/// Nodes whose results nobody reads any more, and that have no effect, are dropped. After a fault the graph is as it was.
///
/// # Errors
/// What `visit` gives, or a node that does not fit its new inputs.
pub(super) fn rewrite(
    graph: &mut Graph,
    mut visit: impl FnMut(&mut Rewriter<'_>, NodeId) -> Result<Option<Vec<Value>>>,
) -> Result<()> {
    let tables = Graph {
        nodes: Vec::new(),
        weights: graph.weights.clone(),
        states: graph.states.clone(),
        constants: graph.constants.clone(),
        rotations: graph.rotations.clone(),
        outputs: Vec::new(),
    };
    let map = graph.nodes.iter().map(|n| vec![None; n.facts.len()]).collect();
    let mut writer = Rewriter { old: graph, new: tables, map };
    for id in (0..writer.old.nodes.len() as u32).map(NodeId) {
        let results = match visit(&mut writer, id)? {
            Some(results) => results,
            None => writer.copy(id)?,
        };
        for (output, value) in results.into_iter().enumerate() {
            writer.set(id.result(output as u8), value);
        }
    }
    let outputs = writer.old.outputs.iter().map(|(name, value)| Ok((name.clone(), writer.value(*value)?)));
    writer.new.outputs = outputs.collect::<Result<_>>()?;
    *graph = writer.new;
    sweep(graph);
    Ok(())
}

impl Rewriter<'_> {
    /// What stands for a value of the old graph.
    ///
    /// # Errors
    /// Nothing does yet.
    pub(super) fn value(&self, old: Value) -> Result<Value> {
        let known = self.map.get(old.node.0 as usize).and_then(|m| *m.get(usize::from(old.output))?);
        known.ok_or_else(|| Fault::bug(format!("nothing stands for result {} of %{} yet", old.output, old.node.0)))
    }
    /// What stands for the inputs of a node of the old graph.
    ///
    /// # Errors
    /// Nothing does yet for one of them.
    pub(super) fn inputs(&self, id: NodeId) -> Result<Vec<Value>> {
        self.old.node(id).inputs.iter().map(|v| self.value(*v)).collect()
    }
    /// From now on this stands for a value of the old graph.
    pub(super) fn set(&mut self, old: Value, new: Value) {
        if let Some(known) = self.map.get_mut(old.node.0 as usize).and_then(|m| m.get_mut(usize::from(old.output))) {
            *known = Some(new);
        }
    }
    /// Adds a node as it is, reading what stands for its inputs.
    ///
    /// # Errors
    /// It does not fit them.
    pub(super) fn copy(&mut self, id: NodeId) -> Result<Vec<Value>> {
        let Node { op, label, .. } = self.old.node(id);
        let inputs = self.inputs(id)?;
        let node = self.new.add(op.clone(), &inputs, label.clone())?;
        Ok(self.new.results(node))
    }
}

/// Gives weights other encodings, by their numbers.
///
/// # Errors
/// An operation does not take a weight in its new encoding.
pub fn retype(graph: &mut Graph, of: impl Fn(usize) -> Option<Encoding>) -> Result<()> {
    let mut changed = false;
    for (i, weight) in graph.weights.iter_mut().enumerate() {
        if let (Some(encoding), DType::Block(old)) = (of(i), &mut weight.fact.dtype) {
            changed |= *old != encoding;
            *old = encoding;
        }
    }
    // Facts are inferred anew.
    if changed { rewrite(graph, |_, _| Ok(None)) } else { Ok(()) }
}

/// Drops the nodes that no result and no effect needs.
pub(super) fn sweep(graph: &mut Graph) {
    let mut live = vec![false; graph.nodes.len()];
    for (_, value) in &graph.outputs {
        live[value.node.0 as usize] = true;
    }
    for at in (0..graph.nodes.len()).rev() {
        live[at] |= graph.has_effect(NodeId(at as u32));
        if live[at] {
            graph.nodes[at].inputs.iter().for_each(|v| live[v.node.0 as usize] = true);
        }
    }
    let to = renumber(&live);
    let moved = |value: &mut Value| value.node = NodeId(to[value.node.0 as usize]);
    keep(&mut graph.nodes, &live);
    graph.nodes.iter_mut().flat_map(|n| &mut n.inputs).for_each(moved);
    graph.outputs.iter_mut().for_each(|(_, value)| moved(value));
}

/// The index of each kept entry among the kept ones.
pub(super) fn renumber(kept: &[bool]) -> Vec<u32> {
    let count = |n: &mut u32, kept: &bool| {
        let at = *n;
        *n += u32::from(*kept);
        Some(at)
    };
    kept.iter().scan(0, count).collect()
}

/// Drops the entries that are not to be kept.
pub(super) fn keep<T>(entries: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    entries.retain(|_| kept.next().copied().unwrap_or(true));
}

/// Who reads the values of a graph.
pub(super) struct Readers {
    of: Vec<Vec<Vec<NodeId>>>,
    is_result: Vec<bool>,
}

impl Readers {
    pub(super) fn of(graph: &Graph) -> Self {
        let mut of: Vec<Vec<Vec<NodeId>>> = graph.nodes.iter().map(|n| vec![Vec::new(); n.facts.len()]).collect();
        for (i, node) in graph.nodes.iter().enumerate() {
            for value in &node.inputs {
                of[value.node.0 as usize][usize::from(value.output)].push(NodeId(i as u32));
            }
        }
        let mut is_result = vec![false; graph.nodes.len()];
        graph.outputs.iter().for_each(|(_, value)| is_result[value.node.0 as usize] = true);
        Self { of, is_result }
    }
    /// The nodes that read a value, one as often as it reads it.
    pub(super) fn nodes(&self, value: Value) -> &[NodeId] {
        &self.of[value.node.0 as usize][usize::from(value.output)]
    }
    /// Whether the node's results, or one of them, are results of the graph.
    pub(super) fn is_result(&self, id: NodeId) -> bool {
        self.is_result[id.0 as usize]
    }
    /// The one node that reads a value, once; `None` too where the value is a result of the graph.
    pub(super) fn only(&self, value: Value) -> Option<NodeId> {
        match self.nodes(value) {
            [reader] if !self.is_result(value.node) => Some(*reader),
            _ => None,
        }
    }
}

impl Graph {
    /// All results of a node.
    pub fn results(&self, id: NodeId) -> Vec<Value> {
        (0..self.node(id).facts.len()).map(|i| id.result(i as u8)).collect()
    }
    /// The constant of one number that a value is.
    pub(super) fn scalar(&self, value: Value) -> Option<f32> {
        match self.maker(value).op {
            Op::Constant(at) => match *self.constants.get(at)?.values {
                [number] => Some(number),
                _ => None,
            },
            _ => None,
        }
    }
}
