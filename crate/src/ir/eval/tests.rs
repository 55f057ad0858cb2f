use super::*;
use crate::{
    ir::{Attention, ExpertLinear, Gating, Pairing, Rope, Routing, Unary},
    tensor::Encoding,
};

#[test]
fn erf_has_the_published_values() {
    // Abramowitz and Stegun, table 7.1, and NIST DLMF 7.
    let known = [
        (0.1, 0.1124629160182849),
        (0.5, 0.5204998778130465),
        (1.0, 0.8427007929497149),
        (2.0, 0.9953222650189527),
        (3.0, 0.9999779095030014),
        (4.0, 0.9999999845827421),
        (5.5, 0.9999999999999927),
    ];
    for (x, want) in known {
        assert!((erf(x) - want).abs() < 4e-16, "erf({x}) = {}, {want} expected", erf(x));
        assert_eq!(erf(-x), -erf(x));
    }
    assert_eq!([erf(0.0), erf(7.0), erf(-1e300)], [0.0, 1.0, -1.0]);
}

#[test]
fn no_function_of_one_value_overflows_where_its_limit_is_known() {
    for (f, low, high) in [
        (Unary::Silu, 0.0, 1000.0),
        (Unary::Gelu, 0.0, 1000.0),
        (Unary::GeluTanh, 0.0, 1000.0),
        (Unary::QuickGelu, 0.0, 1000.0),
        (Unary::Softplus, 0.0, 1000.0),
        (Unary::Sigmoid, 0.0, 1.0),
        (Unary::SoftCap(30.0), -30.0, 30.0),
    ] {
        assert!((unary(f, -1000.0) - low).abs() < 1e-9, "{f:?}");
        assert!((unary(f, 1000.0) - high).abs() < 1e-9, "{f:?}");
    }
}

fn floats(shape: &[usize], values: &[f32]) -> Array {
    Array::floats(shape, values.to_vec()).unwrap()
}

fn run(op: &Op, inputs: &[&Array], context: &Context<'_>) -> Array {
    let inputs: Vec<Operand<'_>> = inputs.iter().map(|a| Operand::from(*a)).collect();
    apply(op, &inputs, context).unwrap().remove(0)
}

#[test]
fn a_quantised_weight_gives_what_its_values_give() {
    let values: Vec<f32> = (0..64).map(|i| (i as f32 - 20.0) / 7.0).collect();
    let mut bytes = vec![0; 68];
    let spec = Encoding::Q8_0.spec().unwrap();
    spec.encode.unwrap()(&values, &mut bytes);
    let mut decoded = vec![0.0; 64];
    spec.decode.unwrap()(&bytes, &mut decoded);
    let x = floats(&[1, 32], &values[..32]);
    let blocks = Blocks::new(Encoding::Q8_0, 32, &bytes).unwrap();
    let context = Context::default();
    let packed = apply(&Op::Linear, &[(&x).into(), Operand::Rows(&blocks)], &context).unwrap();
    assert_eq!(packed, [run(&Op::Linear, &[&x, &floats(&[2, 32], &decoded)], &context)]);
    let cast = apply(&Op::Cast(DType::F32), &[Operand::Rows(&blocks)], &context).unwrap();
    assert_eq!(cast, [floats(&[2, 32], &decoded)]);
    assert!(Blocks::new(Encoding::Q8_0, 32, &bytes[1..]).is_err());
}

const SPEC: Attention = Attention {
    heads: 1,
    kv_heads: 1,
    head_dim: 1,
    value_dim: 1,
    scale: 1.0,
    causal: true,
    window: None,
    soft_cap: None,
    alibi: None,
    sinks: false,
    reach: None,
};

#[test]
fn rows_see_their_own_sequence_within_window_and_causality() {
    // With queries of zero every row gets the mean of the values that it sees.
    let (q, v) = (floats(&[6, 1], &[0.0; 6]), floats(&[6, 1], &[1.0, 2.0, 4.0, 8.0, 100.0, 200.0]));
    let step = Step { positions: &[0, 1, 2, 3, 0, 1], sequences: &[0, 0, 0, 0, 7, 7], ..Step::default() };
    let context = Context { step, angles: &[] };
    let seen = |causal, window| {
        let spec = Attention { causal, window, ..SPEC };
        let out = run(&Op::Attention(spec), &[&q, &q, &v], &context);
        out.view().floats().unwrap().to_vec()
    };
    assert_eq!(seen(true, None), [1.0, 1.5, 7.0 / 3.0, 3.75, 100.0, 150.0]);
    assert_eq!(seen(true, Some(2)), [1.0, 1.5, 3.0, 6.0, 100.0, 150.0]);
    assert_eq!(seen(false, None), [3.75, 3.75, 3.75, 3.75, 150.0, 150.0]);
    assert_eq!(seen(false, Some(2)), [1.5, 7.0 / 3.0, 14.0 / 3.0, 6.0, 150.0, 150.0]);
}

