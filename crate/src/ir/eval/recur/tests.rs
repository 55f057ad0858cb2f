use super::*;
use crate::ir::{
    Builder, Dim, Fact, Input, Op, Recur, State, Tensor, WeightId,
    eval::{Environment, States, evaluate},
    verify,
};
use std::rc::Rc;

/// A graph of one recurrence over columns of `widths` that are functions of token and position; vectors follow.
struct Model {
    graph: crate::ir::Graph,
}

/// Values of the step's columns: any smooth numbers, of both signs.
fn table(rows: usize, width: usize) -> Vec<f32> {
    (0..rows * width).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * 0.8).collect()
}

impl Model {
    /// `rows`: widths of inputs that have a row each; `vectors`: values of the others.
    fn new(rule: Rule, rows: &[u32], vectors: &[&[f32]]) -> Self {
        let g = Builder::new();
        let state = State { name: "s".into(), width: rule.width().unwrap(), window: None, carried: true };
        let state = g.state(state);
        let all: u32 = rows.iter().sum();
        let tokens = g.input(Input::Tokens);
        let fact = Fact::new(crate::ir::DType::F32, [Dim::Fixed(32), Dim::Fixed(all)]);
        let weight = crate::ir::Weight { name: "table".into(), fact, sources: Vec::new() };
        let x = g.op("x", Op::Embed, &[g.weight(weight), tokens]);
        let mut at = 0;
        let mut inputs: Vec<Tensor<'_>> = rows
            .iter()
            .map(|n| {
                at += n;
                x.columns(at - n, *n)
            })
            .collect();
        inputs.extend(vectors.iter().map(|values| {
            let fact = Fact::new(crate::ir::DType::F32, [Dim::Fixed(values.len() as u32)]);
            g.constant(crate::ir::Constant { fact, values: values.to_vec().into() })
        }));
        let (first, others) = inputs.split_first().unwrap();
        g.output("y", first.op("recur", Op::Recur(Recur { rule, state }), others));
        let graph = g.finish().unwrap();
        verify(&graph).unwrap();
        Self { graph }
    }
    fn step(&self, states: &mut States, rows: &[(i32, i32, i32)]) -> Result<Vec<f32>> {
        let column = |f: fn(&(i32, i32, i32)) -> i32| rows.iter().map(f).collect::<Vec<_>>();
        let (tokens, positions, sequences) = (column(|r| r.0), column(|r| r.1), column(|r| r.2));
        let outputs: Vec<i32> = (0..rows.len() as i32).collect();
        let step = Step {
            tokens: &tokens,
            positions: &positions,
            sequences: &sequences,
            outputs: &outputs,
            ..Step::default()
        };
        let width = self.graph.weights[0].fact.width().unwrap() as usize;
        let weight = |_: WeightId| -> Result<Rc<[f32]>> { Ok(table(32, width).into()) };
        let environment = Environment { weight: &weight, tensor: &|_| None };
        let mut results = evaluate(&self.graph, &environment, states, &step)?;
        let array = results.remove(0).1;
        Ok(array.view().floats()?.to_vec())
    }
    /// The results of one sequence in steps of these lengths.
    fn run(&self, steps: &[usize]) -> Vec<f32> {
        let (mut states, mut at, mut out) = (States::default(), 0i32, Vec::new());
        for n in steps {
            let rows: Vec<_> = (at..at + *n as i32).map(|p| (p * 5 % 32, p, 0)).collect();
            out.extend(self.step(&mut states, &rows).unwrap());
            at += *n as i32;
        }
        out
    }
}

const SCAN: Scan = Scan { heads: 4, head_dim: 2, size: 3, groups: 2, full: false, log: false };
const DELTA: Delta = Delta { key_heads: 2, heads: 4, key_dim: 3, value_dim: 2, tiled: false };

fn models() -> Vec<(&'static str, Model)> {
    let falling = [-0.5, -1.0, -0.1, -2.0, 1.0, 0.5, 0.0, -1.0];
    let sixth = [0.3, 0.9, 0.5, 0.7, 1.0, 0.1];
    vec![
        (
            "conv",
            Model::new(Rule::Conv { channels: 2, taps: 3 }, &[2], &[&[1.0, 2.0, 3.0, -1.0, 0.5, 0.25], &[0.5, -0.5]]),
        ),
        ("scan", Model::new(Rule::Scan(SCAN), &[8, 4, 6, 6], &[&falling])),
        ("delta", Model::new(Rule::Delta(DELTA), &[6, 6, 8, 4, 4], &[])),
        ("wkv4", Model::new(Rule::Wkv4 { channels: 2, log: false }, &[2, 2], &[&[-0.5, -0.1, 0.3, -0.2]])),
        ("wkv", Model::new(Rule::Wkv { heads: 2, dim: 3 }, &[6, 6, 6], &[&sixth, &sixth])),
        ("wkv of each row", Model::new(Rule::Wkv { heads: 2, dim: 3 }, &[6, 6, 6, 6], &[&sixth])),
    ]
}

