//! The CPU: instruction sets against the operations' meaning, splits, refusals.

use std::rc::Rc;

use glassbox::{
    engine::{
        compile::{self, Options},
        device::{Device, Fetch, cpu::CpuDevice},
        program::{Bucket, CacheType, Program, StepKey, Want},
    },
    fault::Blame,
    ir::{Builder, DType, Dim, Fact, Fused, Graph, Op, Source, Unary, Weight},
    tensor::Encoding,
};
use proptest::prelude::*;

use super::{
    random::{Random, Shaped, TINY, load_random, logits, nmse, program, random_llama, random_of, random_rows, step},
    support::block_on,
};

/// Encodings that have vectorised code, and one that has none.
const ENCODINGS: &[Encoding] = &[
    Encoding::F32,
    Encoding::F16,
    Encoding::BF16,
    Encoding::Q4_0,
    Encoding::Q4_1,
    Encoding::Q5_0,
    Encoding::Q5_1,
    Encoding::Q8_0,
    Encoding::Q2_K,
    Encoding::Q3_K,
    Encoding::Q4_K,
    Encoding::Q5_K,
    Encoding::Q6_K,
    Encoding::IQ4_NL,
    Encoding::MXFP4,
];

/// Encodings for which a token's activations are rounded, and by which blocks.
const ROUNDED: &[(Encoding, usize)] = &[
    (Encoding::Q4_0, 32),
    (Encoding::Q4_1, 32),
    (Encoding::Q5_0, 32),
    (Encoding::Q5_1, 32),
    (Encoding::Q8_0, 32),
    (Encoding::IQ4_NL, 32),
    (Encoding::MXFP4, 32),
    (Encoding::Q1_0, 32),
    (Encoding::Q2_K, 256),
    (Encoding::Q3_K, 256),
    (Encoding::Q4_K, 256),
    (Encoding::Q5_K, 256),
    (Encoding::Q6_K, 256),
    (Encoding::IQ4_XS, 256),
    (Encoding::TQ2_0, 256),
    (Encoding::IQ1_S, 256),
    (Encoding::IQ2_XXS, 256),
    (Encoding::IQ2_XS, 256),
    (Encoding::IQ2_S, 256),
    (Encoding::IQ3_XXS, 256),
    (Encoding::IQ3_S, 256),
];

/// A llama whose odd sizes leave tails everywhere: rows, lanes, tiles and panels.
const ODD: Shaped = Shaped {
    layers: 2,
    width: 36,
    heads: 6,
    kv_heads: 3,
    ffn: 43,
    vocab: 77,
    context: 64,
    tied: false,
    biases: true,
    neox: true,
};

#[test]
fn whole_models_agree_with_the_operations_meaning_on_every_instruction_set() {
    for encoding in ENCODINGS {
        let shape = match encoding {
            Encoding::F32 | Encoding::F16 | Encoding::BF16 => ODD,
            _ => TINY,
        };
        let model = random_llama(shape, *encoding);
        let (graph, program) = program(&model, 48, 40, 20_000);
        let tokens: Vec<u32> = (0..37).map(|i| (i * i + 5) % shape.vocab as u32).collect();
        let mut plain = CpuDevice::plain();
        load_random(&mut plain, &graph, &program, 7);
        let want = logits(&mut plain, &program, &tokens, 40);
        assert!(want.iter().all(|l| l.is_finite()) && want.iter().any(|l| l.abs() > 0.01), "{encoding}: {want:?}");
        for set in CpuDevice::instruction_sets() {
            let mut device = CpuDevice::with_instructions(set, Some(2)).unwrap().exact(true);
            load_random(&mut device, &graph, &program, 7);
            for chunk in [1, 9, 40] {
                let error = nmse(&logits(&mut device, &program, &tokens, chunk), &want);
                assert!(error < 1e-9, "{encoding} with {set} in chunks of {chunk}: {error:e}");
            }
        }
    }
}

#[test]
fn splitting_weights_changes_nothing() {
    let model = random_llama(TINY, Encoding::Q5_K);
    let tokens = [1, 2, 3, 4, 5];
    let [whole, split] = [u64::MAX, 3000].map(|limit| {
        let (graph, program) = program(&model, 16, 8, limit);
        let mut device = CpuDevice::new(Some(1)).exact(true);
        load_random(&mut device, &graph, &program, 3);
        logits(&mut device, &program, &tokens, 8)
    });
    assert_eq!(whole, split);
}

