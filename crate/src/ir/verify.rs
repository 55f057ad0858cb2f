//! The rules that every graph keeps; passes are held to them.

use std::collections::BTreeSet;

use super::{
    fact::{DType, Fact},
    graph::{Graph, Node, NodeId, StateId, Value},
    op::{Attention, CHAIN_INPUTS, CHAIN_LINKS, Fused, Link, Op},
};
use crate::fault::{Fault, Result};

/// Checks a graph against the rules:
///
/// - A node reads results of earlier nodes only, and its facts are those that [`super::infer`] gives.
/// - Weights, constants and the tables' own entries are whole: fixed dimensions, as many values or rows as they say.
/// - A state is written at most once, and read by attention alone, whose window it keeps; keys and values both come from states, or
///   neither does. What a recurrence carries is read by itself alone. The tokens are advanced at most once.
/// - A chain has inputs and links within its bounds, and its first input has the result's shape.
/// - Results have names of their own and are values of a step.
///
/// # Errors
/// The first rule that is broken, with the node or entry that breaks it.
pub fn verify(graph: &Graph) -> Result<()> {
    tables(graph)?;
    let mut written = BTreeSet::new();
    let mut advanced = false;
    for (i, node) in graph.nodes.iter().enumerate() {
        let named = |what: String| Fault::bug(format!("%{i} {}: {what}", node.label));
        let facts = inputs(graph, i, node).map_err(named)?;
        let inferred = super::infer(graph, &node.op, &facts).map_err(|f| named(f.what))?;
        if inferred != node.facts {
            return Err(named(format!("{} expected, {} noted", list(&inferred), list(&node.facts))));
        }
        if let Some(state) = node.op.states_written().into_iter().find(|id| !written.insert(*id)) {
            return Err(named(format!("writes state {} a second time", graph.states[state.0 as usize].name)));
        }
        if node.op == Op::Advance && std::mem::replace(&mut advanced, true) {
            return Err(named("the tokens are advanced a second time".into()));
        }
        states_read(graph, node).map_err(named)?;
        well_formed(node, &facts).map_err(named)?;
    }
    outputs(graph)
}

fn list(facts: &[Fact]) -> String {
    facts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn tables(graph: &Graph) -> Result<()> {
    let fixed = |fact: &Fact| {
        let dims = fact.shape.iter().map(|d| d.fixed().map(u64::from));
        dims.collect::<Option<Vec<_>>>()
    };
    for weight in &graph.weights {
        let broken = |what: String| Err(Fault::bug(format!("weight {}: {what}", weight.name)));
        let Some(dims) = fixed(&weight.fact) else { return broken(format!("{} is not fixed", weight.fact)) };
        let rows: u64 = weight.sources.iter().map(|s| u64::from(s.run) * u64::from(s.runs)).sum();
        let is_matrix = dims.len() == 2 && matches!(weight.fact.dtype, DType::Block(_));
        if is_matrix && !weight.sources.is_empty() && rows != dims[0] {
            return broken(format!("{} rows expected, its sources have {rows}", dims[0]));
        }
    }
    for (i, constant) in graph.constants.iter().enumerate() {
        let broken = |what: String| Err(Fault::bug(format!("constant {i}: {what}")));
        let Some(dims) = fixed(&constant.fact) else { return broken(format!("{} is not fixed", constant.fact)) };
        let expected = dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
        if expected != Some(constant.values.len() as u64) {
            return broken(format!("{} has {} values", constant.fact, constant.values.len()));
        }
    }
    Ok(())
}

/// Facts of what a node reads.
fn inputs<'g>(graph: &'g Graph, at: usize, node: &Node) -> Result<Vec<&'g Fact>, String> {
    let fact = |value: &Value| {
        let from = value.node.0 as usize;
        if from >= at {
            return Err(format!("reads %{from}, which comes later or does not exist"));
        }
        let result = graph.nodes[from].facts.get(usize::from(value.output));
        result.ok_or_else(|| {
            format!("reads result {} of %{from}, which has {}", value.output, graph.nodes[from].facts.len())
        })
    };
    node.inputs.iter().map(fact).collect()
}

/// The state that a value of an earlier node stands for.
pub(super) fn state_of(graph: &Graph, value: Value) -> Option<StateId> {
    match &graph.maker(value).op {
        Op::StateWrite(id) => Some(*id),
        Op::Recur(recur) => (value.output == 1).then_some(recur.state),
        Op::Fused(Fused::RopeWrite { keys, values, .. }) => match value.output {
            1 => Some(*keys),
            2 => Some(*values),
            _ => None,
        },
        _ => None,
    }
}

