//! The host executor: nodes one after the other, values dropped after their last use, everything bounded.

use std::rc::Rc;

use super::{
    Model,
    graph::{Attr, Graph, Node, Target},
    value::{Tensor, Type, Value, run_limits},
};
use crate::{
    engine::device::cpu::Product,
    fault::{Blame, Fault, Result},
    random::{self, Random},
};

/// Graphs and functions within each other while running.
const DEEPEST: usize = 40;

/// One run of a model.
pub(super) struct Run<'m> {
    model: &'m Model,
    /// Nodes that may still be executed: a loop that never ends stops there.
    steps: u64,
    /// Multiplications and elements that the run may still cost.
    work: u64,
    depth: usize,
    /// For operators whose result is random: the same at each run.
    pub(super) random: Random,
}

/// What an operator gets.
pub(super) struct Call<'r, 'm> {
    pub(super) node: &'r Node,
    /// The version of its domain that the model imports.
    pub(super) version: i64,
    pub(super) inputs: Vec<Option<Value>>,
    frame: &'r [(String, Attr)],
    env: &'r [Option<Value>],
    pub(super) run: &'r mut Run<'m>,
}

/// What an operator gives: its outputs in order.
pub(super) type Outputs = Result<Vec<Value>>;

/// A file's mistake.
pub(super) fn bad(what: impl Into<String>) -> Fault {
    Fault::new(Blame::File, what)
}

/// One tensor as the only output.
pub(super) fn one(tensor: Tensor) -> Outputs {
    Ok(vec![Value::Tensor(tensor)])
}

impl<'m> Run<'m> {
    pub(super) fn new(model: &'m Model) -> Self {
        let (work, steps) = run_limits();
        Self { model, steps, work, depth: 0, random: Random(random::STEP) }
    }
    /// The model's matrix products.
    pub(super) fn product(&self) -> &'m Product {
        self.model.product.get_or_init(Product::new)
    }
    /// Counts `n` multiplications or elements.
    pub(super) fn spend(&mut self, n: usize) -> Result<()> {
        match self.work.checked_sub(n as u64) {
            Some(left) => self.work = left,
            None => return Err(Fault::limit(format!("the run costs more than {} operations", run_limits().0))),
        }
        Ok(())
    }
    /// A random number from 0 up to 1.
    pub(super) fn random(&mut self) -> f64 {
        self.random.unit()
    }
    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault::limit(format!("graphs and functions run within each other more than {DEEPEST} deep")));
        }
        Ok(())
    }
    /// Runs a graph with arguments for its inputs and values for its captures.
    pub(super) fn graph(
        &mut self,
        graph: &Graph,
        args: Vec<Option<Value>>,
        captured: &[Value],
        frame: &[(String, Attr)],
    ) -> Outputs {
        self.deeper()?;
        let mut env: Vec<Option<Value>> = vec![None; graph.names.len()];
        for (slot, tensor) in &graph.initializers {
            env[*slot] = Some(Value::Tensor(tensor.clone()));
        }
        for (slot, value) in graph.input_slots.iter().zip(args) {
            if value.is_some() {
                env[*slot] = value;
            }
        }
        for ((_, slot), value) in graph.captures.iter().zip(captured) {
            env[*slot] = Some(value.clone());
        }
        for node in &graph.nodes {
            match self.steps.checked_sub(1) {
                Some(left) => self.steps = left,
                None => {
                    return Err(Fault::limit(format!(
                        "more than {} nodes were run: a loop without an end?",
                        run_limits().1
                    )));
                }
            }
            let outputs = self.node(node, &mut env, frame).map_err(|fault| Fault {
                what: format!("{}: {}", node.told(), fault.what),
                at: fault.at.or(Some(node.at)),
                ..fault
            })?;
            for (slot, value) in node.outputs.iter().zip(outputs) {
                if let Some(slot) = slot {
                    env[*slot] = Some(value);
                }
            }
            for slot in &node.last {
                env[*slot] = None;
            }
        }
        self.depth -= 1;
        let taken = |(i, slot): (usize, &usize)| {
            // A value may be named as two outputs.
            let again = graph.output_slots[i + 1..].contains(slot);
            let value = if again { env[*slot].clone() } else { env[*slot].take() };
            value.ok_or_else(|| bad(format!("the output \"{}\" is made by no node", graph.names[*slot])))
        };
        graph.output_slots.iter().enumerate().map(taken).collect()
    }
    fn node(&mut self, node: &Node, env: &mut [Option<Value>], frame: &[(String, Attr)]) -> Outputs {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (i, slot) in node.inputs.iter().enumerate() {
            let Some(slot) = slot else {
                inputs.push(None);
                continue;
            };
            let again = node.inputs[i + 1..].contains(&Some(*slot)) || node.captures.contains(slot);
            let value = if !again && node.last.contains(slot) { env[*slot].take() } else { env[*slot].clone() };
            inputs.push(value);
        }
        match node.target {
            Target::Op(op, version) => {
                let mut call = Call { node, version, inputs, frame, env, run: self };
                let outputs = op(&mut call)?;
                for output in &outputs {
                    if let Value::Tensor(tensor) = output {
                        self.spend(tensor.len())?;
                    }
                }
                Ok(outputs)
            }
            Target::Function(i) => {
                let function = &self.model.functions[i];
                let mut own: Vec<(String, Attr)> = Vec::new();
                for (name, value) in &node.attributes {
                    let value = match value {
                        Attr::Reference(outer) => match frame.iter().find(|(n, _)| n == outer) {
                            Some((_, value)) => value.clone(),
                            None => continue,
                        },
                        other => other.clone(),
                    };
                    own.push((name.clone(), value));
                }
                for (name, value) in &function.defaults {
                    if !own.iter().any(|(n, _)| n == name) {
                        own.push((name.clone(), value.clone()));
                    }
                }
                self.graph(&function.graph, inputs, &[], &own)
            }
            Target::Missing => Err(Fault::unsupported(format!("the operator {} is not supported", node.op))),
        }
    }
}

