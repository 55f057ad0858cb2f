//! A whole graph over one step.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    Context,
    array::{Array, Data, Operand, Remembered, Slice, View},
};
use crate::{
    fault::{Fault, Result},
    ir::{
        fact::{DType, Sizes},
        graph::{Constant, Graph, StateId, Value, WeightId},
        op::{Fused, Op},
        rotation::Angles,
    },
};

/// What is computed together: some tokens of one or more sequences.
#[derive(Debug, Clone, Copy, Default)]
pub struct Step<'a> {
    /// Token of each row.
    pub tokens: &'a [i32],
    /// Position of each row in its sequence.
    pub positions: &'a [i32],
    /// Sequence of each row: any numbers that tell sequences apart.
    pub sequences: &'a [i32],
    /// Rows that want a result.
    pub outputs: &'a [i32],
    /// Kind of each row's token; empty: all of the first.
    pub types: &'a [i32],
}

/// Where the values of a model come from.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Values of a weight of the graph, gathered from its sources, in its shape.
    pub weight: &'a dyn Fn(WeightId) -> Result<Rc<[f32]>>,
    /// Values of a tensor of the model: rotary factors.
    pub tensor: &'a dyn Fn(usize) -> Option<Rc<[f32]>>,
}

/// What sequences remember between steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct States {
    rows: BTreeMap<(StateId, i32), Vec<Option<Row>>>,
}

type Row = Box<[f32]>;

impl States {
    /// Remembers a row of a sequence at a position.
    pub fn write(&mut self, state: StateId, sequence: i32, position: u32, row: &[f32]) {
        let rows = self.rows.entry((state, sequence)).or_default();
        let at = position as usize;
        if rows.len() <= at {
            rows.resize(at + 1, None);
        }
        rows[at] = Some(row.into());
    }
    /// Forgets a sequence from a position on.
    pub fn forget(&mut self, sequence: i32, from: u32) {
        for ((_, of), rows) in &mut self.rows {
            if *of == sequence {
                rows.truncate(from as usize);
            }
        }
    }
}

/// One state of [`States`].
struct StateRows<'a> {
    states: &'a States,
    state: StateId,
}

impl Remembered for StateRows<'_> {
    fn row(&self, sequence: i32, position: u32, out: &mut [f32]) -> Result<()> {
        let rows = self.states.rows.get(&(self.state, sequence));
        match rows.and_then(|rows| rows.get(position as usize)?.as_deref()) {
            Some(row) if row.len() == out.len() => out.copy_from_slice(row),
            _ => {
                let what = format!("state {}: sequence {sequence} remembers nothing", self.state.0);
                return Err(Fault::caller(format!("{what} at position {position}")));
            }
        }
        Ok(())
    }
}

/// What is known of a value during a step.
enum Known {
    /// A value of this step.
    Array(Array),
    /// A weight.
    Weight(Vec<usize>, Rc<[f32]>),
    /// A state, as it is after it was written.
    State(StateId),
}

/// The results of a graph, by name, for one step; states are read and written.
///
/// # Errors
/// A weight's values are not given or of another number; the step's arrays are of different lengths; a token, row or
/// position lies outside what it counts; a sequence lacks positions before this step's. The fault names the node.
pub fn evaluate(
    graph: &Graph,
    environment: &Environment<'_>,
    states: &mut States,
    step: &Step<'_>,
) -> Result<Vec<(Rc<str>, Array)>> {
    let angles = angles(graph, environment, step)?;
    let context = Context { step: *step, angles: &angles };
    let mut known: Vec<Vec<Known>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let results = match &node.op {
            Op::Weight(id) => weight(graph, environment, *id).map(|w| vec![w]),
            Op::Constant(at) => constant(graph, *at).map(|c| vec![Known::Array(c)]),
            op => computed(op, &node.inputs, &known, states, &context),
        };
        known.push(results.map_err(|f| Fault { what: format!("{}: {}", node.label, f.what), ..f })?);
    }
    let result = |(name, value): &(Rc<str>, Value)| match find(&known, *value)? {
        Known::Array(array) => Ok((Rc::clone(name), array.clone())),
        _ => Err(Fault::bug(format!("the result {name} is no value of a step"))),
    };
    graph.outputs.iter().map(result).collect()
}

fn angles(graph: &Graph, environment: &Environment<'_>, step: &Step<'_>) -> Result<Vec<Angles>> {
    let length = Context { step: *step, angles: &[] }.sizes().context;
    graph.rotations.iter().map(|r| r.angles(length, environment.tensor)).collect()
}