fn states_read(graph: &Graph, node: &Node) -> Result<(), String> {
    let states: Vec<Option<StateId>> = node.inputs.iter().map(|v| state_of(graph, *v)).collect();
    match (&node.op, states.as_slice()) {
        (Op::Attention(spec), [None, Some(keys), Some(values), rest @ ..]) if rest.iter().all(Option::is_none) => {
            [keys, values].into_iter().try_for_each(|id| keeps_window(graph, spec, *id))
        }
        (_, states) if states.iter().all(Option::is_none) => Ok(()),
        (Op::Attention(_), _) => Err("keys and values both from states expected, or neither".into()),
        _ => Err("a state is read by attention alone".into()),
    }
}

fn keeps_window(graph: &Graph, spec: &Attention, id: StateId) -> Result<(), String> {
    let state = &graph.states[id.0 as usize];
    match (state.window, spec.window) {
        (Some(kept), seen) if seen.is_none_or(|seen| seen > kept) => {
            let seen = seen.map_or_else(|| "all positions".into(), |w| format!("the last {w} positions"));
            Err(format!("looks at {seen}, of which {} keeps {kept}", state.name))
        }
        _ => Ok(()),
    }
}

/// What infer does not ask of operations that passes make.
fn well_formed(node: &Node, facts: &[&Fact]) -> Result<(), String> {
    match &node.op {
        Op::Fused(Fused::Chain(links)) => {
            if !(1..=CHAIN_LINKS).contains(&links.len()) || node.inputs.len() > CHAIN_INPUTS {
                let what = format!("a chain of 1 to {CHAIN_LINKS} links of at most {CHAIN_INPUTS} inputs expected");
                return Err(format!("{what}, {} of {} found", links.len(), node.inputs.len()));
            }
            if node.facts.first() != facts.first().copied() {
                return Err(format!("a chain of {} values made of {}", list(&node.facts), facts[0]));
            }
            let is_read = |i: usize| {
                links.iter().any(|l| matches!(l, Link::Binary(_, n) | Link::Reversed(_, n) if usize::from(*n) == i))
            };
            match (1..node.inputs.len()).find(|i| !is_read(*i)) {
                Some(i) => Err(format!("no link reads input {i} of the chain")),
                None => Ok(()),
            }
        }
        Op::Fused(Fused::RopeWrite { keys, values, .. }) if keys == values => {
            Err("keys and values are remembered in one state".into())
        }
        _ => Ok(()),
    }
}

