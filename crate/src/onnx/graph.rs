//! A graph ready to run: names resolved to slots, nodes in an order in which each has its inputs, last uses known.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use super::{
    proto::{AttrProto, FunctionProto, GraphProto, Info, NodeProto, Sparse},
    table::{self, Op},
    value::Tensor,
};
use crate::fault::{Fault, Result};

/// An attribute's value.
#[derive(Debug, Clone)]
pub(super) enum Attr {
    Float(f32),
    Int(i64),
    Text(Rc<[u8]>),
    Tensor(Tensor),
    /// A graph, and the slots of the graph around it that it reads.
    Graph(Rc<Graph>, Rc<[usize]>),
    Floats(Rc<[f32]>),
    Ints(Rc<[i64]>),
    Texts(Rc<[Rc<str>]>),
    Sparse(Rc<Sparse>),
    Reference(String),
    Other,
}

/// What a node runs.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// An operator at the version that the model imports.
    Op(Op, i64),
    /// A function of the model.
    Function(usize),
    /// Nothing that is known.
    Missing,
}

/// A node.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) target: Target,
    pub(super) inputs: Vec<Option<usize>>,
    pub(super) outputs: Vec<Option<usize>>,
    pub(super) attributes: Vec<(String, Attr)>,
    /// Slots read by graphs in its attributes.
    pub(super) captures: Vec<usize>,
    /// Slots that nothing reads after this node.
    pub(super) last: Vec<usize>,
    pub(super) at: u64,
}

/// A graph.
pub(super) struct Graph {
    pub(super) name: String,
    pub(super) inputs: Vec<Info>,
    pub(super) input_slots: Vec<usize>,
    pub(super) outputs: Vec<Info>,
    pub(super) output_slots: Vec<usize>,
    pub(super) initializers: Vec<(usize, Tensor)>,
    pub(super) nodes: Vec<Node>,
    pub(super) names: Vec<String>,
    /// Names of the graphs around it that it reads, and their slots here.
    pub(super) captures: Vec<(String, usize)>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "graph {} of {} nodes", self.name, self.nodes.len())
    }
}

/// A function ready to be called.
pub(super) struct Function {
    pub(super) graph: Graph,
    pub(super) defaults: Vec<(String, Attr)>,
}

/// What resolves operators while graphs are made ready.
pub(super) struct Context<'a> {
    pub(super) opsets: &'a [(String, i64)],
    /// Domain, name and overload of each of the model's functions.
    pub(super) functions: &'a [(String, String, String)],
    /// Operators that nothing is known of, with the number of nodes.
    pub(super) missing: &'a mut BTreeMap<String, usize>,
}

#[derive(Default)]
struct Slots {
    names: Vec<String>,
    of: HashMap<String, usize>,
}

impl Slots {
    fn of(&mut self, name: &str) -> usize {
        if let Some(slot) = self.of.get(name) {
            return *slot;
        }
        self.names.push(name.to_owned());
        self.of.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }
}

/// Makes a graph ready; names that it does not define are its captures.
pub(super) fn ready(proto: GraphProto, context: &mut Context<'_>) -> Result<Graph> {
    let mut slots = Slots::default();
    let input_slots: Vec<usize> = proto.inputs.iter().map(|info| slots.of(&info.name)).collect();
    let initializers: Vec<(usize, Tensor)> =
        proto.initializers.into_iter().map(|(name, tensor)| (slots.of(&name), tensor)).collect();
    let mut defined = vec![true; slots.names.len()];
    let mut nodes = Vec::with_capacity(proto.nodes.len());
    for node in proto.nodes {
        nodes.push(ready_node(node, &mut slots, context)?);
    }
    let output_slots: Vec<usize> = proto.outputs.iter().map(|info| slots.of(&info.name)).collect();
    defined.resize(slots.names.len(), false);
    for node in &nodes {
        for slot in node.outputs.iter().flatten() {
            if std::mem::replace(&mut defined[*slot], true) {
                let what = format!("the value \"{}\" is defined twice", slots.names[*slot]);
                return Err(Fault::file(node.at, what));
            }
        }
    }
    let captures: Vec<(String, usize)> = defined
        .iter()
        .enumerate()
        .filter(|(_, defined)| !**defined)
        .map(|(slot, _)| (slots.names[slot].clone(), slot))
        .collect();
    let mut graph = Graph {
        name: proto.name,
        inputs: proto.inputs,
        input_slots,
        outputs: proto.outputs,
        output_slots,
        initializers,
        nodes,
        names: slots.names,
        captures,
    };
    graph.sort()?;
    graph.find_last_uses();
    Ok(graph)
}