#[test]
fn narrower_caches_stay_near_the_wide_one() {
    let model = random_llama(TINY, Encoding::F32);
    let graph = super::random::graph(&model);
    let tokens: Vec<u32> = (0..40).map(|i| i * 7 % 96).collect();
    let mut wide = Vec::new();
    for (cache, most) in [(CacheType::F32, 0.0), (CacheType::F16, 1e-6), (CacheType::Q8_0, 1e-3)] {
        let options = Options { context: 64, rows: 16, cache, ..Options::default() };
        let program = Rc::new(compile::compile(&graph, &options).unwrap());
        let mut device = CpuDevice::new(Some(2));
        load_random(&mut device, &graph, &program, 5);
        let got = logits(&mut device, &program, &tokens, 16);
        if cache == CacheType::F32 {
            wide = got;
        } else {
            let error = nmse(&got, &wide);
            assert!(error > 0.0 && error < most, "{cache:?}: {error:e}");
        }
    }
}

#[test]
fn a_device_refuses_what_makes_no_sense() {
    let model = random_llama(TINY, Encoding::F32);
    let (graph, program) = program(&model, 16, 8, u64::MAX);
    let mut device = CpuDevice::new(Some(1));
    let key = StepKey { rows: Bucket::One, outputs: Bucket::One, want: Want::Choice };
    assert!(device.submit(key, 1, None).is_err(), "nothing is loaded");
    block_on(device.load(&program)).unwrap();
    assert!(block_on(device.finish_load()).unwrap_err().what.contains("0 of 96 rows of token_embd.weight"));
    load_random(&mut device, &graph, &program, 1);
    let weight = program.loads[0].buffer;
    assert!(device.upload(weight, 0, &[0; 3]).is_err());
    assert!(device.upload(weight, 96, &[0; 1024]).is_err());
    assert!(device.upload(program.batch, 0, &[0; 4]).is_err());
    assert!(device.write(program.batch, program.layout.words(), &[0]).is_err());
    assert!(device.write(weight, 0, &[0]).is_err());
    assert!(block_on(device.fetched()).is_err(), "nothing was asked for");
    let beyond = Fetch { buffer: program.batch, at: 0, words: program.layout.words() + 1 };
    assert!(block_on(device.read(beyond)).is_err());
    let results = StepKey { want: Want::Results, ..key };
    assert_eq!(device.submit(results, 2, None).unwrap_err().blame, Blame::Caller);
    // A header that asks for more rows than a step has.
    device.write(program.batch, 0, &[9, 1]).unwrap();
    assert!(device.submit(key, 1, None).is_err());
}

#[test]
fn logits_that_overflow_are_counted() {
    let model = random_llama(TINY, Encoding::F32);
    let (graph, program) = program(&model, 16, 8, u64::MAX);
    let mut device = CpuDevice::new(Some(1));
    load_random(&mut device, &graph, &program, 1);
    device.upload(program.loads[0].buffer, 0, &f32::NAN.to_le_bytes().repeat(256)).unwrap();
    step(&mut device, &program, &[0], 0, Want::Choice);
    let ring = Fetch { buffer: program.ring.unwrap(), at: 0, words: 1 };
    assert!(block_on(device.read(ring)).unwrap()[0] > 0);
}

/// A graph of one operation on rows of `k` values through a weight of `n` rows.
fn linear_graph(op: Op, encoding: Encoding, k: u32, n: u32, width: u32) -> Graph {
    let g = Builder::new();
    let table = Weight {
        name: "x".into(),
        fact: Fact::new(DType::Block(Encoding::F32), [Dim::Fixed(64), Dim::Fixed(k)]),
        sources: vec![Source::rows(0, 0, 64)],
    };
    let residual = Weight {
        name: "residual".into(),
        fact: Fact::new(DType::Block(Encoding::F32), [Dim::Fixed(64), Dim::Fixed(width)]),
        sources: vec![Source::rows(1, 0, 64)],
    };
    let weight = Weight {
        name: "w".into(),
        fact: Fact::new(DType::Block(encoding), [Dim::Fixed(n), Dim::Fixed(k)]),
        sources: vec![Source::rows(2, 0, n)],
    };
    let bias = Weight {
        name: "bias".into(),
        fact: Fact::new(DType::F32, [Dim::Fixed(n)]),
        sources: vec![Source::rows(3, 0, n)],
    };
    {
        let tokens = g.input(glassbox::ir::Input::Tokens);
        let x = g.op("x", Op::Embed, &[g.weight(table), tokens]);
        let (w, b) = (g.weight(weight), g.weight(bias));
        let y = match &op {
            Op::Fused(Fused::LinearAdd) => {
                let r = g.op("r", Op::Embed, &[g.weight(residual), tokens]);
                g.op("y", op, &[r, x, w, b])
            }
            _ => g.op("y", op, &[x, w, b]),
        };
        g.output("y", y);
    }
    g.finish().unwrap()
}

