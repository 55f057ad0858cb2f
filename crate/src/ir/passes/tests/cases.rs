//! What each pass does and what it leaves alone, on the smallest graphs that show it.

use super::{agree, models::Model, run, work};
use crate::{
    ir::{
        Binary, Builder, CHAIN_INPUTS, CHAIN_LINKS, Constant, DType, Dim, Fact, Fused, Graph, Input, Op, Reduction,
        Tensor, Unary, Weight, decompose::decompose_rejected,
    },
    tensor::Encoding,
};

/// A graph over rows of an embedding of four values, three matrices and a vector, after all passes.
fn after(write: impl for<'g> FnOnce(&'g Builder, Tensor<'g>, &[Tensor<'g>]) -> Tensor<'g>) -> (Model, Graph) {
    let model = Model::of(4, |g, weights| {
        let x = g.op("embed", Op::Embed, &[weights[0], g.input(Input::Tokens)]);
        let y = write(g, x, &weights[1..]);
        g.output("y", y);
    });
    let mut graph = model.graph.clone();
    run(&mut graph, &[]).unwrap();
    agree(&model.results(&model.graph), &model.results(&graph), "a case");
    (model, graph)
}

#[track_caller]
fn becomes(
    want: &[&str],
    write: impl for<'g> FnOnce(&'g Builder, Tensor<'g>, &[Tensor<'g>]) -> Tensor<'g>,
) -> (Model, Graph) {
    let (model, graph) = after(write);
    assert_eq!(work(&graph)[1..], *want, "{}\n{graph}", model.graph);
    (model, graph)
}

fn number(g: &Builder, n: f32) -> Tensor<'_> {
    g.constant(Constant { fact: Fact::new(DType::F32, []), values: [n].into() })
}

#[test]
fn constants_are_computed_and_only_the_result_is_kept() {
    let (_, graph) = becomes(&["Add"], |g, x, _| {
        let fact = Fact::new(DType::F32, [Dim::Fixed(4), Dim::Fixed(1)]);
        let column = g.constant(Constant { fact, values: [1.0, 2.0, 3.0, 4.0].into() });
        let row = column.op("row", Op::Reshape(vec![Dim::Fixed(4)]), &[]).map(Unary::Square);
        x + row.with(Binary::Sub, number(g, 0.5) + number(g, 0.5))
    });
    let [constant] = graph.constants.as_slice() else { panic!("{graph}") };
    assert_eq!(*constant.values, [0.0, 3.0, 8.0, 15.0]);
}

#[test]
fn a_constant_that_would_be_too_large_or_not_exact_is_left_to_the_device() {
    let (_, graph) = after(|g, x, _| {
        let fact = Fact::new(DType::F32, [Dim::Fixed(2048), Dim::Fixed(1)]);
        let column = g.constant(Constant { fact, values: vec![0.5; 2048].into() });
        let square = g.op("square", Op::MatMul { transposed: true }, &[column, column]);
        x + square.op("corner", Op::Slice { axis: 0, start: 0, len: 1 }, &[]).columns(0, 4)
    });
    assert!(graph.constants.iter().all(|c| c.values.len() == 2048), "{graph}");
    let (_, graph) = after(|g, x, _| {
        let fact = Fact::new(DType::I32, [Dim::Fixed(1)]);
        let large = g.constant(Constant { fact, values: [16_777_216.0].into() });
        let larger = large.with(Binary::Add, large);
        x.with(Binary::Mul, larger.op("cast", Op::Cast(DType::F32), &[]).map(Unary::Reciprocal))
    });
    assert!(graph.constants.iter().all(|c| c.values[0].abs() <= 16_777_216.0), "{graph}");
}

#[test]
fn what_changes_nothing_goes() {
    becomes(&["Tanh"], |g, x, _| {
        let x = x.map(Unary::Scale(1.0)).with(Binary::Add, number(g, 0.0)).map(Unary::Neg).map(Unary::Neg);
        let x = x.op("turned", Op::Transpose(vec![1, 0]), &[]).op("back", Op::Transpose(vec![1, 0]), &[]);
        let x = x.columns(0, 4).op("same", Op::Reshape(vec![Dim::Rows, Dim::Fixed(4)]), &[]);
        x.op("cast", Op::Cast(DType::F32), &[]).map(Unary::Tanh)
    });
}

#[test]
fn a_sum_takes_in_the_map_that_it_alone_reads_in_either_order() {
    becomes(&["LinearAdd"], |_, x, w| x + x.linear("y", w[0], None));
    becomes(&["LinearAdd"], |_, x, w| x.linear("y", w[0], Some(w[3])) + x);
    becomes(&["Linear", "LinearAdd"], |_, x, w| x.linear("y", w[0], None) + x.linear("z", w[1], None));
    becomes(&["Linear", "Chain"], |_, x, w| {
        let y = x.linear("y", w[0], None);
        (y + x) * y
    });
    // The sum's rows are not the map's.
    becomes(&["Reduce Sum", "Linear", "Add"], |_, x, w| {
        let sum = x.op("sum", Op::Reduce(Reduction::Sum), &[]);
        sum + x.linear("y", w[0], None)
    });
}

