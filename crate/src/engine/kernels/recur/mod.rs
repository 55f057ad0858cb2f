//! Recurrences: what sequences carry from row to row, and the kernels that carry it, one for each rule.

use super::{
    Bind, BufferId, BufferKind, Lowering, MAX_GROUPS, Needs, Operand, Strided,
    case::{Case, Cases, SUMS},
};
use crate::{
    engine::program::{CHECKPOINTS, Step},
    fault::{Fault, Result},
    ir::{Op, Recur, Rule, StateId},
};

pub(super) mod conv;
pub(super) mod delta;
pub(super) mod scan;
pub(super) mod wkv;
pub(super) mod wkv4;

/// Values of a column that a lane keeps in registers: `PART` of `lib/columns`.
const PART: u32 = 16;

/// The buffer of a carried state.
#[derive(Debug, Clone, Copy)]
struct Held {
    buffer: BufferId,
    sequences: u32,
    /// Values of one state.
    width: u32,
}

impl Held {
    fn bind(&self) -> Bind {
        let words = u64::from(self.sequences) * u64::from(CHECKPOINTS) * u64::from(self.width);
        Bind { name: "state", buffer: self.buffer, needs: Needs::Words(words) }
    }
}

/// What every rule has: the state, the rows that it reads, and those that it makes.
struct Parts {
    held: Held,
    inputs: Vec<Strided>,
    y: Strided,
}

/// The places of a recurrence of this rule; `None` where they lie otherwise than kernels need.
fn parts(step: &Step, with: &Lowering<'_>) -> Option<(Rule, Parts)> {
    let Op::Recur(Recur { rule, .. }) = step.op else { return None };
    let (Operand::State(buffer), inputs) = step.inputs.split_last()? else { return None };
    let BufferKind::Carried { sequences, width, .. } = with.program.buffers.get(buffer.0 as usize)?.kind else {
        return None;
    };
    let held = Held { buffer: *buffer, sequences, width };
    let inputs = inputs.iter().map(|i| with.view(Some(i))).collect::<Option<Vec<_>>>()?;
    let y = with.view(step.outputs.first())?;
    let fits = rule.width() == Some(width) && rule.outputs() == Some(y.width);
    let apart = inputs.iter().all(|i| i.buffer != y.buffer);
    let rows = inputs.first()?.rows == y.rows;
    (fits && apart && rows).then_some((rule, Parts { held, inputs, y }))
}

impl Parts {
    /// Whether inputs have these widths.
    fn has(&self, widths: &[u32]) -> bool {
        self.inputs.len() == widths.len() && self.inputs.iter().zip(widths).all(|(i, w)| i.width == *w)
    }
}

/// Lanes of a team for columns of `size` values, as a power of two; `None` where a workgroup of `lanes` has too few.
fn team_bits(size: u32, lanes: u32) -> Option<u32> {
    let team = size.div_ceil(PART).max(1).checked_next_power_of_two()?;
    (team <= lanes).then(|| team.trailing_zeros())
}

/// Workgroups of `lanes` for columns of this size.
fn grid(outputs: u32, sequences: u32, team_bits: u32, lanes: u32) -> Result<[u32; 3]> {
    let columns = (lanes >> team_bits).max(1);
    let groups = outputs.div_ceil(columns);
    if groups > MAX_GROUPS || sequences > MAX_GROUPS {
        return Err(Fault::limit(format!(
            "{groups} x {sequences} workgroups are beyond {MAX_GROUPS} along a dimension"
        )));
    }
    Ok([groups, sequences, 1])
}

/// Sequences of a step: the position of the first row, and how many rows.
type Runs = &'static [(u32, u32)];

/// One row; some; sequences that begin, that go on, and that have no row.
const RUNS: [(u32, Runs); 4] =
    [(1, &[(0, 1)]), (1, &[(6, 1)]), (9, &[(0, 5), (3, 2), (7, 0), (31, 1)]), (17, &[(16, 17)])];

/// A case of a rule with these runs; `inputs` makes all but the state.
fn case(
    all: &mut Cases,
    kernel: &'static str,
    text: &str,
    rule: Rule,
    (most, runs): (u32, Runs),
    quick: bool,
    inputs: impl FnOnce(&mut Case) -> Vec<Operand>,
) {
    let mut case = Case::new(format!("{text} rows={runs:?}/{most}"), most, 1);
    case.sequences(64, 1, runs).tolerance(SUMS).quick(quick);
    let mut inputs = inputs(&mut case);
    let state = case.carried(rule.width().unwrap_or(0));
    inputs.push(state.clone());
    let y = case.blank(crate::ir::Dim::Rows, rule.outputs().unwrap_or(0));
    all.step_into(kernel, case, Op::Recur(Recur { rule, state: StateId(0) }), &inputs, &[y, state]);
}
