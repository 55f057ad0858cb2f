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
    random::{Random, Shaped, TINY, load_random, logits, nmse, program, random_llama, random_rows, step},
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
            let mut device = CpuDevice::with_instructions(set, Some(2)).unwrap();
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
        let mut device = CpuDevice::new(Some(1));
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
    step(device, program, &(0..rows).collect::<Vec<_>>(), 0, Want::Results);
    let view = &program.results[0].1;
    let words = rows * view.stride;
    let words = block_on(device.read(Fetch { buffer: view.buffer, at: view.offset, words })).unwrap();
    words.into_iter().map(f32::from_bits).collect()
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
                let mut device = CpuDevice::with_instructions(set, Some(2)).unwrap();
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