#[test]
fn a_chain_has_the_links_and_inputs_that_a_kernel_takes() {
    let links = |graph: &Graph| -> Vec<(usize, usize)> {
        let of = |n: &crate::ir::Node| match &n.op {
            Op::Fused(Fused::Chain(links)) => Some((links.len(), n.inputs.len())),
            _ => None,
        };
        graph.nodes.iter().filter_map(of).collect()
    };
    let (_, graph) = after(|_, x, _| (0..10).fold(x, |x, i| x.map([Unary::Tanh, Unary::Abs][i % 2])));
    assert_eq!(links(&graph), [(CHAIN_LINKS, 1), (2, 1)], "{graph}");
    let (_, graph) = after(|_, x, w| {
        let others = [w[0], w[1], w[2], w[0]].map(|w| x.linear("other", w, None).map(Unary::Exp).columns(0, 4));
        let kept = others.map(|y| y.op("mean", Op::Reduce(Reduction::Mean), &[]));
        kept.into_iter().fold(x.map(Unary::Tanh), |x, y| x.with(Binary::Sub, y)) * w[3]
    });
    assert!(links(&graph).iter().all(|(_, inputs)| *inputs <= CHAIN_INPUTS), "{graph}");
    assert_eq!(links(&graph).iter().map(|(links, _)| links).max(), Some(&4), "{graph}");
    // The value that the links change may come again, on either side.
    becomes(&["Chain"], |_, x, _| x.with(Binary::Sub, x.map(Unary::Exp)).map(Unary::Abs));
    // A result of the graph is no inner value of a chain.
    becomes(&["Tanh", "Exp"], |g, x, _| {
        let y = x.map(Unary::Tanh);
        g.output("inner", y);
        y.map(Unary::Exp)
    });
}

#[test]
fn a_gate_is_found_in_either_order_and_left_alone_where_it_is_read_twice() {
    becomes(&["GatedLinear Silu"], |_, x, w| {
        x.linear("up", w[0], None) * x.linear("gate", w[1], None).map(Unary::Silu)
    });
    becomes(&["Linear", "Silu", "Chain"], |_, x, w| {
        let gate = x.linear("gate", w[1], None).map(Unary::Silu);
        gate * x.linear("up", w[0], None) + gate
    });
    // The second half is the gate: the fused operation has the first.
    becomes(&["Linear", "Chain"], |g, x, _| {
        let fact = Fact::new(DType::Block(Encoding::F32), [Dim::Fixed(8), Dim::Fixed(4)]);
        let sources = vec![crate::ir::Source::rows(0, 1, 8)];
        let both = x.linear("both", g.weight(Weight { name: "both".into(), fact, sources }), None);
        both.columns(0, 4) * both.columns(4, 4).map(Unary::Silu)
    });
}

#[test]
fn maps_are_stacked_only_where_their_weights_are_alike_and_their_own() {
    // The same matrix twice: read by both.
    becomes(&["Linear", "Linear", "Chain"], |_, x, w| {
        x.linear("gate", w[0], None).map(Unary::Silu) * x.linear("up", w[0], None)
    });
    // One with a bias, one without.
    becomes(&["Linear", "Linear", "Chain"], |_, x, w| {
        x.linear("gate", w[0], None).map(Unary::Silu) * x.linear("up", w[1], Some(w[3]))
    });
    // Another input.
    becomes(&["Linear", "Tanh", "Linear", "Chain"], |_, x, w| {
        x.linear("gate", w[0], None).map(Unary::Silu) * x.map(Unary::Tanh).linear("up", w[1], None)
    });
}

#[test]
fn what_nothing_reads_is_dropped_from_the_tables_too() {
    let (model, graph) = after(|_, x, w| {
        let _ = x.linear("unread", w[1], None);
        x.linear("y", w[0], None)
    });
    assert_eq!((model.graph.weights.len(), graph.weights.len()), (5, 2), "{graph}");
}

#[test]
fn every_operation_with_parts_is_recognised_in_them() {
    let functions = [
        Unary::SoftCap(30.0),
        Unary::Rsqrt,
        Unary::Square,
        Unary::Sigmoid,
        Unary::ReluSquared,
        Unary::Silu,
        Unary::QuickGelu,
        Unary::Gelu,
        Unary::GeluTanh,
        Unary::Softplus,
    ];
    let mut ops: Vec<(Op, Vec<u32>)> = functions.into_iter().map(|f| (Op::Unary(f), Vec::new())).collect();
    ops.push((Op::Softmax, Vec::new()));
    ops.extend([2, 4].map(|group| (Op::RmsNorm { eps: 1e-6, group }, vec![group])));
    ops.extend([vec![4], vec![4, 4]].map(|vectors| (Op::LayerNorm { eps: 1e-12 }, vectors)));
    for (op, vectors) in ops {
        let model = Model::of(4, |g, weights| {
            let x = g.op("embed", Op::Embed, &[weights[0], g.input(Input::Tokens)]).map(Unary::Abs);
            let vector = |n: &u32| {
                let fact = Fact::new(DType::F32, [Dim::Fixed(*n)]);
                g.constant(Constant { fact, values: vec![0.75; *n as usize].into() })
            };
            g.output("y", x.op("y", op.clone(), &vectors.iter().map(vector).collect::<Vec<_>>()));
        });
        let mut graph = model.graph.clone();
        // All that has parts, down to the plainest.
        decompose_rejected(&mut graph, &|_, node| !node.op.is_leaf()).unwrap();
        assert!(!graph.nodes.iter().any(|n| n.op == op), "{op:?} has no parts: {graph}");
        agree(&model.results(&model.graph), &model.results(&graph), "parts");
        run(&mut graph, &["fuse"]).unwrap();
        assert!(graph.nodes.iter().any(|n| n.op == op), "{op:?} is not in\n{graph}");
        assert_eq!(work(&graph).len(), 3, "{graph}");
    }
}
