use std::rc::Rc;

use proptest::prelude::*;

use super::*;
use crate::ir::{
    Input, NodeId, Pairing, Rope, Rotation, Scaling, State, StateId, WeightId,
    eval::{Environment, States, Step, evaluate},
    rewrite::sweep,
    verify,
};

const ROWS: u32 = 3;

/// Relative to the largest value of a result, or to one where all are below: sums of the plain forms are rounded to f32 after each operation.
const TOLERANCE: f32 = 2e-5;

/// Numbers that are spread but the same for the same seed, between -`size` and `size`.
fn numbers(seed: u64, n: u32, size: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..n).map(|_| (next() * 2.0 - 1.0) * size).collect()
}

/// A graph of one operation on constants of the given shapes.
fn graph_of(op: &Op, shapes: &[&[u32]], seed: u64, size: f32) -> Graph {
    let mut graph = Graph {
        states: ["k", "v"].map(|name| State { name: name.into(), width: 8, window: None, carried: false }).to_vec(),
        rotations: vec![Rotation { dims: 4, base: 100.0, scaling: Scaling::None }],
        ..Graph::default()
    };
    let mut inputs = Vec::new();
    for (i, shape) in shapes.iter().enumerate() {
        let fact = Fact::new(DType::F32, shape.iter().copied().map(Dim::Fixed).collect::<Vec<_>>());
        let values = numbers(seed + i as u64, shape.iter().product(), size).into();
        inputs.push(graph.add_constant(Constant { fact, values }, "input").unwrap().value());
    }
    let node = graph.add(op.clone(), &inputs, "op").unwrap();
    graph.outputs.push(("y".into(), node.value()));
    graph
}

fn result(graph: &Graph) -> Vec<f32> {
    verify(graph).unwrap();
    let environment = Environment { weight: &|_: WeightId| unreachable!(), tensor: &|_| None };
    let step = Step { positions: &[0, 1, 2], sequences: &[0; 3], tokens: &[0; 3], outputs: &[2], ..Step::default() };
    let results = evaluate(graph, &environment, &mut States::default(), &step).unwrap();
    let mut all = Vec::new();
    for (_, array) in results {
        all.extend_from_slice(array.view().floats().unwrap());
    }
    all
}

#[track_caller]
fn agrees(graph: &Graph, is_rejected: &dyn Fn(&Graph, &Node) -> bool) {
    let mut plain = graph.clone();
    decompose_rejected(&mut plain, is_rejected).unwrap();
    assert!(!plain.nodes.iter().any(|n| is_rejected(&plain, n)), "{plain}");
    let (want, got) = (result(graph), result(&plain));
    assert_eq!(want.len(), got.len());
    let size = want.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    for (want, got) in want.iter().zip(&got) {
        assert!((want - got).abs() <= TOLERANCE * size, "{want} by meaning, {got} by parts:\n{graph}\n{plain}");
    }
}

/// The plain operations that all others are made of.
fn is_rich(_: &Graph, node: &Node) -> bool {
    match &node.op {
        Op::Linear | Op::RmsNorm { .. } | Op::LayerNorm { .. } | Op::Softmax | Op::Attention(_) | Op::Fused(_) => true,
        Op::ExpertLinear(_) | Op::ExpertSum => true,
        Op::Unary(f) => !matches!(
            f,
            Unary::Scale(_)
                | Unary::Shift(_)
                | Unary::Neg
                | Unary::Abs
                | Unary::Exp
                | Unary::Log
                | Unary::Sqrt
                | Unary::Reciprocal
                | Unary::Tanh
                | Unary::Relu
                | Unary::Erf
        ),
        _ => false,
    }
}

fn function() -> impl Strategy<Value = Unary> {
    prop_oneof![
        (0.5f32..50.0).prop_map(Unary::SoftCap),
        Just(Unary::Square),
        Just(Unary::Sigmoid),
        Just(Unary::ReluSquared),
        Just(Unary::Silu),
        Just(Unary::Gelu),
        Just(Unary::GeluTanh),
        Just(Unary::QuickGelu),
        Just(Unary::Softplus),
    ]
}

