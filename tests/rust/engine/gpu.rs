//! Kernels and whole programs on a GPU (llvmpipe will do) against the meaning of their operations. Skips aloud without any adapter.

use std::rc::Rc;

use glassbox::{
    engine::{
        device::{
            Device, DeviceChoice, Fetch, Tier,
            cpu::CpuDevice,
            gpu::{GpuDevice, GpuOptions, dispatch_gap, list},
        },
        kernels::KERNELS,
        program::{Bucket, BufferKind, Program, StepKey, Want, batch, record_words},
        shader::blocks::BLOCKS,
        test_ops,
    },
    fault::Blame,
    ir::Op,
    tensor::Encoding,
};

use super::{
    random::{Shaped, TINY, load_random, logits, nmse, program, random_llama, step},
    support::{block_on, turn},
};

/// A GPU in this tier, or `None` after saying why.
fn gpu(tier: Tier) -> Option<GpuDevice> {
    let options = GpuOptions { tier: Some(tier), ..GpuOptions::default() };
    match block_on(GpuDevice::open(&DeviceChoice::Gpu, &options)) {
        Ok(device) => Some(device),
        Err(fault) => {
            eprintln!("skipped: no GPU in the {tier:?} tier because {fault}");
            None
        }
    }
}

fn every_op_in(tier: Tier, filter: &str) {
    let _turn = turn();
    let Some(mut device) = gpu(tier) else { return };
    let results = block_on(test_ops::run_all(&mut device, filter));
    let wrong: Vec<String> = results
        .iter()
        .filter(|r| !r.ok)
        .map(|r| format!("{} {:?} {}: {}", r.kernel, r.encoding, r.shape, r.detail.as_deref().unwrap_or("?")))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), results.len(), wrong.join("\n"));
    for kernel in KERNELS {
        assert!(
            !filter.is_empty() || results.iter().any(|r| r.kernel == kernel.name),
            "{} was not tested",
            kernel.name
        );
    }
    for block in BLOCKS {
        let count = results.iter().filter(|r| r.encoding == Some(block.encoding)).count();
        assert!(!filter.is_empty() || count >= 28, "{}: {count} cases", block.encoding);
    }
}

#[test]
fn every_kernel_does_what_its_operation_means_in_the_core_tier() {
    every_op_in(Tier::Core, "");
}

#[test]
fn the_kernels_that_reduce_do_so_in_the_subgroup_tier() {
    for kernel in ["matvec", "rms_norm", "layer_norm", "attention", "reduction"] {
        every_op_in(Tier::Subgroup, kernel);
    }
}

const CONTEXT: u32 = 64;
const CHUNK: u32 = 8;

/// Odd widths, several heads to a key head, biases, rotate-half: k is a multiple neither of 8 nor of 4.
const ODD: Shaped =
    Shaped { width: 90, heads: 9, kv_heads: 3, ffn: 172, biases: true, neox: true, tied: false, ..TINY };

/// The wants of one row.
const CHOICE: StepKey = StepKey { rows: Bucket::One, outputs: Bucket::One, want: Want::Choice };

