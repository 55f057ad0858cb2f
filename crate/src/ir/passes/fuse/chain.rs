//! Runs of elementwise operations as [`Fused::Chain`].

use crate::{
    fault::Result,
    ir::{
        fact::{DType, Dim, Fact},
        graph::{Graph, NodeId, Value},
        op::{CHAIN_INPUTS, CHAIN_LINKS, Fused, Link, Op},
        rewrite::{Readers, rewrite},
    },
};

/// A run that grows while it is found.
struct Chain {
    /// The value that the links change.
    inputs: Vec<Value>,
    links: Vec<Link>,
    /// The last node; its result is the chain's.
    last: NodeId,
}

pub(in crate::ir::passes) fn run(graph: &mut Graph) -> Result<()> {
    let readers = Readers::of(graph);
    let mut taken = vec![false; graph.nodes.len()];
    let mut chains = Vec::new();
    for id in (0..graph.nodes.len() as u32).map(NodeId) {
        if taken[id.0 as usize] {
            continue;
        }
        let (chain, nodes) = grown(graph, &readers, id);
        if let Some(chain) = chain.filter(|c| c.links.len() > 1) {
            nodes.iter().for_each(|n| taken[n.0 as usize] = true);
            chains.push(chain);
        }
    }
    rewrite(graph, |writer, id| {
        let Some(chain) = chains.iter().find(|c| c.last == id) else { return Ok(None) };
        let inputs = chain.inputs.iter().map(|v| writer.value(*v)).collect::<Result<Vec<_>>>()?;
        let label = writer.old.node(id).label.clone();
        let node = writer.new.add(Op::Fused(Fused::Chain(chain.links.clone())), &inputs, label)?;
        Ok(Some(vec![node.value()]))
    })
}

/// The longest run from a node on, with its nodes.
fn grown(graph: &Graph, readers: &Readers, first: NodeId) -> (Option<Chain>, Vec<NodeId>) {
    let inputs = &graph.node(first).inputs;
    // Either input of the first operation may be what the links change.
    let Some(mut chain) = inputs.iter().find_map(|x| started(graph, first, *x)) else { return (None, Vec::new()) };
    let mut nodes = vec![first];
    while chain.links.len() < CHAIN_LINKS {
        let Some(next) = readers.only(chain.last.value()) else { break };
        if !chain.extend(graph, next, chain.last.value()) {
            break;
        }
        nodes.push(next);
    }
    (Some(chain), nodes)
}

fn started(graph: &Graph, first: NodeId, x: Value) -> Option<Chain> {
    let mut chain = Chain { inputs: vec![x], links: Vec::new(), last: first };
    chain.extend(graph, first, x).then_some(chain)
}

impl Chain {
    /// Takes in an operation that reads `x`, what the links have made so far; `false`, and nothing changed, where it does not fit.
    fn extend(&mut self, graph: &Graph, id: NodeId, x: Value) -> bool {
        let node = graph.node(id);
        let is_same = node.facts.first() == Some(graph.fact(x)) && graph.fact(x).dtype == DType::F32;
        let link = match (&node.op, node.inputs.as_slice()) {
            _ if !is_same => return false,
            (Op::Unary(f), _) => Link::Unary(*f),
            (Op::Binary(f), &[a, b]) if a == x => match self.input(graph, b) {
                Some(at) => Link::Binary(*f, at),
                None => return false,
            },
            (Op::Binary(f), &[a, b]) if b == x => match self.input(graph, a) {
                Some(at) if f.commutes() => Link::Binary(*f, at),
                Some(at) => Link::Reversed(*f, at),
                None => return false,
            },
            _ => return false,
        };
        self.links.push(link);
        self.last = id;
        true
    }

    /// The number of an input, a new one where there is room and it can be repeated by rows and columns.
    fn input(&mut self, graph: &Graph, value: Value) -> Option<u8> {
        if let Some(at) = self.inputs.iter().position(|v| *v == value) {
            return u8::try_from(at).ok();
        }
        let fits = repeats(graph.fact(value), graph.fact(self.inputs[0]));
        if !fits || self.inputs.len() == CHAIN_INPUTS {
            return None;
        }
        self.inputs.push(value);
        u8::try_from(self.inputs.len() - 1).ok()
    }
}

/// Whether values are those of x's rows, one for each row, one row for all, or one for all.
fn repeats(other: &Fact, x: &Fact) -> bool {
    let Some((last, outer)) = x.shape.split_last() else { return other == x };
    let is_ones = |dims: &[Dim]| dims.iter().all(|d| *d == Dim::Fixed(1));
    let Some((other_last, other_outer)) = other.shape.split_last() else { return true };
    (other_outer == outer || is_ones(other_outer)) && (other_last == last || *other_last == Dim::Fixed(1))
}
