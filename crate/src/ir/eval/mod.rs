//! The plain meaning of every operation, on the CPU, with sums in f64: what every kernel is compared with.
//!
//! [`apply`] computes one operation, [`evaluate`] a graph over one step. Nothing here is fast. Values of all floating
//! types are held as f32, each result rounded once; [`Op::Cast`] to f16 rounds to what f16 holds.

mod array;
mod attention;
mod dense;
mod experts;
mod layout;
mod recur;
mod run;
mod scalar;

pub use array::{Array, Blocks, Data, Operand, Remembered, Rows, Slice, View};
pub use recur::{Run, runs};
pub(super) use run::constant;
pub use run::{Environment, States, Step, evaluate};
pub use scalar::{binary, erf, unary};

use super::{
    fact::{DType, Sizes},
    graph::Input,
    op::{Fused, Op},
    rotation::Angles,
};
use crate::fault::{Fault, Result};

/// What an operation may ask of the step, besides its inputs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// What is computed together.
    pub step: Step<'a>,
    /// Angles of the graph's rotations, by index.
    pub angles: &'a [Angles],
}

impl Context<'_> {
    /// The symbolic dimensions in numbers; the context is the longest sequence after this step.
    pub fn sizes(&self) -> Sizes {
        let longest = self.step.positions.iter().copied().max().map_or(0, |p| u32::try_from(p).unwrap_or(0) + 1);
        let rows = self.step.positions.len().max(self.step.tokens.len()) as u32;
        Sizes { rows, outputs: self.step.outputs.len() as u32, context: longest }
    }
}

/// The results of one operation.
///
/// Of an operation that writes states, the result in place of a state is the rows to be remembered, one for each row
/// of the step: the caller puts them at their positions, and gives [`Operand::State`] to the attention that reads it.
/// Of a recurrence it is what each sequence of the step carries on, in the order of [`runs`]: the caller puts it at the last
/// position of each, and gives the state, as it was before, as the last operand.
///
/// # Errors
/// The operands do not fit the operation (a graph that [`super::infer`] accepted does not cause it); an id, a row or a
/// position lies outside what it counts.
pub fn apply(op: &Op, inputs: &[Operand<'_>], context: &Context<'_>) -> Result<Vec<Array>> {
    let operand = |i: usize| inputs.get(i).copied().ok_or_else(|| Fault::bug(format!("{op:?}: no input {i}")));
    let values = |i: usize| operand(i)?.values();
    let vector = |i: usize| if i < inputs.len() { values(i)?.floats().map(Some) } else { Ok(None) };
    let one = |array: Array| Ok(vec![array]);
    match op {
        // Nothing stated: all are of the first kind.
        Op::Input(Input::Types) if context.step.types.is_empty() => {
            one(Array::ints(vec![0; context.step.positions.len()]))
        }
        Op::Input(input) => one(Array::ints(context.step.array(*input).to_vec())),
        Op::Weight(_) | Op::Constant(_) => Err(Fault::bug(format!("{op:?} is a value of the graph, not of a step"))),
        Op::Embed => one(dense::embed(operand(0)?, &values(1)?)?),
        Op::Linear => one(dense::linear(&values(0)?, operand(1)?, vector(2)?, None)?),
        Op::MatMul { transposed } => one(dense::mat_mul(&values(0)?, &values(1)?, *transposed)?),
        Op::RmsNorm { eps, group } => one(dense::rms_norm(&values(0)?, values(1)?.floats()?, *eps, *group as usize)?),
        Op::LayerNorm { eps } => one(dense::layer_norm(&values(0)?, values(1)?.floats()?, vector(2)?, *eps)?),
        Op::Softmax => one(dense::softmax(&values(0)?)?),
        Op::Rope(rope) => one(attention::rotate(&values(0)?, values(1)?.ints()?, rope, context)?),
        Op::Attention(spec) => {
            let bias = if spec.reach.is_some() { Some(values(3)?) } else { None };
            let bias = bias.as_ref().map(|b| b.floats()).transpose()?;
            let sinks = spec.sinks_at().map_or(Ok(None), vector)?;
            one(attention::attend(spec, &values(0)?, operand(1)?, operand(2)?, [bias, sinks], &context.step)?)
        }
        Op::Route(routing) => experts::route(routing, &values(0)?, vector(1)?),
        Op::ExpertLinear(spec) => {
            let ids = if spec.routed { Some(values(2)?) } else { None };
            let bias = vector(2 + usize::from(spec.routed))?;
            one(experts::linear(spec, &values(0)?, operand(1)?, ids.as_ref(), bias)?)
        }
        Op::ExpertSum => one(experts::sum(&values(0)?, &values(1)?)?),
        Op::StateWrite(_) => one(values(0)?.to_array()),
        Op::Recur(r) => recur::recur(&r.rule, inputs, &context.step),
        Op::Unary(f) => one(scalar::map(*f, &values(0)?)?),
        Op::Binary(f) => one(scalar::combine(*f, &values(0)?, &values(1)?)?),
        Op::Select => one(layout::select(&values(0)?, &values(1)?, &values(2)?)?),
        Op::Cast(dtype) => match (operand(0)?, dtype) {
            (Operand::Rows(rows), DType::F32) => one(dense::decoded(rows)?),
            _ => one(scalar::cast(&values(0)?, *dtype)?),
        },
        Op::Reduce(kind) => one(dense::reduce(&values(0)?, *kind)?),
        Op::Reshape(shape) => {
            let sizes = context.sizes();
            one(layout::reshape(&values(0)?, shape.iter().map(|d| d.resolve(&sizes) as usize).collect())?)
        }
        Op::Transpose(order) => one(layout::transpose(&values(0)?, order)?),
        Op::Slice { axis, start, len } => one(layout::slice(&values(0)?, *axis, *start as usize, *len as usize)?),
        Op::Concat { axis } => {
            let parts = (0..inputs.len()).map(values).collect::<Result<Vec<_>>>()?;
            one(layout::concat(&parts, *axis)?)
        }
        Op::Gather => one(dense::gather(&values(0)?, values(1)?.ints()?)?),
        Op::Sample { alternatives } => dense::likeliest(&values(0)?, *alternatives as usize),
        Op::Advance => Ok(Vec::new()),
        Op::Fused(Fused::Chain(links)) => {
            let parts = (0..inputs.len()).map(values).collect::<Result<Vec<_>>>()?;
            one(scalar::chain(links, &parts)?)
        }
        Op::Fused(Fused::LinearAdd) => {
            one(dense::linear(&values(1)?, operand(2)?, vector(3)?, Some(values(0)?.floats()?))?)
        }
        Op::Fused(Fused::GatedLinear(f)) => one(dense::gated(&values(0)?, operand(1)?, vector(2)?, *f)?),
        Op::Fused(Fused::RopeWrite { rope, q, k, v, .. }) => {
            let (x, positions) = (values(0)?, values(1)?.ints()?);
            let columns = |start: u32, len: u32| layout::slice(&x, 1, start as usize, len as usize);
            let rotated = |x: Array| attention::rotate(&x.view(), positions, rope, context);
            Ok(vec![rotated(columns(0, *q)?)?, rotated(columns(*q, *k)?)?, columns(q + k, *v)?])
        }
    }
}

impl Step<'_> {
    /// The array of an input.
    pub fn array(&self, input: Input) -> &[i32] {
        match input {
            Input::Tokens => self.tokens,
            Input::Positions => self.positions,
            Input::Outputs => self.outputs,
            Input::Types => self.types,
        }
    }
}

#[cfg(test)]
mod tests;