fn top(logits: &[f32]) -> usize {
    (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

#[test]
fn whole_programs_agree_with_the_cpu_token_by_token() {
    let _turn = turn();
    for (shape, encoding, tier) in [
        (ODD, Encoding::F16, Tier::Core),
        (ODD, Encoding::F32, Tier::Subgroup),
        (TINY, Encoding::Q8_0, Tier::Subgroup),
        (TINY, Encoding::Q4_0, Tier::Core),
        (TINY, Encoding::Q4_K, Tier::Subgroup),
    ] {
        let Some(mut gpu) = gpu(tier) else { return };
        let (graph, program) = program(&random_llama(shape, encoding), CONTEXT, CHUNK, gpu.info().max_buffer_bytes);
        let mut cpu = CpuDevice::plain();
        load_random(&mut gpu, &graph, &program, 5);
        load_random(&mut cpu, &graph, &program, 5);
        let tokens: Vec<u32> = (0..40).map(|i| i * i * 7 % 96).collect();
        for (n, chunk) in [(20, 8), (21, 1), (40, 8), (40, 3)] {
            let found = logits(&mut gpu, &program, &tokens[..n], chunk);
            let expected = logits(&mut cpu, &program, &tokens[..n], chunk);
            let error = nmse(&found, &expected);
            assert!(error < 1e-6, "{encoding} {tier:?} {n} tokens in chunks of {chunk}: nmse {error:e}");
            assert_eq!(top(&found), top(&expected), "{encoding} {tier:?} {n} tokens");
        }
    }
}

/// Words of a choice of one sequence.
const RECORD: u32 = record_words(1);

/// The range of the ring that `count` choices from `first` on are in.
fn ring(program: &Program, first: u32, count: u32) -> Fetch {
    Fetch { buffer: program.ring.unwrap(), at: first * RECORD, words: count * RECORD }
}

/// Ids of a greedy continuation, `times` to a submit, with a second submit under way while the first is read.
fn greedy(device: &mut dyn Device, program: &Program, prompt: &[u32], submits: u32, times: u32) -> Vec<u32> {
    device.write(program.batch, batch::CHOICES as u32, &[0]).unwrap();
    step(device, program, prompt, 0, Want::Choice);
    block_on(device.compile(CHOICE)).unwrap();
    for i in 0..submits {
        device.submit(CHOICE, times, Some(ring(program, 1 + i * times, times))).unwrap();
    }
    let first = block_on(device.read(ring(program, 0, 1))).unwrap();
    let mut records = first;
    for _ in 0..submits {
        records.extend(block_on(device.fetched()).unwrap());
    }
    assert_eq!(block_on(device.fetched()).unwrap_err().blame, Blame::Bug, "ids were given twice");
    assert!(records.chunks(RECORD as usize).all(|r| r[0] == 0), "logits that are not finite");
    records.chunks(RECORD as usize).map(|r| r[1]).collect()
}

#[test]
fn several_tokens_to_a_submit_give_the_ids_of_single_ones() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let (graph, program) = program(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, gpu.info().max_buffer_bytes);
    load_random(&mut gpu, &graph, &program, 9);
    let prompt = [3, 1, 4, 1, 5];
    let one_by_one = greedy(&mut gpu, &program, &prompt, 12, 1);
    let before = gpu.counters();
    let by_four = greedy(&mut gpu, &program, &prompt, 3, 4);
    let after = gpu.counters();
    assert_eq!(one_by_one, by_four);
    assert_eq!(after.submits - before.submits, 5, "the prompt, each four tokens, and one read");
    let many = StepKey { rows: Bucket::Many, ..CHOICE };
    let dispatches = gpu.dispatches(many) + 12 * gpu.dispatches(CHOICE);
    assert_eq!(after.dispatches - before.dispatches, u64::from(dispatches));
    // Greedy ids are the highest logits of the same sequence.
    let mut cpu = CpuDevice::plain();
    load_random(&mut cpu, &graph, &program, 9);
    let mut sequence = prompt.to_vec();
    for id in one_by_one {
        assert_eq!(id as usize, top(&logits(&mut cpu, &program, &sequence, CHUNK as usize)));
        sequence.push(id);
    }
}

#[test]
fn splitting_tensors_over_buffers_changes_nothing() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let model = random_llama(TINY, Encoding::Q5_0);
    let tokens: Vec<u32> = (0..12).map(|i| i * 31 % 96).collect();
    let (graph, whole) = program(&model, CONTEXT, CHUNK, u64::MAX);
    let (_, parts) = program(&model, CONTEXT, CHUNK, 20_000);
    assert!(parts.loads.len() > whole.loads.len() + 10, "{} parts", parts.loads.len());
    load_random(&mut gpu, &graph, &whole, 2);
    let expected = logits(&mut gpu, &whole, &tokens, 8);
    load_random(&mut gpu, &graph, &parts, 2);
    assert_eq!(logits(&mut gpu, &parts, &tokens, 8), expected);
}

#[test]
fn the_self_test_runs_what_a_program_uses() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let (_, program) = program(&random_llama(TINY, Encoding::Q4_1), CONTEXT, CHUNK, u64::MAX);
    let results = block_on(test_ops::self_test(&mut gpu, &program)).unwrap();
    for kernel in ["embed", "matvec", "matmul"] {
        let encodings: Vec<_> = results.iter().filter(|r| r.kernel == kernel).map(|r| r.encoding).collect();
        assert!(
            !encodings.is_empty() && encodings.iter().all(|e| *e == Some(Encoding::Q4_1)),
            "{kernel}: {encodings:?}"
        );
    }
    for kernel in ["rms_norm", "attention", "gather", "sample", "advance"] {
        assert!(results.iter().any(|r| r.kernel == kernel), "{kernel}");
    }
}

