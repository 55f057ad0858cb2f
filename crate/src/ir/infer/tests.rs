use std::slice;

use super::*;
use crate::{
    ir::{Gating, Pairing, Recur, Rotation, Rule, Scaling, Scan, State, Unary, Weight},
    tensor::Encoding,
};

fn graph() -> Graph {
    Graph {
        states: vec![State { name: "blk.0.k".into(), width: 8, window: None, carried: false }],
        rotations: vec![Rotation { dims: 4, base: 10000.0, scaling: Scaling::None }],
        weights: vec![Weight { name: "w".into(), fact: matrix_of(Encoding::Q8_0, 64, 32), sources: Vec::new() }],
        ..Graph::default()
    }
}

fn matrix_of(encoding: Encoding, rows: u32, row_len: u32) -> Fact {
    Fact::new(DType::Block(encoding), [Dim::Fixed(rows), Dim::Fixed(row_len)])
}

fn fixed(dims: &[u32]) -> Fact {
    Fact::new(DType::F32, dims.iter().copied().map(Dim::Fixed).collect::<Vec<_>>())
}

fn ids(dim: Dim) -> Fact {
    Fact::new(DType::I32, [dim])
}

fn given(op: &Op, inputs: &[Fact]) -> Result<Vec<Fact>> {
    infer(&graph(), op, &inputs.iter().collect::<Vec<_>>())
}

#[track_caller]
fn refused(op: Op, inputs: &[Fact], words: &[&str]) {
    let fault = given(&op, inputs).expect_err("a refusal");
    assert!(words.iter().all(|w| fault.what.contains(w)), "{op:?}: {:?} lacks one of {words:?}", fault.what);
}

const SPEC: Attention = Attention {
    heads: 4,
    kv_heads: 2,
    head_dim: 4,
    value_dim: 4,
    scale: 0.5,
    causal: true,
    window: None,
    soft_cap: None,
    alibi: None,
    sinks: false,
    reach: None,
};

const ROPE: Rope = Rope { rotation: 0, head_dim: 4, dims: 4, pairing: Pairing::Halves };

#[test]
fn a_linear_map_takes_rows_of_the_weights_length_and_a_bias_of_its_rows() {
    let (x, w) = (Fact::rows(Dim::Rows, 32), matrix_of(Encoding::Q8_0, 64, 32));
    assert_eq!(given(&Op::Linear, &[x.clone(), w.clone()]).unwrap(), [Fact::rows(Dim::Rows, 64)]);
    refused(Op::Linear, &[Fact::rows(Dim::Rows, 48), w.clone()], &["rows of 48 values", "Q8_0[64, 32]"]);
    refused(Op::Linear, &[x.clone(), w.clone(), fixed(&[32])], &["vector of 64", "f32[32]"]);
    refused(Op::Linear, &[x], &["2 to 3 inputs expected, 1 given"]);
    refused(Op::Linear, &[ids(Dim::Rows), w], &["floating-point", "i32[rows]"]);
}

#[test]
fn shapes_that_do_not_fit_are_named_whole() {
    let (rows, outputs) = (Fact::rows(Dim::Rows, 8), Fact::rows(Dim::Outputs, 8));
    refused(Op::Binary(Binary::Add), &[rows.clone(), outputs], &["f32[rows, 8]", "f32[outputs, 8]"]);
    refused(Op::Binary(Binary::Add), &[rows.clone(), ids(Dim::Rows)], &["one type", "i32[rows]"]);
    refused(
        Op::MatMul { transposed: false },
        &[fixed(&[2, 3]), fixed(&[2, 3])],
        &["f32[2, 3] cannot be multiplied by"],
    );
    refused(
        Op::Reshape(vec![Dim::Rows, Dim::Fixed(9)]),
        slice::from_ref(&rows),
        &["f32[rows, 8] cannot become f32[rows, 9]"],
    );
    refused(Op::Transpose(vec![0, 0]), slice::from_ref(&rows), &["[0, 0]", "f32[rows, 8]"]);
    refused(Op::Slice { axis: 1, start: u32::MAX, len: 2 }, slice::from_ref(&rows), &["dimension 1 of f32[rows, 8]"]);
    refused(Op::Slice { axis: 0, start: 0, len: 1 }, slice::from_ref(&rows), &["dimension 0 of f32[rows, 8]"]);
    refused(Op::Concat { axis: 1 }, &[rows.clone(), fixed(&[2, 8])], &["f32[rows, 8] and f32[2, 8]", "dimension 1"]);
    refused(Op::Select, &[rows.clone(), rows.clone(), rows], &["a condition", "f32[rows, 8]"]);
}