#[test]
fn a_bias_counts_by_distance_and_stays_beyond_its_reach() {
    // Queries of zero: each weight is e to the bias. Distances -1, 0 and 1 for one head each of two.
    let spec = Attention { heads: 2, causal: false, reach: Some(1), ..SPEC };
    let step = Step { positions: &[0, 1, 2], sequences: &[0, 0, 0], ..Step::default() };
    let context = Context { step, angles: &[] };
    let (q, k) = (floats(&[3, 2], &[0.0; 6]), floats(&[3, 1], &[0.0; 3]));
    let v = floats(&[3, 1], &[1.0, 10.0, 100.0]);
    let ln = f32::ln;
    let bias = floats(&[6], &[ln(1.0), ln(4.0), ln(2.0), ln(5.0), ln(3.0), ln(6.0)]);
    let out = run(&Op::Attention(spec), &[&q, &k, &v, &bias], &context);
    let mean = |w: [f32; 3]| (w[0] + 10.0 * w[1] + 100.0 * w[2]) / w.iter().sum::<f32>();
    let want = [[2.0, 3.0, 3.0], [5.0, 6.0, 6.0], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [1.0, 1.0, 2.0], [4.0, 4.0, 5.0]];
    for (got, want) in out.view().floats().unwrap().iter().zip(want.map(mean)) {
        assert!((got - want).abs() < 1e-4, "{got} {want}");
    }
}

#[test]
fn query_heads_share_key_heads_in_order() {
    let spec = Attention { heads: 4, kv_heads: 2, ..SPEC };
    let step = Step { positions: &[0], sequences: &[0], ..Step::default() };
    let context = Context { step, angles: &[] };
    let (q, k, v) = (floats(&[1, 4], &[1.0; 4]), floats(&[1, 2], &[1.0; 2]), floats(&[1, 2], &[5.0, 6.0]));
    assert_eq!(run(&Op::Attention(spec), &[&q, &k, &v], &context), floats(&[1, 4], &[5.0, 5.0, 6.0, 6.0]));
}

#[test]
fn rotation_turns_pairs_by_the_position() {
    let angles = [Angles { frequencies: vec![std::f64::consts::FRAC_PI_2, 0.0], magnitude: 2.0 }];
    let context = Context { angles: &angles, ..Context::default() };
    let x = floats(&[1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]);
    let turned = |pairing| {
        let rope = Rope { rotation: 0, head_dim: 5, dims: 4, pairing };
        let out = run(&Op::Rope(rope), &[&x, &Array::ints(vec![1])], &context);
        out.view().floats().unwrap().iter().map(|x| (x * 1e4).round() / 1e4).collect::<Vec<_>>()
    };
    assert_eq!(turned(Pairing::Interleaved), [-4.0, 2.0, 6.0, 8.0, 5.0]);
    assert_eq!(turned(Pairing::Halves), [-6.0, 4.0, 2.0, 8.0, 5.0]);
}

#[test]
fn norms_and_softmax_have_hand_computed_values() {
    let context = Context::default();
    let x = floats(&[1, 4], &[1.0, -1.0, 7.0, -1.0]);
    let one = floats(&[2], &[1.0, 2.0]);
    let out = run(&Op::RmsNorm { eps: 0.0, group: 2 }, &[&x, &one], &context);
    assert_eq!(out, floats(&[1, 4], &[1.0, -2.0, 1.4, -0.4]));
    let x = floats(&[1, 2], &[3.0, 5.0]);
    let out = run(&Op::LayerNorm { eps: 0.0 }, &[&x, &one, &floats(&[2], &[0.5, 0.5])], &context);
    assert_eq!(out, floats(&[1, 2], &[-0.5, 2.5]));
    let out = run(&Op::Softmax, &[&floats(&[2], &[1000.0, 1000.0])], &context);
    assert_eq!(out, floats(&[2], &[0.5, 0.5]));
}