#[test]
fn a_gpu_refuses_what_makes_no_sense() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    assert_eq!(gpu.submit(CHOICE, 1, None).unwrap_err().blame, Blame::Bug, "nothing is loaded");
    let (graph, program) = program(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, u64::MAX);
    load_random(&mut gpu, &graph, &program, 1);
    assert_eq!(gpu.submit(CHOICE, 1, None).unwrap_err().blame, Blame::Bug, "the plan is not compiled");
    let words = program.layout.words();
    assert_eq!(gpu.write(program.batch, words - 1, &[1, 2]).unwrap_err().blame, Blame::Caller);
    let results = StepKey { want: Want::Results, ..CHOICE };
    block_on(gpu.compile(results)).unwrap();
    assert_eq!(gpu.submit(results, 2, None).unwrap_err().blame, Blame::Caller, "nothing makes the next token");
    let weight = program.loads.iter().find(|l| matches!(program.buffer(l.buffer).kind, BufferKind::Weight { .. }));
    let weight = weight.unwrap().buffer;
    assert_eq!(gpu.upload(weight, 0, &[0; 7]).unwrap_err().blame, Blame::Caller);
    assert!(gpu.upload(weight, u32::MAX, &[0; 272]).is_err());
    assert!(block_on(gpu.read(Fetch { buffer: weight, at: 0, words: 1 })).is_err(), "weights are not read back");
    assert!(block_on(gpu.read(Fetch { buffer: program.batch, at: words, words: 1 })).is_err());
    step(&mut gpu, &program, &[1], 0, Want::Choice);
    assert_eq!(block_on(gpu.read(ring(&program, 0, 1))).unwrap().len(), RECORD as usize, "the device is still good");
}

#[test]
fn logits_that_are_not_finite_are_counted_on_the_gpu() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let (graph, program) = program(&random_llama(ODD, Encoding::F32), CONTEXT, CHUNK, u64::MAX);
    load_random(&mut gpu, &graph, &program, 1);
    let head = program.loads.iter().rev().find_map(|l| match program.buffer(l.buffer).kind {
        BufferKind::Weight { rows, .. } if rows as u64 == ODD.vocab => Some(l.buffer),
        _ => None,
    });
    let row: Vec<u8> = (0..ODD.width).flat_map(|_| f32::INFINITY.to_le_bytes()).collect();
    gpu.upload(head.unwrap(), 3, &row).unwrap();
    step(&mut gpu, &program, &[1], 0, Want::Choice);
    step(&mut gpu, &program, &[1], 0, Want::Choice);
    let records = block_on(gpu.read(ring(&program, 0, 2))).unwrap();
    assert_eq!((records[0], records[RECORD as usize]), (1, 1), "one logit of each step, counted anew");
}

#[test]
fn a_device_that_is_lost_says_so_at_every_call_and_never_panics() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let (graph, program) = program(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, gpu.info().max_buffer_bytes);
    load_random(&mut gpu, &graph, &program, 1);
    block_on(gpu.compile(CHOICE)).unwrap();
    gpu.submit(CHOICE, 1, Some(ring(&program, 0, 1))).unwrap();
    gpu.destroy();
    // What was submitted may still arrive; whatever is asked for later fails, and blames the device.
    let mut outcomes = vec![block_on(gpu.fetched()).map(|_| ())];
    for _ in 0..3 {
        outcomes.push(gpu.write(program.batch, 0, &[1, 1]).and_then(|()| gpu.submit(CHOICE, 1, None)));
        outcomes.push(block_on(gpu.read(ring(&program, 0, 1))).map(|_| ()));
    }
    outcomes.push(block_on(gpu.load(&program)));
    let faults: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(!faults.is_empty() && faults.iter().all(|f| f.blame == Blame::Device), "{faults:?}");
    assert_eq!(gpu.write(program.batch, 0, &[1]).unwrap_err().blame, Blame::Device);
}

