//! Drops what nothing reads: nodes, and the entries of the graph's tables.

use crate::{
    fault::Result,
    ir::{
        graph::{Graph, StateId, WeightId},
        op::{Fused, Op},
        rewrite::{keep, renumber, sweep},
    },
};

pub(super) fn run(graph: &mut Graph) -> Result<()> {
    sweep(graph);
    compact(graph);
    Ok(())
}

/// The tables of a graph whose entries operations name by index.
#[derive(Clone, Copy)]
enum Table {
    Weights,
    States,
    Constants,
    Rotations,
}

/// Gives each index that an operation names to `f`, and takes its answer in the index's place.
fn rename(op: &mut Op, f: &mut dyn FnMut(Table, usize) -> usize) {
    let mut state = |id: &mut StateId| id.0 = f(Table::States, id.0 as usize) as u32;
    match op {
        Op::StateWrite(id) => state(id),
        Op::Recur(recur) => state(&mut recur.state),
        Op::Fused(Fused::RopeWrite { rope, keys, values, .. }) => {
            state(keys);
            state(values);
            rope.rotation = f(Table::Rotations, rope.rotation);
        }
        Op::Weight(WeightId(id)) => *id = f(Table::Weights, *id as usize) as u32,
        Op::Constant(at) => *at = f(Table::Constants, *at),
        Op::Rope(rope) => rope.rotation = f(Table::Rotations, rope.rotation),
        _ => {}
    }
}

/// Drops weights, states, constants and rotations that no node names, and numbers the rest anew.
pub(super) fn compact(graph: &mut Graph) {
    let lengths = [graph.weights.len(), graph.states.len(), graph.constants.len(), graph.rotations.len()];
    let mut used = lengths.map(|n| vec![false; n]);
    for node in &mut graph.nodes {
        rename(&mut node.op, &mut |table, at| {
            used[table as usize][at] = true;
            at
        });
    }
    let to = [0, 1, 2, 3].map(|table: usize| renumber(&used[table]));
    for node in &mut graph.nodes {
        rename(&mut node.op, &mut |table, at| to[table as usize][at] as usize);
    }
    let [weights, states, constants, rotations] = &used;
    keep(&mut graph.weights, weights);
    keep(&mut graph.states, states);
    keep(&mut graph.constants, constants);
    keep(&mut graph.rotations, rotations);
}