#[test]
fn moved_values_are_where_the_indices_say() {
    let context = Context::default();
    let x = floats(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let turned = run(&Op::Transpose(vec![1, 0]), &[&x], &context);
    assert_eq!(turned, floats(&[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    let cut = run(&Op::Slice { axis: 1, start: 1, len: 2 }, &[&x], &context);
    assert_eq!(cut, floats(&[2, 2], &[2.0, 3.0, 5.0, 6.0]));
    let joined = run(&Op::Concat { axis: 1 }, &[&cut, &x], &context);
    assert_eq!(joined, floats(&[2, 5], &[2.0, 3.0, 1.0, 2.0, 3.0, 5.0, 6.0, 4.0, 5.0, 6.0]));
    let product = run(&Op::MatMul { transposed: true }, &[&x, &x], &context);
    assert_eq!(product, run(&Op::MatMul { transposed: false }, &[&x, &turned], &context));
    assert_eq!(product, floats(&[2, 2], &[14.0, 32.0, 32.0, 77.0]));
}

#[test]
fn the_first_of_equal_logits_is_chosen_and_none_is_no_number() {
    let context = Context::default();
    let logits = floats(&[3, 3], &[1.0, 3.0, 3.0, f32::NAN, -1.0, -2.0, 0.0, f32::NAN, 1.0]);
    assert_eq!(run(&Op::Sample { alternatives: 0 }, &[&logits], &context), Array::ints(vec![1, 1, 2]));
}

#[test]
fn a_choice_tells_the_likeliest_tokens_with_their_probabilities() {
    let logits = floats(&[1, 3], &[0.5f32.ln(), 0.125f32.ln(), 0.375f32.ln()]);
    let told = apply(&Op::Sample { alternatives: 2 }, &[(&logits).into()], &Context::default()).unwrap();
    let Data::F32(probabilities) = &told[2].data else { panic!("{told:?}") };
    assert_eq!((&told[0], &told[1].data), (&Array::ints(vec![0]), &Data::I32(vec![0, 2])));
    for (found, expected) in probabilities.iter().zip([0.5, 0.5, 0.375]) {
        assert!((found - expected).abs() < 1e-6, "{probabilities:?}");
    }
}

#[test]
fn a_token_outside_the_table_is_a_fault_with_both_numbers() {
    let table = floats(&[2, 1], &[1.0, 2.0]);
    for id in [2, -1] {
        let ids = Array::ints(vec![id]);
        let fault = apply(&Op::Embed, &[(&table).into(), (&ids).into()], &Context::default()).unwrap_err();
        assert!(fault.what.contains(&id.to_string()) && fault.what.contains("below 2"), "{fault}");
    }
}

#[test]
fn slopes_halve_from_head_to_head_and_fill_the_gaps_beyond_a_power_of_two() {
    let slopes = |heads: u32| {
        let spec = Attention { heads, alibi: Some(8.0), ..SPEC };
        (0..heads).map(|h| spec.slope(h)).collect::<Vec<_>>()
    };
    // The paper's: 2^(-8 / n), for 8 heads 1/2, 1/4, ..; of 3 heads two as of 2, one between (Press et al. 2022, section 3).
    assert_eq!(slopes(8), (1..=8).map(|i| 0.5f64.powi(i)).collect::<Vec<_>>());
    assert_eq!(slopes(3), [0.0625, 0.00390625, 0.25]);
    // With queries of zero, weights are the softmax of what distance takes.
    let spec = Attention { alibi: Some(8.0), ..SPEC };
    let step = Step { positions: &[0, 1], sequences: &[0, 0], ..Step::default() };
    let (q, v) = (floats(&[2, 1], &[0.0; 2]), floats(&[2, 1], &[1.0, 3.0]));
    let out = run(&Op::Attention(spec), &[&q, &q, &v], &Context { step, angles: &[] });
    let far = (-(0.5f64.powi(8))).exp();
    let want = (far + 3.0) / (far + 1.0);
    assert!((f64::from(out.view().floats().unwrap()[1]) - want).abs() < 1e-6);
}

#[test]
fn a_sink_takes_its_part_of_the_softmax_and_gives_nothing() {
    let spec = Attention { sinks: true, ..SPEC };
    let step = Step { positions: &[0, 1], sequences: &[0, 0], ..Step::default() };
    let (q, v) = (floats(&[2, 1], &[0.0; 2]), floats(&[2, 1], &[3.0, 6.0]));
    let out = run(&Op::Attention(spec), &[&q, &q, &v, &floats(&[1], &[0.0])], &Context { step, angles: &[] });
    assert_eq!(out.view().floats().unwrap(), [1.5, 3.0]);
}

#[test]
fn experts_are_chosen_by_group_and_bias_and_weighed_without_it() {
    let plain = Routing {
        used: 2,
        gating: Gating::Softmax,
        groups: 1,
        groups_used: 1,
        two_of_group: false,
        normalise: false,
        scale: 1.0,
    };
    let route = |spec: Routing, scores: &[f32], bias: Option<&[f32]>| {
        let scores = floats(&[1, scores.len()], scores);
        let bias = bias.map(|b| floats(&[b.len()], b));
        let inputs: Vec<Operand<'_>> = std::iter::once((&scores).into()).chain(bias.as_ref().map(Into::into)).collect();
        let results = apply(&Op::Route(spec), &inputs, &Context::default()).unwrap();
        let weights = results[1].view().floats().unwrap().iter().map(|w| (w * 1e4).round() / 1e4).collect::<Vec<_>>();
        (results[0].view().ints().unwrap().to_vec(), weights)
    };
    let ln = |values: [f32; 4]| values.map(f32::ln);
    let scores = ln([0.1, 0.4, 0.3, 0.2]);
    assert_eq!(route(plain, &scores, None), (vec![1, 2], vec![0.4, 0.3]));
    assert_eq!(route(Routing { normalise: true, scale: 7.0, ..plain }, &scores, None), (vec![1, 2], vec![4.0, 3.0]));
    let chosen = Routing { gating: Gating::SoftmaxOfChosen, ..plain };
    assert_eq!(route(chosen, &scores, None), (vec![1, 2], vec![0.5714, 0.4286]));
    // Two groups: the best expert is in the first, the two best together are the second's.
    let scores = ln([0.45, 0.01, 0.3, 0.24]);
    let grouped = Routing { groups: 2, ..plain };
    assert_eq!(route(grouped, &scores, None).0, [0, 1]);
    assert_eq!(route(Routing { two_of_group: true, ..grouped }, &scores, None).0, [2, 3]);
    // Sigmoid, and a bias that changes the choice alone; of equal ones the lower index comes first.
    let sigmoid = Routing { gating: Gating::Sigmoid, ..plain };
    assert_eq!(route(sigmoid, &[0.0, 0.0, 9.0, 0.0], Some(&[0.0, 1.0, -2.0, 0.0])), (vec![1, 0], vec![0.5, 0.5]));
}

#[test]
fn each_choice_goes_through_the_rows_of_its_expert() {
    // Two experts of two rows: (1, 0) and (0, 1); (2, 0) and (0, 2).
    let weight = floats(&[4, 2], &[1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 2.0]);
    let bias = floats(&[4], &[0.0, 0.5, 0.0, -0.5]);
    let ids = Array::new(vec![2, 2], Data::I32(vec![1, 0, 1, 1])).unwrap();
    let spec = |routed| Op::ExpertLinear(ExpertLinear { experts: 2, routed });
    let shared = floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let y = run(&spec(true), &[&shared, &weight, &ids, &bias], &Context::default());
    assert_eq!(y, floats(&[2, 2, 2], &[2.0, 3.5, 1.0, 2.5, 6.0, 7.5, 6.0, 7.5]));
    let own = floats(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let y = run(&spec(false), &[&own, &weight], &Context::default());
    assert_eq!(y, floats(&[1, 2, 2], &[1.0, 2.0, 6.0, 8.0]));
    let sum = run(&Op::ExpertSum, &[&y, &floats(&[1, 2], &[0.5, 0.25])], &Context::default());
    assert_eq!(sum, floats(&[1, 2], &[2.0, 3.0]));
    let beyond = Array::new(vec![2, 2], Data::I32(vec![1, 0, 2, 1])).unwrap();
    let inputs: [Operand<'_>; 3] = [(&shared).into(), (&weight).into(), (&beyond).into()];
    assert!(apply(&spec(true), &inputs, &Context::default()).unwrap_err().what.contains("expert 2"));
}