#[test]
fn a_cache_beyond_what_the_adapter_binds_is_a_limit_with_both_numbers() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let (graph, program) = program(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, gpu.info().max_buffer_bytes);
    let mut large = Program::clone(&program);
    let cache = large.buffers.iter_mut().find(|b| matches!(b.kind, BufferKind::State { .. })).unwrap();
    cache.kind = BufferKind::Activation { len: u32::MAX };
    let name = cache.name.clone();
    let fault = block_on(gpu.load(&Rc::new(large))).unwrap_err();
    assert_eq!(fault.blame, Blame::Limit, "{fault}");
    assert!(fault.what.contains(&*name) && fault.what.contains("17179869180 bytes"), "{fault}");
    // The device is still good for a program that fits.
    load_random(&mut gpu, &graph, &program, 1);
    step(&mut gpu, &program, &[1], 0, Want::Choice);
    assert_eq!(block_on(gpu.read(ring(&program, 0, 1))).unwrap().len(), RECORD as usize);
}

#[test]
fn a_step_that_no_kernel_takes_is_named_when_its_plan_is_compiled() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let (graph, program) = program(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, u64::MAX);
    let mut odd = Program::clone(&program);
    let at = odd.steps.iter().position(|s| matches!(s.op, Op::RmsNorm { .. })).unwrap();
    odd.steps[at].op = Op::Softmax;
    let label = odd.steps[at].label.to_string();
    load_random(&mut gpu, &graph, &Rc::new(odd), 1);
    let fault = block_on(gpu.compile(CHOICE)).unwrap_err();
    assert!(
        fault.blame == Blame::Unsupported && fault.what.contains(&label) && fault.what.contains("Softmax"),
        "{fault}"
    );
}

#[test]
fn checked_and_unchecked_shaders_give_the_same_words() {
    let _turn = turn();
    let mut found = Vec::new();
    for checked in [true, false] {
        let options = GpuOptions { tier: Some(Tier::Core), checked: Some(checked), ..GpuOptions::default() };
        let Ok(mut gpu) = block_on(GpuDevice::open(&DeviceChoice::Gpu, &options)) else {
            return eprintln!("skipped: release shaders, because there is no GPU");
        };
        // Odd sizes leave tails everywhere, and release shaders have no bounds checks.
        let (graph, program) = program(&random_llama(ODD, Encoding::F16), CONTEXT, CHUNK, gpu.info().max_buffer_bytes);
        load_random(&mut gpu, &graph, &program, 4);
        let tokens: Vec<u32> = (0..23).map(|i| i * 7 % ODD.vocab as u32).collect();
        found.push(logits(&mut gpu, &program, &tokens, 8));
        // The checked ones are what a debug build runs: every case of them, in a test of its own.
        if !checked {
            let results = block_on(test_ops::run_all(&mut gpu, "quick"));
            let wrong: Vec<_> = results.iter().filter(|r| !r.ok).collect();
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    }
    assert_eq!(found[0], found[1]);
}

#[test]
fn software_adapters_are_listed_but_not_chosen_by_auto() {
    let adapters = block_on(list(&GpuOptions::default()));
    for adapter in &adapters {
        assert!(adapter.tiers.contains(&Tier::Core) && adapter.max_storage_bindings >= 8, "{adapter:?}");
        assert_eq!(adapter.software, adapter.kind == "software");
    }
    let auto = block_on(GpuDevice::open(&DeviceChoice::Auto, &GpuOptions::default()));
    match (adapters.iter().any(|a| !a.software), auto) {
        (true, Ok(device)) => assert!(!device.info().software),
        (false, Err(fault)) => assert_eq!(fault.blame, Blame::Device),
        (real, Ok(device)) => panic!("a real GPU: {real}; chosen: {:?}", device.info()),
        (real, Err(fault)) => panic!("a real GPU: {real}; {fault}"),
    }
}

#[test]
fn the_dispatch_gap_is_measured() {
    let _turn = turn();
    match block_on(dispatch_gap(&DeviceChoice::Gpu, &GpuOptions::default(), 50)) {
        Ok(report) => {
            assert!(report.dependent_wall_us > 0.0 && report.independent_wall_us > 0.0, "{report:?}");
            eprintln!("{report:?}");
        }
        Err(fault) => eprintln!("skipped: the dispatch gap because {fault}"),
    }
}