#[test]
fn norms_ask_for_whole_groups_and_weights_of_their_length() {
    let x = Fact::rows(Dim::Rows, 12);
    let norm = |group| Op::RmsNorm { eps: 0.0, group };
    assert_eq!(given(&norm(4), &[x.clone(), fixed(&[4])]).unwrap(), slice::from_ref(&x));
    refused(norm(8), &[x.clone(), fixed(&[8])], &["multiple of 8", "f32[rows, 12]"]);
    refused(norm(0), &[x.clone(), fixed(&[0])], &["multiple of 0"]);
    refused(norm(4), &[x.clone(), fixed(&[12])], &["vector of 4", "f32[12]"]);
    refused(Op::LayerNorm { eps: 0.0 }, &[x, fixed(&[12]), fixed(&[4])], &["vector of 12", "f32[4]"]);
}

#[test]
fn attention_and_rotation_ask_for_whole_heads() {
    let (q, k) = (Fact::rows(Dim::Rows, 16), Fact::rows(Dim::Rows, 8));
    let op = Op::Attention(SPEC);
    assert_eq!(given(&op, &[q.clone(), k.clone(), k.clone()]).unwrap(), slice::from_ref(&q));
    refused(op.clone(), &[q.clone(), q.clone(), k.clone()], &["rows of 8", "f32[rows, 16]"]);
    refused(op, &[q.clone(), k.clone(), fixed(&[3, 8])], &["as many keys as values", "f32[3, 8]"]);
    let near = Op::Attention(Attention { reach: Some(2), ..SPEC });
    let three = [q.clone(), k.clone(), k.clone()];
    let with = |bias: Fact| [three.to_vec(), vec![bias]].concat();
    assert!(given(&near, &with(fixed(&[20]))).is_ok());
    refused(near.clone(), &three, &["4 inputs expected, 3 given"]);
    refused(near, &with(fixed(&[16])), &["vector of 20", "f32[16]"]);
    refused(Op::Attention(SPEC), &with(fixed(&[20])), &["3 inputs expected, 4 given"]);
    let uneven = Attention { kv_heads: 3, ..SPEC };
    refused(Op::Attention(uneven), &[q.clone(), k.clone(), k.clone()], &["4 query heads", "3 KV heads"]);
    let huge = Attention { heads: 1 << 31, head_dim: 4, kv_heads: 1, ..SPEC };
    refused(Op::Attention(huge), &[q.clone(), k.clone(), k], &["2147483648 heads of 4"]);
    refused(Op::Rope(ROPE), &[Fact::rows(Dim::Rows, 6), ids(Dim::Rows)], &["heads of 4", "f32[rows, 6]"]);
    refused(Op::Rope(ROPE), &[q.clone(), ids(Dim::Outputs)], &["[outputs, heads of 4]"]);
    let wide = Rope { dims: 8, ..ROPE };
    refused(Op::Rope(wide), &[q.clone(), ids(Dim::Rows)], &["8 rotated values in heads of 4"]);
    refused(Op::Rope(Rope { rotation: 7, ..ROPE }), &[q, ids(Dim::Rows)], &["no such rotation"]);
}

#[test]
fn experts_are_chosen_among_those_that_there_are() {
    let plain = Routing {
        used: 2,
        gating: Gating::Softmax,
        groups: 1,
        groups_used: 1,
        two_of_group: true,
        normalise: true,
        scale: 1.0,
    };
    let (scores, x) = (Fact::rows(Dim::Rows, 8), Fact::rows(Dim::Rows, 32));
    let found = given(&Op::Route(plain), slice::from_ref(&scores)).unwrap();
    assert_eq!(found[0], Fact::new(DType::I32, [Dim::Rows, Dim::Fixed(2)]));
    assert_eq!(found[1], Fact::rows(Dim::Rows, 2));
    for spec in [
        Routing { used: 9, ..plain },
        Routing { used: 0, ..plain },
        Routing { groups: 3, ..plain },
        Routing { groups: 4, groups_used: 5, ..plain },
        Routing { groups: 4, groups_used: 1, used: 3, ..plain },
    ] {
        refused(Op::Route(spec), slice::from_ref(&scores), &["of 8 experts", "cannot be chosen"]);
    }
    let weight = matrix_of(Encoding::Q8_0, 24, 32);
    let op = Op::ExpertLinear(ExpertLinear { experts: 8, routed: true });
    let y = Fact::new(DType::F32, [Dim::Rows, Dim::Fixed(2), Dim::Fixed(3)]);
    assert_eq!(given(&op, &[x.clone(), weight.clone(), found[0].clone()]).unwrap(), slice::from_ref(&y));
    assert_eq!(given(&Op::ExpertSum, &[y.clone(), found[1].clone()]).unwrap(), [Fact::rows(Dim::Rows, 3)]);
    refused(Op::ExpertSum, &[y, scores.clone()], &["a weight for each", "f32[rows, 8]"]);
    refused(op.clone(), &[x.clone(), weight.clone(), scores], &["ids of experts", "f32[rows, 8]"]);
    refused(op, &[x.clone(), matrix_of(Encoding::Q8_0, 25, 32), found[0].clone()], &["8 experts", "Q8_0[25, 32]"]);
    let all = Op::ExpertLinear(ExpertLinear { experts: 8, routed: false });
    let each = |n: u32| Fact::new(DType::F32, [Dim::Rows, Dim::Fixed(n), Dim::Fixed(32)]);
    given(&all, &[each(8), weight.clone()]).unwrap();
    refused(all, &[each(7), weight], &["8 rows for each", "f32[rows, 7, 32]"]);
}