fn run_linear(device: &mut CpuDevice, graph: &Graph, program: &Rc<Program>, rows: u32, seed: u64) -> Vec<f32> {
    load_random(device, graph, program, seed);
    linear_results(device, program, rows)
}

/// The results of a loaded linear map.
fn linear_results(device: &mut CpuDevice, program: &Program, rows: u32) -> Vec<f32> {
    step(device, program, &(0..rows).collect::<Vec<_>>(), 0, Want::Results);
    let view = &program.results[0].1;
    let words = rows * view.stride;
    let words = block_on(device.read(Fetch { buffer: view.buffer, at: view.offset, words })).unwrap();
    words.into_iter().map(f32::from_bits).collect()
}

/// Activations by the rule of ggml's Q8_0 and Q8_K: the largest magnitude of a block becomes 127. The steps, and the values.
fn rounded(x: &[f32], block: usize) -> (Vec<f32>, Vec<f32>) {
    let steps: Vec<f32> = x.chunks(block).map(|b| b.iter().fold(0f32, |m, v| m.max(v.abs())) / 127.0).collect();
    let values = x.iter().enumerate().map(|(i, v)| {
        let step = steps[i / block];
        if step > 0.0 { (v * (1.0 / step)).round_ties_even() * step } else { 0.0 }
    });
    (steps.clone(), values.collect())
}

/// Puts another first row into the table of a linear graph's inputs.
fn replace_input(device: &mut CpuDevice, graph: &Graph, program: &Program, row: &[f32]) {
    let load = program.loads.iter().find(|l| graph.weights[l.weight.0 as usize].name.as_ref() == "x").unwrap();
    let bytes: Vec<u8> = row.iter().flat_map(|v| v.to_le_bytes()).collect();
    device.upload(load.buffer, 0, &bytes).unwrap();
}

#[test]
fn rounded_activations_meet_quantized_weights_in_whole_numbers_on_every_instruction_set() {
    // Rows that are no multiple of the kernels' groups; one block, and several.
    for (which, (encoding, block)) in ROUNDED.iter().enumerate() {
        for (blocks, n, kind) in [(1, 1, 0), (3, 7, 1), (5, 65, 0), (2, 300, 2)] {
            let len = encoding.spec().unwrap().block_len.max(*block as u32);
            let (k, seed) = (len * blocks, 11 + which as u64);
            let (op, outputs, width) = match kind {
                0 => (Op::Linear, n, n),
                1 => (Op::Fused(Fused::LinearAdd), n, n),
                _ => (Op::Fused(Fused::GatedLinear(Unary::Silu)), n, n / 2),
            };
            let graph = linear_graph(op, *encoding, k, outputs, width);
            let options = Options { context: 64, rows: 40, ..Options::default() };
            let program = Rc::new(compile::compile(&graph, &options).unwrap());
            let mut random = Random(seed);
            // A block of zeros, one of a single large value, others of very different sizes.
            let mut x: Vec<f32> = (0..k).map(|i| random.value() * 10f32.powi((i / 32 % 5) as i32 - 2)).collect();
            x[..32.min(k as usize / 2)].fill(0.0);
            let (steps, values) = rounded(&x, *block);
            let mut plain = CpuDevice::plain();
            load_random(&mut plain, &graph, &program, seed);
            replace_input(&mut plain, &graph, &program, &values);
            let want = linear_results(&mut plain, &program, 1);
            replace_input(&mut plain, &graph, &program, &x);
            let exact = linear_results(&mut plain, &program, 1);
            for set in CpuDevice::instruction_sets() {
                let mut device = CpuDevice::with_instructions(set, Some(2)).unwrap();
                load_random(&mut device, &graph, &program, seed);
                replace_input(&mut device, &graph, &program, &x);
                let got = linear_results(&mut device, &program, 1);
                // The whole numbers are the same, so only sums of blocks in f32 are left to differ.
                let error = nmse(&got, &want);
                assert!(error < 1e-11, "{encoding} {n} x {k} with {set}: {error:e}");
                if kind > 0 {
                    continue;
                }
                for (row, (got, exact)) in got.iter().zip(&exact).enumerate() {
                    let bytes = random_rows(
                        *encoding,
                        k as usize,
                        2.0 / (k as f32).sqrt(),
                        &mut random_of(seed, 2, row as u32),
                    );
                    let mut w = vec![0f32; k as usize];
                    encoding.spec().unwrap().decode.unwrap()(&bytes, &mut w);
                    // Each activation is off by half a step at the most.
                    let most: f32 = w.iter().enumerate().map(|(i, w)| w.abs() * steps[i / block] * 0.5).sum();
                    let off = (got - exact).abs();
                    assert!(off <= most * 1.001 + 1e-6, "{encoding} {n} x {k} with {set}, row {row}: {off} of {most}");
                }
            }
        }
    }
}