impl Call<'_, '_> {
    /// Input `i`, where there is one.
    pub(super) fn value(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(Option::as_ref)
    }
    /// Whether output `i` is asked for.
    pub(super) fn wanted(&self, i: usize) -> bool {
        self.node.outputs.get(i).is_some_and(Option::is_some)
    }
    /// Input `i`, a tensor, where there is one.
    pub(super) fn optional(&self, i: usize) -> Result<Option<Tensor>> {
        match self.value(i) {
            None | Some(Value::Optional(None)) => Ok(None),
            Some(value) => tensor_of(value, i).map(Some),
        }
    }
    /// Input `i`, a tensor.
    pub(super) fn tensor(&self, i: usize) -> Result<Tensor> {
        match self.value(i) {
            None => Err(bad(format!("input {i} expected, none found"))),
            Some(value) => tensor_of(value, i),
        }
    }
    /// Input `i`, given up by the node: its elements may be changed in place where nobody else holds them.
    pub(super) fn take(&mut self, i: usize) -> Result<Tensor> {
        match self.inputs.get_mut(i).and_then(Option::take) {
            None => Err(bad(format!("input {i} expected, none found"))),
            Some(Value::Tensor(tensor)) => Ok(tensor),
            Some(value) => tensor_of(&value, i),
        }
    }
    /// All inputs as tensors.
    pub(super) fn tensors(&self) -> Result<Vec<Tensor>> {
        (0..self.inputs.len()).map(|i| self.tensor(i)).collect()
    }
    /// Input `i`, a sequence.
    pub(super) fn sequence(&self, i: usize) -> Result<Rc<Vec<Value>>> {
        match self.value(i) {
            Some(Value::Sequence(list)) => Ok(Rc::clone(list)),
            Some(Value::Optional(Some(value))) => match &**value {
                Value::Sequence(list) => Ok(Rc::clone(list)),
                other => Err(bad(format!("input {i} should be a sequence, it is {}", other.told()))),
            },
            Some(other) => Err(bad(format!("input {i} should be a sequence, it is {}", other.told()))),
            None => Err(bad(format!("input {i} expected, none found"))),
        }
    }
    /// The attribute of this name.
    pub(super) fn attr(&self, name: &str) -> Option<&Attr> {
        match &self.node.attributes.iter().find(|(n, _)| n == name)?.1 {
            Attr::Reference(outer) => self.frame.iter().find(|(n, _)| n == outer).map(|(_, value)| value),
            value => Some(value),
        }
    }
    fn wrong(&self, name: &str, expected: &str) -> Fault {
        bad(format!("the attribute \"{name}\" should be {expected}"))
    }
    /// An integer attribute.
    pub(super) fn int_opt(&self, name: &str) -> Result<Option<i64>> {
        match self.attr(name) {
            None => Ok(None),
            Some(Attr::Int(n)) => Ok(Some(*n)),
            Some(_) => Err(self.wrong(name, "an integer")),
        }
    }
    /// An integer attribute with its default.
    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.int_opt(name)?.unwrap_or(default))
    }
    /// A flag.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.int(name, i64::from(default))? != 0)
    }
    /// A float attribute.
    pub(super) fn float_opt(&self, name: &str) -> Result<Option<f32>> {
        match self.attr(name) {
            None => Ok(None),
            Some(Attr::Float(n)) => Ok(Some(*n)),
            Some(Attr::Int(n)) => Ok(Some(*n as f32)),
            Some(_) => Err(self.wrong(name, "a float")),
        }
    }
    /// A float attribute with its default.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.float_opt(name)?.unwrap_or(default))
    }
    /// A list of integers.
    pub(super) fn ints(&self, name: &str) -> Result<Option<Rc<[i64]>>> {
        match self.attr(name) {
            None => Ok(None),
            Some(Attr::Ints(list)) => Ok(Some(Rc::clone(list))),
            Some(Attr::Int(n)) => Ok(Some(Rc::from([*n]))),
            Some(_) => Err(self.wrong(name, "a list of integers")),
        }
    }
    /// A list of floats.
    pub(super) fn floats(&self, name: &str) -> Result<Option<Rc<[f32]>>> {
        match self.attr(name) {
            None => Ok(None),
            Some(Attr::Floats(list)) => Ok(Some(Rc::clone(list))),
            Some(Attr::Ints(list)) if list.is_empty() => Ok(Some(Rc::from([]))),
            Some(_) => Err(self.wrong(name, "a list of floats")),
        }
    }
    /// A list of strings.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Rc<[Rc<str>]>>> {
        match self.attr(name) {
            None => Ok(None),
            Some(Attr::Texts(list)) => Ok(Some(Rc::clone(list))),
            Some(Attr::Ints(list)) if list.is_empty() => Ok(Some(Rc::from([]))),
            Some(_) => Err(self.wrong(name, "a list of strings")),
        }
    }
    /// A string with its default.
    pub(super) fn text(&self, name: &str, default: &str) -> Result<String> {
        match self.attr(name) {
            None => Ok(default.to_owned()),
            Some(Attr::Text(bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            Some(_) => Err(self.wrong(name, "a string")),
        }
    }
    /// A tensor.
    pub(super) fn attr_tensor(&self, name: &str) -> Result<Option<Tensor>> {
        match self.attr(name) {
            None => Ok(None),
            Some(Attr::Tensor(tensor)) => Ok(Some(tensor.clone())),
            Some(Attr::Sparse(sparse)) => Ok(Some(sparse.dense()?)),
            Some(_) => Err(self.wrong(name, "a tensor")),
        }
    }
    /// An element type by its number.
    pub(super) fn attr_type(&self, name: &str) -> Result<Option<Type>> {
        let Some(code) = self.int_opt(name)? else { return Ok(None) };
        Type::from_code(code)
            .map(Some)
            .ok_or_else(|| bad(format!("{name} is {code}, which is not an element type of ONNX")))
    }
    /// A graph, and the values around it that it reads.
    pub(super) fn body(&self, name: &str) -> Result<(Rc<Graph>, Vec<Value>)> {
        let Some(Attr::Graph(graph, slots)) = self.attr(name) else { return Err(self.wrong(name, "a graph")) };
        let captured: Result<Vec<Value>> = slots
            .iter()
            .zip(&graph.captures)
            .map(|(slot, (name, _))| {
                let value = self.env.get(*slot).cloned().flatten();
                value.ok_or_else(|| bad(format!("a graph in it reads \"{name}\", which no node made")))
            })
            .collect();
        Ok((Rc::clone(graph), captured?))
    }
    /// Runs a graph of an attribute.
    pub(super) fn run_body(&mut self, graph: &Graph, args: Vec<Value>, captured: &[Value]) -> Outputs {
        if args.len() > graph.input_slots.len() {
            return Err(bad(format!(
                "the graph \"{}\" takes {} values, {} are given",
                graph.name,
                graph.input_slots.len(),
                args.len()
            )));
        }
        let args = args.into_iter().map(Some).collect();
        self.run.graph(graph, args, captured, self.frame)
    }
    /// Counts work.
    pub(super) fn spend(&mut self, n: usize) -> Result<()> {
        self.run.spend(n)
    }
    /// The default domain's version at least this.
    pub(super) fn since(&self, version: i64) -> bool {
        self.version >= version
    }
}

fn tensor_of(value: &Value, i: usize) -> Result<Tensor> {
    match value {
        Value::Tensor(tensor) => Ok(tensor.clone()),
        Value::Optional(Some(inner)) => tensor_of(inner, i),
        other => Err(bad(format!("input {i} should be a tensor, it is {}", other.told()))),
    }
}
