//! Small models of several families: what passes make of them, and that results stay.

mod cases;
mod models;
mod random;

use super::*;
use crate::ir::{
    decompose::decompose_rejected,
    eval::Step,
    graph::Node,
    op::{Fused, Op, Unary},
};
use models::Model;

/// Of the largest value: sums are rounded to f32 after each operation, in other places with passes than without.
const TOLERANCE: f32 = 1e-5;

/// Names of the nodes that do work, in order, from the printed graph.
fn work(graph: &Graph) -> Vec<String> {
    let text = graph.to_string();
    let line = |line: &str| Some(line.split_once(" = ")?.1.split_once('(')?.0.to_owned());
    let lines = text.lines().filter(|l| l.starts_with('%')).filter_map(line);
    lines.filter(|name| !["Tokens", "Positions", "Outputs", "Slice", "Reshape"].contains(&name.as_str())).collect()
}

fn with_passes(model: &Model, disabled: &[&str]) -> Graph {
    let mut graph = model.graph.clone();
    run(&mut graph, disabled).unwrap();
    graph
}

#[track_caller]
fn agree(want: &[f32], got: &[f32], what: &str) {
    assert_eq!(want.len(), got.len());
    let size = want.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    for (want, got) in want.iter().zip(got) {
        assert!((want - got).abs() <= TOLERANCE * size, "{what}: {got} with passes, {want} without");
    }
}

#[test]
fn a_layer_of_llama_is_eight_operations() {
    let graph = with_passes(&models::llama(), &[]);
    let layer =
        ["RmsNorm", "Linear", "RopeWrite", "Attention", "LinearAdd", "RmsNorm", "GatedLinear Silu", "LinearAdd"];
    let want: Vec<&str> =
        ["Embed"].into_iter().chain(layer).chain(layer).chain(["Gather", "RmsNorm", "Linear"]).collect();
    assert_eq!(work(&graph), want, "{graph}");
}