#[test]
fn models_with_rounded_activations_stay_near_those_without() {
    for (encoding, _) in ROUNDED {
        let model = random_llama(TINY, *encoding);
        let (graph, program) = program(&model, 48, 40, u64::MAX);
        let tokens: Vec<u32> = (0..37).map(|i| (i * i + 5) % TINY.vocab as u32).collect();
        let [exact, rounded] = [true, false].map(|exact| {
            let mut device = CpuDevice::new(Some(2)).exact(exact);
            load_random(&mut device, &graph, &program, 7);
            logits(&mut device, &program, &tokens, 1)
        });
        let error = nmse(&rounded, &exact);
        assert!(error > 0.0 && error < 2e-3, "{encoding}: {error:e}");
    }
}

#[test]
fn activations_that_are_not_finite_are_not_rounded_away() {
    for (encoding, strange) in [(Encoding::Q4_0, f32::NAN), (Encoding::Q4_K, f32::INFINITY), (Encoding::Q6_K, f32::NAN)]
    {
        let graph = linear_graph(Op::Linear, encoding, 512, 6, 6);
        let program =
            Rc::new(compile::compile(&graph, &Options { context: 64, rows: 4, ..Options::default() }).unwrap());
        for set in CpuDevice::instruction_sets() {
            let mut device = CpuDevice::with_instructions(set, Some(1)).unwrap();
            load_random(&mut device, &graph, &program, 3);
            let mut x = vec![0.5; 512];
            x[300] = strange;
            replace_input(&mut device, &graph, &program, &x);
            let got = linear_results(&mut device, &program, 1);
            assert!(got.iter().all(|y| !y.is_finite()), "{encoding} with {set}: {got:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn linear_maps_of_any_shape_agree_with_their_meaning(
        which in 0..ENCODINGS.len(), half in 1u32..15, blocks in 1u32..5, tail in 0u32..9, count in 1u32..40,
        kind in 0..3, small: bool, seed: u64
    ) {
        let encoding = ENCODINGS[which];
        let block = encoding.spec().unwrap().block_len;
        // Plain floats have any length; two large blocks cross the boundary of a mat-mul tile.
        let k = if block == 1 { blocks * 160 + tail } else { block * blocks };
        let n = 2 * half;
        let (op, width) = match kind {
            0 => (Op::Linear, n),
            1 => (Op::Fused(Fused::LinearAdd), n),
            _ => (Op::Fused(Fused::GatedLinear(Unary::Silu)), half),
        };
        let graph = linear_graph(op, encoding, k, n, width);
        let row = encoding.bytes(k.into(), k.into()).unwrap();
        let max_buffer_bytes = if small { (row * 5).max(u64::from(4 * k)) } else { u64::MAX };
        for rows in [1, count] {
            let options = Options { context: 64, rows: 40, max_buffer_bytes, ..Options::default() };
            let program = Rc::new(compile::compile(&graph, &options).unwrap());
            let want = run_linear(&mut CpuDevice::plain(), &graph, &program, rows, seed);
            for set in CpuDevice::instruction_sets() {
                let mut device = CpuDevice::with_instructions(set, Some(2)).unwrap().exact(true);
                let error = nmse(&run_linear(&mut device, &graph, &program, rows, seed), &want);
                // A gate multiplies the errors of two sums, and a step may have one value alone.
                let most = if kind == 2 { 1e-9 } else { 1e-11 };
                prop_assert!(error < most, "{} {} rows with {}: {:e}", encoding, rows, set, error);
            }
        }
    }
}

#[test]
fn random_rows_are_whole_blocks() {
    for encoding in ENCODINGS {
        let bytes = random_rows(*encoding, 512, 1.0, &mut Random(1));
        assert_eq!(bytes.len() as u64, encoding.bytes(512, 512).unwrap(), "{encoding}");
    }
}