/// Values of a constant of the graph.
///
/// # Errors
/// There is no such constant, or its values do not fill its shape.
pub(in crate::ir) fn constant(graph: &Graph, at: usize) -> Result<Array> {
    let Constant { fact, values } = graph.constants.get(at).ok_or_else(|| Fault::bug(format!("no constant {at}")))?;
    let shape = fact.resolve(&Sizes::default());
    let data = match fact.dtype {
        DType::F32 | DType::F16 => Data::F32(values.to_vec()),
        DType::I32 | DType::I8 | DType::U8 => Data::I32(values.iter().map(|v| *v as i32).collect()),
        DType::I64 => Data::I64(values.iter().map(|v| *v as i64).collect()),
        DType::Bool => Data::Bool(values.iter().map(|v| *v != 0.0).collect()),
        DType::Block(encoding) => return Err(Fault::bug(format!("a constant in the encoding {encoding}"))),
    };
    Array::new(shape, data)
}

fn weight(graph: &Graph, environment: &Environment<'_>, id: WeightId) -> Result<Known> {
    let weight = graph.weights.get(id.0 as usize).ok_or_else(|| Fault::bug(format!("no weight {}", id.0)))?;
    let (values, shape) = ((environment.weight)(id)?, weight.fact.resolve(&Sizes::default()));
    View::new(&shape, Slice::F32(&values)).map_err(|f| Fault { what: format!("{}: {}", weight.name, f.what), ..f })?;
    Ok(Known::Weight(shape, values))
}

/// The results of an operation; rows for states go there.
fn computed(
    op: &Op,
    inputs: &[Value],
    known: &[Vec<Known>],
    states: &mut States,
    context: &Context<'_>,
) -> Result<Vec<Known>> {
    let inputs = inputs.iter().map(|v| find(known, *v)).collect::<Result<Vec<_>>>()?;
    let results = {
        let carried = if let Op::Recur(r) = op { Some(r.state) } else { None };
        let memory: Vec<StateRows<'_>> = inputs
            .iter()
            .filter_map(|k| if let Known::State(state) = k { Some(*state) } else { None })
            .chain(carried)
            .map(|state| StateRows { states, state })
            .collect();
        let mut memory = memory.iter();
        let mut operands = Vec::with_capacity(inputs.len());
        for known in &inputs {
            operands.push(match known {
                Known::Array(array) => Operand::from(array),
                Known::Weight(shape, values) => View::new(shape, Slice::F32(values))?.into(),
                Known::State(_) => Operand::State(memory.next().ok_or_else(|| Fault::bug("a state without memory"))?),
            });
        }
        // What is left is the state of a recurrence.
        operands.extend(memory.map(|m| Operand::State(m)));
        super::apply(op, &operands, context)?
    };
    let states_of = written(op);
    let keep = |(at, array): (usize, Array)| match states_of.iter().find(|(i, _)| *i == at) {
        Some((_, state)) => {
            let keep = if matches!(op, Op::Recur(_)) { carry } else { remember };
            keep(&array, *state, states, &context.step).map(|()| Known::State(*state))
        }
        None => Ok(Known::Array(array)),
    };
    results.into_iter().enumerate().map(keep).collect()
}

/// Which results of an operation go to which states.
fn written(op: &Op) -> Vec<(usize, StateId)> {
    match op {
        Op::StateWrite(id) => vec![(0, *id)],
        Op::Recur(r) => vec![(1, r.state)],
        Op::Fused(Fused::RopeWrite { keys, values, .. }) => vec![(1, *keys), (2, *values)],
        _ => Vec::new(),
    }
}

/// Puts rows to their sequences and positions.
fn remember(rows: &Array, state: StateId, states: &mut States, step: &Step<'_>) -> Result<()> {
    let rows = rows.view();
    let rows = rows.floats()?.chunks_exact(rows.width().max(1));
    if rows.len() != step.positions.len() || rows.len() != step.sequences.len() {
        let what = format!("{} rows for {} positions", rows.len(), step.positions.len());
        return Err(Fault::caller(format!("{what} and {} sequences", step.sequences.len())));
    }
    for (row, (position, sequence)) in rows.zip(step.positions.iter().zip(step.sequences)) {
        let at = u32::try_from(*position);
        let at = at.map_err(|_| Fault::caller(format!("position {position}: a number from 0 on expected")))?;
        states.write(state, *sequence, at, row);
    }
    Ok(())
}

/// Puts what each sequence carries on to its last position.
fn carry(rows: &Array, state: StateId, states: &mut States, step: &Step<'_>) -> Result<()> {
    let rows = rows.view();
    for (row, run) in rows.floats()?.chunks_exact(rows.width().max(1)).zip(super::runs(step)?) {
        states.write(state, run.sequence, run.last(), row);
    }
    Ok(())
}

fn find(known: &[Vec<Known>], value: Value) -> Result<&Known> {
    let result = known.get(value.node.0 as usize).and_then(|results| results.get(usize::from(value.output)));
    result.ok_or_else(|| Fault::bug(format!("result {} of node {} is not known yet", value.output, value.node.0)))
}