#[test]
fn a_layer_of_llama_prints_as_a_paper_would_say_it() {
    let graph = with_passes(&models::llama(), &[]);
    let text = graph.to_string();
    for line in [
        "%4 blk.0.attn_norm = RmsNorm(%2, blk.0.attn_norm.weight; eps 1e-5, group 8) -> f32[rows, 8]",
        "%6 blk.0.q+k+v = Linear(%4, blk.0.attn_q.weight+attn_k.weight+attn_v.weight) -> f32[rows, 16]",
        "%7 positions = Positions() -> i32[rows]",
        "8 + 4 + 4 values, to blk.0.k and blk.0.v, heads of 4, paired halves, rotation 0)",
        "2 heads of 4, 1 of keys and values, scale 0.5, causal) -> f32[rows, 8]",
        "  blk.0.k: rows of 4\n",
        "  4 values, base 10000\n",
        "  blk.0.ffn_gate.weight+ffn_up.weight: F32[24, 8], 2 sources\n",
        "  logits = %",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn families_give_the_same_with_all_passes_with_none_and_without_each() {
    for (name, model) in models::all() {
        let want = model.results(&model.graph);
        agree(&want, &model.results(&with_passes(&model, &["all"])), name);
        agree(&want, &model.results(&with_passes(&model, &[])), name);
        agree(&want, &model.results(&with_passes(&model, &["fuse"])), name);
        for pass in PASSES {
            let graph = with_passes(&model, &[pass.name]);
            agree(&want, &model.results(&graph), &format!("{name} without {}\n{graph}", pass.name));
        }
    }
}

#[test]
fn what_is_taken_apart_is_recognised_and_fused_again() {
    fn is_rich(_: &Graph, node: &Node) -> bool {
        matches!(
            node.op,
            Op::Linear
                | Op::RmsNorm { .. }
                | Op::LayerNorm { .. }
                | Op::Unary(Unary::Silu | Unary::Gelu | Unary::GeluTanh)
        )
    }
    for (name, model) in models::all() {
        let mut parts = model.graph.clone();
        decompose_rejected(&mut parts, &is_rich).unwrap();
        agree(&model.results(&model.graph), &model.results(&parts), name);
        assert!(!parts.nodes.iter().any(|n| is_rich(&parts, n)), "{name}");
        run(&mut parts, &["stack", "gated_linear", "rope_write", "linear_add", "chain"]).unwrap();
        let whole = with_passes(&model, &["fuse"]);
        assert_eq!(work(&parts), work(&whole), "{name}\n{parts}");
    }
}

#[test]
fn joined_weights_take_the_place_of_their_parts() {
    let model = models::llama();
    let graph = with_passes(&model, &[]);
    let names: Vec<&str> = graph.weights.iter().map(|w| &*w.name).collect();
    assert!(!names.iter().any(|n| n.ends_with("attn_k.weight") && !n.contains('+')), "{names:?}");
    let rows = |g: &Graph| g.weights.iter().flat_map(|w| &w.sources).map(|s| s.count()).sum::<u32>();
    assert_eq!(rows(&graph), rows(&model.graph));
}

#[test]
fn rows_of_one_tensor_in_order_are_one_source_again() {
    let graph = with_passes(&models::phi3(), &[]);
    let qkv = graph.weights.iter().find(|w| w.name.contains("attn_q")).unwrap();
    assert_eq!(qkv.sources.len(), 1, "{qkv:?}");
    assert!(graph.nodes.iter().any(|n| matches!(n.op, Op::Fused(Fused::GatedLinear(_)))), "{graph}");
}

#[test]
fn a_sequence_gives_alone_what_it_gives_beside_others() {
    let model = models::gemma();
    let together = [
        Step {
            tokens: &[1, 5, 2, 9],
            positions: &[0, 1, 0, 2],
            sequences: &[0, 0, 3, 0],
            outputs: &[3],
            ..Step::default()
        },
        Step { tokens: &[7, 4], positions: &[1, 3], sequences: &[3, 0], outputs: &[1], ..Step::default() },
    ];
    let alone = [
        Step { tokens: &[1, 5, 9], positions: &[0, 1, 2], sequences: &[6; 3], outputs: &[2], ..Step::default() },
        Step { tokens: &[4], positions: &[3], sequences: &[6], outputs: &[0], ..Step::default() },
    ];
    let whole = [Step {
        tokens: &[1, 5, 9, 4],
        positions: &[0, 1, 2, 3],
        sequences: &[2; 4],
        outputs: &[2, 3],
        ..Step::default()
    }];
    let want = model.results_of(&model.graph, &together);
    for steps in [&alone[..], &whole] {
        assert_eq!(want, model.results_of(&model.graph, steps));
    }
}

#[test]
fn a_tied_weight_is_not_stacked() {
    // The embedding is the output matrix too: it stays one weight with one reader each.
    let graph = with_passes(&models::gemma(), &[]);
    let embedding = graph.weights.iter().filter(|w| w.name.contains("token_embd")).count();
    assert_eq!(embedding, 1, "{graph}");
}

#[test]
fn an_unknown_pass_is_refused_with_the_known_ones() {
    let mut graph = models::llama().graph;
    let fault = run(&mut graph, &["chain", "inline"]).unwrap_err();
    assert!(["\"inline\"", "gated_linear", "fuse", "all"].iter().all(|w| fault.what.contains(w)), "{fault}");
}

#[test]
fn exporters_spellings_are_recognised() {
    let graph = models::exported();
    let mut plain = graph.graph.clone();
    run(&mut plain, &["fuse"]).unwrap();
    assert_eq!(work(&plain)[1..], ["LayerNorm", "Linear", "Gelu", "Linear", "GeluTanh", "RmsNorm", "Silu"], "{plain}");
    agree(&graph.results(&graph.graph), &graph.results(&plain), "exported");
}