fn binary() -> impl Strategy<Value = Binary> {
    prop_oneof![Just(Binary::Add), Just(Binary::Sub), Just(Binary::Mul), Just(Binary::Max), Just(Binary::Min)]
}

fn spec() -> impl Strategy<Value = Attention> {
    let numbers = (1u32..3, 1u32..4, 1u32..6, 1u32..6, 0.1f32..1.0);
    let some = (proptest::option::of(1u32..4), proptest::option::of(1.0f32..30.0), proptest::option::of(0u32..5));
    let slopes = (proptest::option::of(1.0f32..9.0), any::<bool>());
    (numbers, any::<bool>(), some, slopes).prop_map(
        |((kv_heads, group, head_dim, value_dim, scale), causal, (window, soft_cap, reach), (alibi, sinks))| {
            Attention {
                heads: kv_heads * group,
                kv_heads,
                head_dim,
                value_dim,
                scale,
                causal,
                window,
                soft_cap,
                reach,
                alibi,
                sinks,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn functions_of_one_value_are_what_their_parts_are(f in function(), seed: u64, n in 1u32..40, size in 0.1f32..20.0) {
        agrees(&graph_of(&Op::Unary(f), &[&[n]], seed % 1000, size), &is_rich);
    }

    #[test]
    fn norms_and_softmax_are_what_their_parts_are(seed: u64, groups in 1u32..4, group in 1u32..20, size in 0.1f32..20.0) {
        let (seed, n) = (seed % 1000, groups * group);
        let x: &[u32] = &[ROWS, n];
        agrees(&graph_of(&Op::RmsNorm { eps: 1e-2, group }, &[x, &[group]], seed, size), &is_rich);
        agrees(&graph_of(&Op::LayerNorm { eps: 1e-2 }, &[x, &[n]], seed, size), &is_rich);
        agrees(&graph_of(&Op::LayerNorm { eps: 1e-2 }, &[x, &[n], &[n]], seed, size), &is_rich);
        agrees(&graph_of(&Op::Softmax, &[x], seed, size), &is_rich);
    }

    #[test]
    fn linear_maps_are_what_their_parts_are(f in function(), seed: u64, n in 1u32..9, k in 1u32..30) {
        let (seed, x): (u64, &[u32]) = (seed % 1000, &[ROWS, k]);
        agrees(&graph_of(&Op::Linear, &[x, &[n, k]], seed, 1.0), &is_rich);
        agrees(&graph_of(&Op::Linear, &[x, &[n, k], &[n]], seed, 1.0), &is_rich);
        let add = Op::Fused(Fused::LinearAdd);
        agrees(&graph_of(&add, &[&[ROWS, n], x, &[n, k]], seed, 1.0), &is_rich);
        agrees(&graph_of(&add, &[&[ROWS, n], x, &[n, k], &[n]], seed, 1.0), &is_rich);
        let gated = Op::Fused(Fused::GatedLinear(f));
        agrees(&graph_of(&gated, &[x, &[2 * n, k]], seed, 1.0), &is_rich);
        agrees(&graph_of(&gated, &[x, &[2 * n, k], &[2 * n]], seed, 1.0), &is_rich);
    }

    #[test]
    fn attention_of_one_sequence_is_what_its_parts_are(spec in spec(), seed: u64) {
        let widths = [spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim, spec.kv_heads * spec.value_dim];
        let shapes = widths.map(|w| [ROWS, w]);
        let bias = spec.reach.map(|reach| [(2 * reach + 1) * spec.heads]);
        let mut shapes: Vec<&[u32]> = shapes.iter().map(|s| s.as_slice()).collect();
        shapes.extend(bias.iter().map(|b| b.as_slice()));
        let sinks = [spec.heads];
        if spec.sinks {
            shapes.push(&sinks);
        }
        agrees(&graph_of(&Op::Attention(spec), &shapes, seed % 1000, 2.0), &is_rich);
    }

    #[test]
    fn maps_by_all_experts_and_sums_over_them_are_what_their_parts_are(
        seed: u64, experts in 1u32..5, n in 1u32..6, k in 1u32..6, bias: bool,
    ) {
        let (x, weight, biases): (&[u32], &[u32], &[u32]) = (&[ROWS, experts, k], &[experts * n, k], &[experts * n]);
        let inputs = if bias { vec![x, weight, biases] } else { vec![x, weight] };
        let op = Op::ExpertLinear(ExpertLinear { experts, routed: false });
        agrees(&graph_of(&op, &inputs, seed % 1000, 2.0), &is_rich);
        agrees(&graph_of(&Op::ExpertSum, &[&[ROWS, experts, n], &[ROWS, experts]], seed % 1000, 2.0), &is_rich);
    }

    #[test]
    fn a_chain_is_what_its_links_are(
        seed: u64,
        links in proptest::collection::vec(
            prop_oneof![
                function().prop_map(Link::Unary),
                (binary(), 0u8..4).prop_map(|(f, i)| Link::Binary(f, i)),
                (binary(), 0u8..4).prop_map(|(f, i)| Link::Reversed(f, i)),
            ],
            0..5,
        ),
    ) {
        // One link for each input, so that all are read, before those drawn.
        let mut all: Vec<Link> = (1..4).map(|i| Link::Binary(Binary::Add, i)).collect();
        all.extend(links.into_iter().map(|l| if l == Link::Unary(Unary::Square) { Link::Unary(Unary::Tanh) } else { l }));
        let shapes: [&[u32]; 4] = [&[ROWS, 5], &[ROWS, 5], &[5], &[ROWS, 1]];
        agrees(&graph_of(&Op::Fused(Fused::Chain(all)), &shapes, seed % 1000, 0.5), &is_rich);
    }
}

#[test]
fn rotation_and_writing_of_states_are_what_their_parts_are() {
    let rope = Rope { rotation: 0, head_dim: 8, dims: 4, pairing: Pairing::Halves };
    let op = Op::Fused(Fused::RopeWrite { rope, q: 16, k: 8, v: 8, keys: StateId(0), values: StateId(1) });
    let mut graph = Graph {
        states: ["k", "v"].map(|name| State { name: name.into(), width: 8, window: None, carried: false }).to_vec(),
        rotations: vec![Rotation { dims: 4, base: 100.0, scaling: Scaling::None }],
        ..Graph::default()
    };
    let positions = graph.add(Op::Input(Input::Positions), &[], "positions").unwrap().value();
    let x = graph.add(Op::Cast(DType::F32), &[positions], "x").unwrap().value();
    let x = graph.add(Op::Reshape(vec![Dim::Rows, Dim::Fixed(1)]), &[x], "x").unwrap().value();
    let values: Rc<[f32]> = numbers(5, 32, 1.0).into();
    let row = Constant { fact: Fact::new(DType::F32, [Dim::Fixed(32)]), values };
    let row = graph.add_constant(row, "row").unwrap().value();
    let qkv = graph.add(Op::Binary(Binary::Add), &[x, row], "qkv").unwrap().value();
    let node = graph.add(op, &[qkv, positions], "rope_write").unwrap();
    let spec = Attention {
        heads: 2,
        kv_heads: 1,
        head_dim: 8,
        value_dim: 8,
        scale: 0.3,
        causal: true,
        window: None,
        soft_cap: None,
        alibi: None,
        sinks: false,
        reach: None,
    };
    let look = graph.add(Op::Attention(spec), &graph.results(node), "attention").unwrap();
    graph.outputs.push(("y".into(), look.value()));
    // Attention that reads states stays.
    agrees(&graph, &|_, node| matches!(node.op, Op::Fused(_)));
}

#[test]
fn what_is_plain_already_is_left_alone() {
    let mut graph = graph_of(&Op::Unary(Unary::Exp), &[&[4]], 1, 1.0);
    let before = graph.clone();
    assert_eq!(decompose(&mut graph, &Op::Unary(Unary::Exp), &[NodeId(0).value()], "x").unwrap(), None);
    decompose_rejected(&mut graph, &|_, node| !node.op.is_leaf()).unwrap();
    sweep(&mut graph);
    assert_eq!(graph, before);
}