fn outputs(graph: &Graph) -> Result<()> {
    let mut names = BTreeSet::new();
    for (name, value) in &graph.outputs {
        let named = |what: String| Err(Fault::bug(format!("result {name}: {what}")));
        let Value { node: NodeId(at), output } = *value;
        if graph.nodes.get(at as usize).is_none_or(|n| n.facts.len() <= usize::from(output)) {
            return named(format!("there is no result {output} of %{at}"));
        }
        if state_of(graph, *value).is_some() {
            return named("a value of a step expected, a state found".into());
        }
        if !names.insert(name) {
            return named("a second result of this name".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Builder, Constant, Dim, Input, Shape, State, Unary};

    /// Two positions' values through a chain of functions; node 0 is the input.
    fn graph() -> Graph {
        let g = Builder::new();
        let positions = g.input(Input::Positions);
        let x = positions.op("x", Op::Cast(DType::F32), &[]);
        let y = x.map(Unary::Exp);
        g.output("y", y);
        g.finish().unwrap()
    }

    fn broken(change: impl FnOnce(&mut Graph)) -> String {
        let mut graph = graph();
        verify(&graph).unwrap();
        change(&mut graph);
        verify(&graph).unwrap_err().what
    }

    #[track_caller]
    fn says(what: &str, words: &[&str]) {
        assert!(words.iter().all(|w| what.contains(w)), "{what:?} lacks one of {words:?}");
    }

    #[test]
    fn a_value_is_read_after_it_is_made() {
        says(&broken(|g| g.nodes[1].inputs[0] = NodeId(2).value()), &["%1 x", "reads %2", "later"]);
        says(&broken(|g| g.nodes[2].inputs[0] = NodeId(1).result(3)), &["%2 map", "result 3 of %1"]);
    }

    #[test]
    fn facts_are_those_that_inference_gives() {
        let what = broken(|g| g.nodes[2].facts[0] = Fact::new(DType::F32, [Dim::Fixed(3)]));
        says(&what, &["%2 map", "f32[rows] expected", "f32[3] noted"]);
        says(&broken(|g| g.nodes[2].inputs[0] = NodeId(0).value()), &["%2 map", "floating-point", "i32[rows]"]);
    }

    #[test]
    fn a_missing_table_entry_is_named_at_its_reader() {
        says(&broken(|g| g.nodes[0].op = Op::Constant(0)), &["%0 positions", "no such constant"]);
    }

    #[test]
    fn a_constant_has_the_values_of_its_shape() {
        let what = broken(|g| {
            let fact = Fact::new(DType::F32, [Dim::Fixed(3)]);
            g.constants.push(Constant { fact, values: [1.0].into() });
        });
        says(&what, &["constant 0", "f32[3]", "1 values"]);
    }

    #[test]
    fn results_exist_and_have_names_of_their_own() {
        says(&broken(|g| g.outputs[0].1 = NodeId(9).value()), &["result y", "%9"]);
        says(&broken(|g| g.outputs.push(g.outputs[0].clone())), &["result y", "second"]);
    }

    /// A graph in which one state is written, by the Cast's values.
    fn with_state(window: Option<u32>) -> (Graph, NodeId) {
        let mut g = graph();
        g.states.push(State { name: "k".into(), width: 1, window, carried: false });
        let shape: Shape = vec![Dim::Rows, Dim::Fixed(1)];
        let x = g.add(Op::Reshape(shape), &[NodeId(2).value()], "x").unwrap();
        (g, x)
    }

    #[test]
    fn a_state_is_written_once_and_read_by_attention_alone() {
        let (mut g, x) = with_state(None);
        let k = g.add(Op::StateWrite(StateId(0)), &[x.value()], "k").unwrap();
        let mut twice = g.clone();
        twice.add(Op::StateWrite(StateId(0)), &[x.value()], "again").unwrap();
        says(&verify(&twice).unwrap_err().what, &["again", "state k a second time"]);
        let mut read = g.clone();
        read.add(Op::Unary(Unary::Exp), &[k.value()], "exp").unwrap();
        says(&verify(&read).unwrap_err().what, &["exp", "attention alone"]);
        g.outputs.push(("k".into(), k.value()));
        says(&verify(&g).unwrap_err().what, &["result k", "a state found"]);
    }

    #[test]
    fn attention_does_not_look_further_back_than_its_states_keep() {
        let spec = Attention {
            heads: 1,
            kv_heads: 1,
            head_dim: 1,
            value_dim: 1,
            scale: 1.0,
            causal: true,
            window: Some(9),
            soft_cap: None,
            alibi: None,
            sinks: false,
            reach: None,
        };
        let (mut g, x) = with_state(Some(8));
        g.states.push(State { name: "v".into(), width: 1, window: None, carried: false });
        let k = g.add(Op::StateWrite(StateId(0)), &[x.value()], "k").unwrap();
        let v = g.add(Op::StateWrite(StateId(1)), &[x.value()], "v").unwrap();
        g.add(Op::Attention(spec), &[x.value(), k.value(), v.value()], "look").unwrap();
        says(&verify(&g).unwrap_err().what, &["look", "last 9", "k keeps 8"]);
    }

    #[test]
    fn what_a_recurrence_carries_is_read_by_itself_alone() {
        let mut g = graph();
        g.states.push(State { name: "s".into(), width: 1, window: None, carried: true });
        let fact = Fact::new(DType::F32, [Dim::Fixed(2)]);
        let weight = g.add_constant(Constant { fact, values: [1.0, 2.0].into() }, "w").unwrap();
        let shape: Shape = vec![Dim::Rows, Dim::Fixed(1)];
        let x = g.add(Op::Reshape(shape), &[NodeId(2).value()], "x").unwrap();
        let rule = crate::ir::Rule::Conv { channels: 1, taps: 2 };
        let op = Op::Recur(crate::ir::Recur { rule, state: StateId(0) });
        let y = g.add(op.clone(), &[x.value(), weight.value()], "conv").unwrap();
        verify(&g).unwrap();
        let mut twice = g.clone();
        twice.add(op, &[x.value(), weight.value()], "again").unwrap();
        says(&verify(&twice).unwrap_err().what, &["again", "state s a second time"]);
        let mut read = g.clone();
        read.add(Op::Unary(Unary::Exp), &[y.result(1)], "exp").unwrap();
        says(&verify(&read).unwrap_err().what, &["exp", "attention alone"]);
        g.outputs.push(("s".into(), y.result(1)));
        says(&verify(&g).unwrap_err().what, &["result s", "a state found"]);
    }

    #[test]
    fn a_chain_keeps_its_bounds_and_reads_all_its_inputs() {
        let chain = |links: Vec<Link>, inputs: usize| {
            broken(|g| {
                let x = NodeId(1).value();
                g.add(Op::Fused(Fused::Chain(links)), &vec![x; inputs], "chain").unwrap();
            })
        };
        let exp = Link::Unary(Unary::Exp);
        says(&chain(vec![exp; CHAIN_LINKS + 1], 1), &["chain", "9 of 1 found"]);
        says(&chain(vec![], 1), &["0 of 1 found"]);
        says(&chain(vec![exp], 2), &["no link reads input 1"]);
    }
}