#[test]
fn states_take_rows_of_their_width() {
    let op = Op::StateWrite(StateId(0));
    assert_eq!(given(&op, &[Fact::rows(Dim::Rows, 8)]).unwrap(), [Fact::rows(Dim::Context, 8)]);
    refused(op, &[Fact::rows(Dim::Rows, 9)], &["rows of 8", "blk.0.k", "f32[rows, 9]"]);
    refused(Op::StateWrite(StateId(1)), &[Fact::rows(Dim::Rows, 8)], &["no such state"]);
}

#[test]
fn fused_operations_are_checked_as_their_parts_are() {
    let (x, w) = (Fact::rows(Dim::Rows, 32), matrix_of(Encoding::Q8_0, 63, 32));
    let gate = Op::Fused(Fused::GatedLinear(Unary::Silu));
    refused(gate, &[x.clone(), w.clone()], &["even number of rows", "Q8_0[63, 32]"]);
    refused(
        Op::Fused(Fused::LinearAdd),
        &[x.clone(), x.clone(), w],
        &["f32[rows, 63] cannot be added to f32[rows, 32]"],
    );
    let chain = Op::Fused(Fused::Chain(vec![Link::Binary(Binary::Mul, 3)]));
    refused(chain, &[x.clone(), x], &["no input 3"]);
    let all = |q| Fused::RopeWrite { rope: ROPE, q, k: 8, v: 8, keys: StateId(0), values: StateId(0) };
    let qkv = [Fact::rows(Dim::Rows, 32), ids(Dim::Rows)];
    assert_eq!(given(&Op::Fused(all(16)), &qkv).unwrap().len(), 3);
    refused(Op::Fused(all(u32::MAX)), &qkv, &["4294967295 + 8 + 8", "f32[rows, 32]"]);
}

#[test]
fn an_encoded_weight_is_no_number_to_compute_with() {
    let weight = given(&Op::Weight(crate::ir::WeightId(0)), &[]).unwrap().remove(0);
    refused(Op::Unary(Unary::Exp), slice::from_ref(&weight), &["floating-point", "Q8_0[64, 32]"]);
    refused(Op::Binary(Binary::Add), &[weight.clone(), weight], &["numbers expected", "Q8_0[64, 32]"]);
    refused(Op::Weight(crate::ir::WeightId(3)), &[], &["no such weight"]);
}

#[test]
fn a_recurrence_carries_a_state_of_its_own_and_takes_rows_of_its_widths() {
    let mut graph = graph();
    let rule = Rule::Conv { channels: 6, taps: 4 };
    for (name, width, carried) in [("s", 18, true), ("short", 17, true), ("k", 18, false)] {
        graph.states.push(State { name: name.into(), width, window: None, carried });
    }
    let of = |state: u32, rule: Rule, inputs: &[Fact]| {
        let op = Op::Recur(Recur { rule, state: StateId(state) });
        infer(&graph, &op, &inputs.iter().collect::<Vec<_>>())
    };
    let x = Fact::rows(Dim::Rows, 6);
    let inputs = [x.clone(), fixed(&[24]), fixed(&[6])];
    assert_eq!(of(1, rule, &inputs).unwrap(), [x.clone(), fixed(&[18])]);
    let why = |state, rule, inputs: &[Fact]| of(state, rule, inputs).unwrap_err().what;
    for (what, words) in [
        (why(2, rule, &inputs), "one row of 18 values a sequence expected, short of 17"),
        (why(3, rule, &inputs), "k of 18 found"),
        (why(9, rule, &inputs), "no such state"),
        (why(1, rule, &inputs[..1]), "2 to 3 inputs"),
        (why(1, rule, &[x.clone(), fixed(&[23])]), "vector of 24"),
        (why(1, Rule::Conv { channels: u32::MAX, taps: 4 }, &inputs), "more values than 32 bits count"),
        (why(1, rule, &[Fact::rows(Dim::Rows, 5), fixed(&[24])]), "rows of 6 values"),
    ] {
        assert!(what.contains(words), "{what:?} lacks {words:?}");
    }
    let scan = Scan { heads: 3, head_dim: 1, size: 6, groups: 2, full: false, log: false };
    let rows = [Fact::rows(Dim::Rows, 3), x.clone(), x.clone(), x, fixed(&[6])];
    assert!(why(1, Rule::Scan(scan), &rows).contains("3 heads cannot share 2 groups evenly"));
    // A state by position is not carried, and the other way about.
    let write = infer(&graph, &Op::StateWrite(StateId(1)), &[&Fact::rows(Dim::Rows, 18)]).unwrap_err().what;
    assert!(write.contains("one row a sequence"), "{write}");
}
