//! Writes a graph as a paper writes a model: values are small handles, the first mistake is kept until the end.

use std::{
    cell::RefCell,
    ops::{Add, AddAssign, Mul},
    rc::Rc,
};

use super::{
    fact::{DType, Dim, Fact},
    graph::{Constant, Graph, Input, State, StateId, Value, Weight, WeightId},
    op::{Attention, Binary, Op, Reduction, Rope, Unary},
    rotation::Rotation,
};
use crate::fault::{Fault, Result};

/// A graph under construction.
///
/// Once something went wrong every further value is the same placeholder; [`Builder::finish`] gives the first fault.
#[derive(Default)]
pub struct Builder {
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    graph: Graph,
    fault: Option<Fault>,
    inputs: Vec<(Input, Value)>,
    label: Rc<str>,
}

/// A value of a graph under construction.
#[derive(Clone, Copy)]
pub struct Tensor<'g> {
    builder: &'g Builder,
    value: Value,
}

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }
    /// The graph.
    ///
    /// # Errors
    /// The first mistake that was made while building.
    pub fn finish(self) -> Result<Graph> {
        let inner = self.inner.into_inner();
        match inner.fault {
            Some(fault) => Err(fault),
            None => Ok(inner.graph),
        }
    }
    /// Names the values made from now on, for people: "blk.3".
    pub fn set_label(&self, label: impl Into<Rc<str>>) {
        self.inner.borrow_mut().label = label.into();
    }
    /// Keeps a fault unless there is one already.
    pub fn fail(&self, fault: Fault) {
        self.inner.borrow_mut().fault.get_or_insert(fault);
    }
    /// Whether something went wrong.
    pub fn has_failed(&self) -> bool {
        self.inner.borrow().fault.is_some()
    }
    /// What is known of a value.
    pub fn fact(&self, x: Tensor<'_>) -> Fact {
        let inner = self.inner.borrow();
        let fact =
            inner.graph.nodes.get(x.value.node.0 as usize).and_then(|n| n.facts.get(usize::from(x.value.output)));
        fact.cloned().unwrap_or_else(|| Fact::new(DType::F32, []))
    }
    /// Any operation.
    pub fn op(&self, name: &str, op: Op, inputs: &[Tensor<'_>]) -> Tensor<'_> {
        let label = match &*self.inner.borrow().label {
            "" => name.to_owned(),
            prefix => format!("{prefix}.{name}"),
        };
        self.add(label, op, inputs)
    }
    fn add(&self, label: impl Into<Rc<str>>, op: Op, inputs: &[Tensor<'_>]) -> Tensor<'_> {
        let mut inner = self.inner.borrow_mut();
        if inner.fault.is_none() {
            let inputs: Vec<Value> = inputs.iter().map(|t| t.value).collect();
            match inner.graph.add(op, &inputs, label) {
                Ok(node) => return Tensor { builder: self, value: node.value() },
                Err(fault) => inner.fault = Some(fault),
            }
        }
        Tensor { builder: self, value: super::graph::NodeId(0).value() }
    }
    /// A value that the host gives at every step; the same one each time it is asked for.
    pub fn input(&self, input: Input) -> Tensor<'_> {
        let known = self.inner.borrow().inputs.iter().find(|(i, _)| *i == input).map(|(_, v)| *v);
        if let Some(value) = known {
            return Tensor { builder: self, value };
        }
        let x = self.add(format!("{input:?}").to_lowercase(), Op::Input(input), &[]);
        if !self.has_failed() {
            self.inner.borrow_mut().inputs.push((input, x.value));
        }
        x
    }
    /// A weight; one with the same sources and type is used again.
    pub fn weight(&self, weight: Weight) -> Tensor<'_> {
        let known = {
            let inner = self.inner.borrow();
            let at = inner.graph.weights.iter().position(|w| w.sources == weight.sources && w.fact == weight.fact);
            at.and_then(|at| {
                let op = Op::Weight(WeightId(at as u32));
                let node = inner.graph.nodes.iter().position(|n| n.op == op)?;
                Some(super::graph::NodeId(node as u32).value())
            })
        };
        if let Some(value) = known {
            return Tensor { builder: self, value };
        }
        let name = Rc::clone(&weight.name);
        let id = {
            let mut inner = self.inner.borrow_mut();
            inner.graph.weights.push(weight);
            WeightId(inner.graph.weights.len() as u32 - 1)
        };
        self.add(name, Op::Weight(id), &[])
    }
    /// Values known now.
    pub fn constant(&self, constant: Constant) -> Tensor<'_> {
        let at = {
            let mut inner = self.inner.borrow_mut();
            inner.graph.constants.push(constant);
            inner.graph.constants.len() - 1
        };
        self.op("constant", Op::Constant(at), &[])
    }
    /// A state.
    pub fn state(&self, state: State) -> StateId {
        let mut inner = self.inner.borrow_mut();
        inner.graph.states.push(state);
        StateId(inner.graph.states.len() as u32 - 1)
    }
    /// A rotation; an equal one is used again.
    pub fn rotation(&self, rotation: Rotation) -> usize {
        let graph = &mut self.inner.borrow_mut().graph;
        graph.rotations.iter().position(|r| *r == rotation).unwrap_or_else(|| {
            graph.rotations.push(rotation);
            graph.rotations.len() - 1
        })
    }
    /// Names a result of the graph.
    pub fn output(&self, name: &str, x: Tensor<'_>) {
        self.inner.borrow_mut().graph.outputs.push((name.into(), x.value));
    }
}