#[test]
fn a_sequence_in_steps_gives_what_it_gives_at_once() {
    for (name, model) in models() {
        let whole = model.run(&[12]);
        for steps in [&[5usize, 7][..], &[1; 12], &[2, 1, 9]] {
            let parts = model.run(steps);
            let off = whole.iter().zip(&parts).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-5, "{name} in {steps:?}: off by {off}");
        }
        assert!(whole.iter().any(|v| v.abs() > 1e-3), "{name} gives something");
    }
}

#[test]
fn sequences_of_one_step_do_not_know_of_each_other() {
    for (name, model) in models() {
        let alone = |first: i32, n: i32| {
            let mut states = States::default();
            let rows: Vec<_> = (0..n).map(|p| ((first + p) % 32, p, 9)).collect();
            model.step(&mut states, &rows).unwrap()
        };
        let mut states = States::default();
        let rows: Vec<_> = (0..3).map(|p| (4 + p, p, 7)).chain((0..5).map(|p| (20 + p, p, 2))).collect();
        let together = model.step(&mut states, &rows).unwrap();
        assert_eq!(together, [alone(4, 3), alone(20, 5)].concat(), "{name}");
    }
}

#[test]
fn a_state_that_is_not_there_is_no_state_of_zeros() {
    let (_, model) = models().remove(0);
    let mut states = States::default();
    model.step(&mut states, &[(1, 0, 0), (2, 1, 0)]).unwrap();
    let fault = model.step(&mut states, &[(3, 1, 0)]).unwrap_err();
    assert!(fault.what.contains("remembers nothing at position 0"), "{fault}");
    let fault = model.step(&mut states, &[(3, 2, 0), (3, 4, 0)]).unwrap_err();
    assert!(fault.what.contains("do not follow each other"), "{fault}");
    // From its beginning a sequence needs none.
    model.step(&mut states, &[(3, 0, 0)]).unwrap();
}

#[test]
fn a_convolution_is_the_sum_of_the_last_rows_by_hand() {
    let (_, model) = models().remove(0);
    let x = |p: i32, c: usize| table(32, 2)[(p * 5 % 32) as usize * 2 + c];
    let got = model.run(&[4]);
    assert!((got[0] - (3.0 * x(0, 0) + 0.5)).abs() < 1e-6, "nothing comes before the first row");
    assert!((got[6] - (x(1, 0) + 2.0 * x(2, 0) + 3.0 * x(3, 0) + 0.5)).abs() < 1e-6);
    assert!((got[7] - (-x(1, 1) + 0.5 * x(2, 1) + 0.25 * x(3, 1) - 0.5)).abs() < 1e-6);
}

#[test]
fn a_delta_rule_of_whole_weight_gives_back_what_it_was_told() {
    // A key of length one, told with a weight of one: the same key asked for gives the value, whatever was there before.
    let rule = Rule::Delta(Delta { key_heads: 1, heads: 1, key_dim: 2, value_dim: 1, tiled: false });
    let view = |values: &[f32], width: usize| Array::floats([values.len() / width, width], values.to_vec()).unwrap();
    let keys = view(&[1.0, 0.0, 0.6, 0.8, 1.0, 0.0], 2);
    let (values, decay, beta) = (view(&[3.0, -2.0, 7.0], 1), view(&[-0.5, -0.1, 0.0], 1), view(&[1.0; 3], 1));
    let step = Step { tokens: &[], positions: &[0, 1, 2], sequences: &[0; 3], outputs: &[], ..Step::default() };
    struct Nothing;
    impl super::super::Remembered for Nothing {
        fn row(&self, _: i32, _: u32, _: &mut [f32]) -> Result<()> {
            Err(Fault::bug("nothing was before"))
        }
    }
    let inputs = [&keys, &keys, &values, &decay, &beta].map(Operand::from);
    let all: Vec<Operand<'_>> = inputs.into_iter().chain([Operand::State(&Nothing)]).collect();
    let y = recur(&rule, &all, &step).unwrap().remove(0);
    for (got, want) in y.view().floats().unwrap().iter().zip([3.0, -2.0, 7.0]) {
        assert!((got - want).abs() < 1e-6, "{got} {want}");
    }
}
