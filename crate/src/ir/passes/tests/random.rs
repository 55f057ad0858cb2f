//! Random graphs: whatever is written, passes do not change what comes out.

use proptest::prelude::*;

use super::{models::Model, run};
use crate::ir::{Binary, Builder, Constant, DType, Dim, Fact, Input, Op, Reduction, Tensor, Unary};

/// Relative to the largest result: what random graphs cancel makes rounding weigh more than in a model.
const TOLERANCE: f32 = 1e-4;
/// Values beyond are not compared: powers of powers.
const LARGEST: f32 = 1e4;

const FUNCTIONS: &[Unary] = &[
    Unary::Scale(0.5),
    Unary::Scale(1.0),
    Unary::Shift(0.25),
    Unary::Neg,
    Unary::Abs,
    Unary::Tanh,
    Unary::Sigmoid,
    Unary::Relu,
    Unary::Silu,
    Unary::Gelu,
    Unary::Square,
    Unary::SoftCap(2.0),
];

/// One more value: which operation, and two numbers that choose its inputs among the values so far.
type Draw = (u8, usize, usize);

fn add<'g>(g: &'g Builder, values: &[Tensor<'g>], weights: &[Tensor<'g>], (op, a, b): Draw) -> Tensor<'g> {
    let (x, y) = (values[a % values.len()], values[b % values.len()]);
    let number = |n: f32| g.constant(Constant { fact: Fact::new(DType::F32, []), values: [n].into() });
    match op % 12 {
        0..=3 => x.map(FUNCTIONS[b % FUNCTIONS.len()]),
        4 => x + y,
        5 => x * y,
        6 => x.with([Binary::Sub, Binary::Max, Binary::Min][b % 3], y),
        7 => x.with([Binary::Mul, Binary::Add, Binary::Sub, Binary::Pow][b % 4], number([2.0, 1.0, 0.0][a % 3])),
        8 => x.linear("linear", weights[b % 3], (a % 2 == 0).then_some(weights[3])),
        9 => x.with(Binary::Mul, weights[3]),
        10 => x.with(Binary::Sub, x.op("mean", Op::Reduce(Reduction::Mean), &[])),
        _ => {
            let (left, right) = (x.columns(0, 2), x.columns(2, 2));
            g.op("turned", Op::Concat { axis: 1 }, &[right, left])
        }
    }
}

fn graph(draws: &[Draw]) -> Model {
    Model::of(4, |g, weights| {
        let x = g.op("embed", Op::Embed, &[weights[0], g.input(Input::Tokens)]);
        let constant = Constant { fact: Fact::new(DType::F32, [Dim::Fixed(4)]), values: [0.5, -1.0, 0.25, 2.0].into() };
        let mut values = vec![x, x.map(Unary::Tanh) + g.constant(constant)];
        for draw in draws {
            values.push(add(g, &values, &weights[1..], *draw));
        }
        g.output("last", values[values.len() - 1]);
        g.output("middle", values[values.len() / 2]);
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn passes_never_change_what_a_graph_gives(
        draws in proptest::collection::vec((any::<u8>(), 0usize..64, 0usize..64), 1..16),
        disabled in proptest::option::of(0..super::PASSES.len()),
    ) {
        let model = graph(&draws);
        let want = model.results(&model.graph);
        let size = want.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        prop_assume!(want.iter().all(|v| v.is_finite()) && size < LARGEST);
        let mut fast = model.graph.clone();
        let disabled: Vec<&str> = disabled.iter().map(|i| super::PASSES[*i].name).collect();
        run(&mut fast, &disabled).unwrap();
        for (want, got) in want.iter().zip(model.results(&fast)) {
            prop_assert!((want - got).abs() <= TOLERANCE * size, "{want} became {got}:\n{}\n{fast}", model.graph);
        }
    }
}