/// The words of a forward pass.
impl<'g> Tensor<'g> {
    /// Any operation with this value as its first input.
    pub fn op(self, name: &str, op: Op, others: &[Tensor<'g>]) -> Tensor<'g> {
        let inputs: Vec<Tensor<'g>> = std::iter::once(self).chain(others.iter().copied()).collect();
        self.builder.op(name, op, &inputs)
    }
    /// The handle within the graph.
    pub fn value(self) -> Value {
        self.value
    }
    /// Another result of the operation that this value is the first result of.
    pub fn result(self, output: u8) -> Tensor<'g> {
        Tensor { value: self.value.node.result(output), ..self }
    }
    /// Values of a row; 0 after a fault.
    pub fn width(self) -> u32 {
        self.builder.fact(self).width().unwrap_or(0)
    }
    /// `x W^T + bias`.
    pub fn linear(self, name: &str, weight: Tensor<'g>, bias: Option<Tensor<'g>>) -> Tensor<'g> {
        match bias {
            Some(bias) => self.op(name, Op::Linear, &[weight, bias]),
            None => self.op(name, Op::Linear, &[weight]),
        }
    }
    /// Rotates each head by its position.
    pub fn rope(self, rope: Rope) -> Tensor<'g> {
        self.op("rope", Op::Rope(rope), &[self.builder.input(Input::Positions)])
    }
    /// Attention of these queries.
    pub fn attention(
        self,
        spec: Attention,
        keys: Tensor<'g>,
        values: Tensor<'g>,
        bias: Option<Tensor<'g>>,
        sinks: Option<Tensor<'g>>,
    ) -> Tensor<'g> {
        let inputs: Vec<Tensor<'g>> = [Some(keys), Some(values), bias, sinks].into_iter().flatten().collect();
        self.op("attention", Op::Attention(spec), &inputs)
    }
    /// Remembers each row at its position.
    pub fn remember(self, state: StateId) -> Tensor<'g> {
        self.op("state", Op::StateWrite(state), &[])
    }
    /// One value to one value.
    pub fn map(self, f: Unary) -> Tensor<'g> {
        self.op("map", Op::Unary(f), &[])
    }
    /// `len` values of each row from `start`.
    pub fn columns(self, start: u32, len: u32) -> Tensor<'g> {
        let axis = self.builder.fact(self).shape.len().saturating_sub(1);
        self.op("columns", Op::Slice { axis, start, len }, &[])
    }
    /// The same values in another shape.
    pub fn reshape(self, shape: &[Dim]) -> Tensor<'g> {
        self.op("reshaped", Op::Reshape(shape.to_vec()), &[])
    }
    /// The mean of each row, `[rows, 1]`.
    pub fn mean(self) -> Tensor<'g> {
        self.op("mean", Op::Reduce(Reduction::Mean), &[])
    }
    /// The rows that want a result.
    pub fn wanted_rows(self) -> Tensor<'g> {
        self.op("wanted", Op::Gather, &[self.builder.input(Input::Outputs)])
    }
    /// Two values to one.
    pub fn with(self, f: Binary, other: Tensor<'g>) -> Tensor<'g> {
        self.op(if f == Binary::Add { "sum" } else { "combined" }, Op::Binary(f), &[other])
    }
}

impl<'g> Add for Tensor<'g> {
    type Output = Tensor<'g>;
    fn add(self, other: Self) -> Self {
        self.with(Binary::Add, other)
    }
}

impl AddAssign for Tensor<'_> {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<'g> Mul for Tensor<'g> {
    type Output = Tensor<'g>;
    fn mul(self, other: Self) -> Self {
        self.with(Binary::Mul, other)
    }
}