fn ready_node(node: NodeProto, slots: &mut Slots, context: &mut Context<'_>) -> Result<Node> {
    let inputs: Vec<Option<usize>> =
        node.inputs.iter().map(|name| (!name.is_empty()).then(|| slots.of(name))).collect();
    let mut captures = Vec::new();
    let mut attributes = Vec::with_capacity(node.attributes.len());
    for (name, value) in node.attributes {
        let value = match value {
            AttrProto::Graph(proto) => {
                let proto = Rc::try_unwrap(proto).unwrap_or_else(|shared| (*shared).clone());
                let graph = ready(proto, context)?;
                let outer: Vec<usize> = graph.captures.iter().map(|(name, _)| slots.of(name)).collect();
                captures.extend(&outer);
                Attr::Graph(Rc::new(graph), outer.into())
            }
            plain => plain_attribute(plain),
        };
        attributes.push((name, value));
    }
    let outputs: Vec<Option<usize>> =
        node.outputs.iter().map(|name| (!name.is_empty()).then(|| slots.of(name))).collect();
    captures.sort_unstable();
    captures.dedup();
    let target = resolve(&node.domain, &node.op, &node.overload, context);
    let op = if node.domain.is_empty() { node.op } else { format!("{}.{}", node.domain, node.op) };
    if matches!(target, Target::Missing) {
        *context.missing.entry(op.clone()).or_default() += 1;
    }
    Ok(Node { name: node.name, op, target, inputs, outputs, attributes, captures, last: Vec::new(), at: node.at })
}

pub(super) fn plain_attribute(value: AttrProto) -> Attr {
    match value {
        AttrProto::Float(v) => Attr::Float(v),
        AttrProto::Int(v) => Attr::Int(v),
        AttrProto::Text(v) => Attr::Text(v),
        AttrProto::Tensor(v) => Attr::Tensor(v),
        AttrProto::Floats(v) => Attr::Floats(v),
        AttrProto::Ints(v) => Attr::Ints(v),
        AttrProto::Texts(v) => Attr::Texts(v),
        AttrProto::Sparse(v) => Attr::Sparse(v),
        AttrProto::Reference(v) => Attr::Reference(v),
        AttrProto::Graph(_) | AttrProto::Unused => Attr::Other,
    }
}

fn resolve(domain: &str, op: &str, overload: &str, context: &Context<'_>) -> Target {
    let of_model = |f: &(String, String, String)| f.0 == domain && f.1 == op && f.2 == overload;
    if let Some(i) = context.functions.iter().position(of_model) {
        return Target::Function(i);
    }
    let version = context.opsets.iter().find(|(d, _)| d == domain).map_or(1, |(_, version)| *version);
    match table::find(domain, op) {
        Some(run) => Target::Op(run, version),
        None => Target::Missing,
    }
}

/// Makes a model's function ready.
pub(super) fn ready_function(proto: FunctionProto, context: &mut Context<'_>) -> Result<Function> {
    let defaults = proto.defaults.into_iter().map(|(name, value)| (name, plain_attribute(value))).collect();
    let graph = ready(proto.graph, context)?;
    if let Some((name, _)) = graph.captures.first() {
        let what = format!("the function {} reads \"{name}\", which it does not define", graph.name);
        return Err(Fault::new(crate::fault::Blame::File, what));
    }
    Ok(Function { graph, defaults })
}

impl Graph {
    /// Puts nodes into an order in which each has its inputs; files are nearly always in one already.
    fn sort(&mut self) -> Result<()> {
        let mut maker = vec![usize::MAX; self.names.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            for slot in node.outputs.iter().flatten() {
                maker[*slot] = i;
            }
        }
        let mut waits = vec![0usize; self.nodes.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut in_order = true;
        for (i, node) in self.nodes.iter().enumerate() {
            for slot in node.inputs.iter().flatten().chain(&node.captures) {
                let from = maker[*slot];
                if from != usize::MAX {
                    waits[i] += 1;
                    readers[from].push(i);
                    in_order &= from < i;
                }
            }
        }
        if in_order {
            return Ok(());
        }
        let mut free: std::collections::BTreeSet<usize> = (0..waits.len()).filter(|i| waits[*i] == 0).collect();
        let mut order = Vec::with_capacity(waits.len());
        while let Some(i) = free.pop_first() {
            order.push(i);
            for reader in &readers[i] {
                waits[*reader] -= 1;
                if waits[*reader] == 0 {
                    free.insert(*reader);
                }
            }
        }
        if order.len() < self.nodes.len() {
            let stuck = (0..waits.len()).find(|i| waits[*i] > 0).map(|i| &self.nodes[i]);
            let (told, at) = stuck.map_or((String::new(), 0), |node| (node.told(), node.at));
            return Err(Fault::file(at, format!("the graph runs in a circle: {told} needs its own result")));
        }
        let mut nodes: Vec<Option<Node>> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        self.nodes = order.into_iter().filter_map(|i| nodes[i].take()).collect();
        Ok(())
    }
    fn find_last_uses(&mut self) {
        let mut seen = vec![false; self.names.len()];
        for slot in &self.output_slots {
            seen[*slot] = true;
        }
        for i in (0..self.nodes.len()).rev() {
            let mut last = Vec::new();
            let node = &self.nodes[i];
            for slot in node.inputs.iter().flatten().chain(&node.captures).chain(node.outputs.iter().flatten()) {
                if !std::mem::replace(&mut seen[*slot], true) {
                    last.push(*slot);
                }
            }
            self.nodes[i].last = last;
        }
    }
}

impl Node {
    /// "node 'x' (Add)".
    pub(super) fn told(&self) -> String {
        if self.name.is_empty() {
            format!("a node of {}", self.op)
        } else {
            format!("node '{}' ({})", self.name, self.op)
        }
    }
}
