//! Kernels and whole programs on a GPU (llvmpipe will do) against the CPU twins. Skips aloud without any adapter.

mod engine_support;

use std::{
    future::Future,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use engine_support::{Shaped, TINY, load_random, prepare, random_llama};
use glassbox::{
    old_engine::{
        device::{
            Device, DeviceChoice, Tier,
            cpu::CpuDevice,
            gpu::{GpuDevice, GpuOptions, dispatch_gap, list},
        },
        kernel::KernelId,
        plan::{PlanId, Program, SlotKind},
        shader::BLOCKS,
        test_ops,
    },
    fault::Blame,
    tensor::Encoding,
};

/// Natively every future of the GPU room does its waiting inside `poll`.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// One test at a time: a software GPU uses every core, and waiting threads would only slow it down.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

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
        .map(|r| format!("{} {:?} {}: {}", r.kernel.name(), r.encoding, r.shape, r.detail.as_deref().unwrap_or("?")))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), results.len(), wrong.join("\n"));
    for &kernel in KernelId::ALL {
        assert!(!filter.is_empty() || results.iter().any(|r| r.kernel == kernel), "{kernel:?} was not tested");
    }
    for (encoding, _) in BLOCKS {
        assert!(!filter.is_empty() || results.iter().filter(|r| r.encoding == Some(*encoding)).count() >= 14);
    }
}

#[test]
fn every_kernel_equals_its_twin_in_the_core_tier() {
    every_op_in(Tier::Core, "");
}

#[test]
fn the_kernels_with_subgroup_variants_equal_their_twins() {
    for kernel in ["matvec", "rms_norm", "attention"] {
        every_op_in(Tier::Subgroup, kernel);
    }
}

const CONTEXT: u32 = 64;
const CHUNK: u32 = 8;

/// Logits after each of `tokens`: the first `chunked` in chunks of the prefill plan, the rest one by one.
fn logits(device: &mut dyn Device, program: &Program, tokens: &[u32], chunked: usize) -> Vec<Vec<f32>> {
    device.reset();
    let (first, rest) = tokens.split_at(chunked);
    let mut all = Vec::new();
    let mut pos = 0;
    for chunk in first.chunks(CHUNK as usize).chain(rest.chunks(1)) {
        device.write_tokens(chunk, pos).unwrap();
        device.run(if chunk.len() == 1 { PlanId::DecodeLogits } else { PlanId::PrefillLogits }, 1).unwrap();
        pos += chunk.len() as u32;
        all.push(block_on(device.read(program.logits.unwrap())).unwrap());
    }
    all
}

/// Ids of a greedy continuation, `times` to a submit, with a second submit under way while the first is read.
fn greedy(device: &mut dyn Device, prompt: &[u32], submits: u32, times: u32) -> Vec<u32> {
    device.reset();
    device.write_tokens(prompt, 0).unwrap();
    device.run(PlanId::PrefillPick, 1).unwrap();
    let mut ids = Vec::new();
    for _ in 0..submits {
        device.run(PlanId::Decode, times).unwrap();
        ids.extend(block_on(device.picked()).unwrap());
    }
    while ids.len() < (1 + submits * times) as usize {
        ids.extend(block_on(device.picked()).unwrap());
    }
    assert!(block_on(device.picked()).unwrap().is_empty(), "ids were given twice");
    ids
}

fn top(logits: &[f32]) -> usize {
    (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

fn nmse(found: &[f32], expected: &[f32]) -> f64 {
    let square = |v: f64| v * v;
    let error: f64 = found.iter().zip(expected).map(|(f, e)| square(f64::from(*f) - f64::from(*e))).sum();
    error / expected.iter().map(|e| square(f64::from(*e))).sum::<f64>()
}

/// Odd widths, several heads to a key head, biases, rotate-half: k is a multiple neither of 8 nor of 4.
const ODD: Shaped =
    Shaped { width: 90, heads: 9, kv_heads: 3, ffn: 172, biases: true, neox: true, tied: false, ..TINY };

#[test]
fn whole_programs_agree_with_the_cpu_token_by_token() {
    let _turn = turn();
    let tokens: Vec<u32> = (0..40).map(|i| i * i * 7 % 96).collect();
    for (shape, encoding, tier) in [
        (ODD, Encoding::F16, Tier::Core),
        (ODD, Encoding::F32, Tier::Subgroup),
        (TINY, Encoding::Q8_0, Tier::Subgroup),
        (TINY, Encoding::Q4_0, Tier::Core),
        (TINY, Encoding::Q4_K, Tier::Subgroup),
    ] {
        let Some(mut gpu) = gpu(tier) else { return };
        let program = prepare(&random_llama(shape, encoding), CONTEXT, CHUNK, gpu.info().max_slot_bytes);
        let mut cpu = CpuDevice::scalar();
        load_random(&mut gpu, &program, 5);
        load_random(&mut cpu, &program, 5);
        let (found, expected) = (logits(&mut gpu, &program, &tokens, 20), logits(&mut cpu, &program, &tokens, 20));
        assert_eq!(found.len(), expected.len());
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = nmse(found, expected);
            assert!(error < 1e-6, "{encoding} {tier:?} step {i}: nmse {error:e}");
            assert_eq!(top(found), top(expected), "{encoding} {tier:?} step {i}");
        }
    }
}

#[test]
fn several_tokens_to_a_submit_give_the_ids_of_single_ones() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let program = prepare(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, gpu.info().max_slot_bytes);
    load_random(&mut gpu, &program, 9);
    let prompt = [3, 1, 4, 1, 5];
    let one_by_one = greedy(&mut gpu, &prompt, 12, 1);
    let before = gpu.counters();
    let by_four = greedy(&mut gpu, &prompt, 3, 4);
    let after = gpu.counters();
    assert_eq!(one_by_one, by_four);
    assert_eq!(after.submits - before.submits, 4, "one submit for the prompt and one for each four tokens");
    let steps = program.prefill_pick.steps.len() + 12 * program.decode.steps.len();
    assert_eq!(after.dispatches - before.dispatches, steps as u64);
    // Greedy ids are the highest logits of the same sequence.
    let mut cpu = CpuDevice::scalar();
    load_random(&mut cpu, &program, 9);
    let mut sequence = prompt.to_vec();
    sequence.extend(&one_by_one);
    let expected = logits(&mut cpu, &program, &sequence, prompt.len());
    let ids: Vec<u32> = expected[..one_by_one.len()].iter().map(|l| top(l) as u32).collect();
    assert_eq!(one_by_one, ids);
}

#[test]
fn splitting_tensors_over_slots_changes_nothing() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let model = random_llama(TINY, Encoding::Q5_0);
    let tokens: Vec<u32> = (0..12).map(|i| i * 31 % 96).collect();
    let whole = prepare(&model, CONTEXT, CHUNK, u64::MAX);
    let parts = prepare(&model, CONTEXT, CHUNK, 20_000);
    assert!(parts.weights.len() > whole.weights.len() + 10, "{} parts", parts.weights.len());
    load_random(&mut gpu, &whole, 2);
    let expected = logits(&mut gpu, &whole, &tokens, 8);
    load_random(&mut gpu, &parts, 2);
    assert_eq!(logits(&mut gpu, &parts, &tokens, 8), expected);
}

#[test]
fn the_self_test_runs_what_a_program_uses() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let program = prepare(&random_llama(TINY, Encoding::Q4_1), CONTEXT, CHUNK, u64::MAX);
    let results = block_on(test_ops::self_test(&mut gpu, &program)).unwrap();
    for kernel in [KernelId::Embed, KernelId::MatVec, KernelId::MatMul] {
        let encodings: Vec<_> = results.iter().filter(|r| r.kernel == kernel).map(|r| r.encoding).collect();
        assert!(
            !encodings.is_empty() && encodings.iter().all(|e| *e == Some(Encoding::Q4_1)),
            "{kernel:?}: {encodings:?}"
        );
    }
    for kernel in [KernelId::RmsNorm, KernelId::Rope, KernelId::Attention, KernelId::Pick, KernelId::Advance] {
        assert!(results.iter().any(|r| r.kernel == kernel), "{kernel:?}");
    }
}

#[test]
fn a_gpu_refuses_what_makes_no_sense() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    assert_eq!(gpu.run(PlanId::Decode, 1).unwrap_err().blame, Blame::Bug, "nothing is loaded");
    let program = prepare(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, u64::MAX);
    load_random(&mut gpu, &program, 1);
    assert_eq!(gpu.write_tokens(&[1; CHUNK as usize + 1], 0).unwrap_err().blame, Blame::Caller);
    assert_eq!(gpu.write_tokens(&[1, 2], CONTEXT - 1).unwrap_err().blame, Blame::Limit);
    gpu.write_tokens(&[1], CONTEXT - 2).unwrap();
    assert_eq!(gpu.run(PlanId::Decode, 3).unwrap_err().blame, Blame::Limit, "the third token is beyond the context");
    gpu.run(PlanId::Decode, 2).unwrap();
    let weight = program.weights[0].slot;
    assert_eq!(gpu.upload(weight, 0, &[0; 7]).unwrap_err().blame, Blame::Caller);
    assert!(gpu.upload(weight, u32::MAX, &[0; 272]).is_err());
    assert!(block_on(gpu.read(weight)).is_err(), "weights are not read back");
}

#[test]
fn logits_that_are_not_finite_are_counted_on_the_gpu_and_reported() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let program = prepare(&random_llama(ODD, Encoding::F32), CONTEXT, CHUNK, u64::MAX);
    load_random(&mut gpu, &program, 1);
    let head = program.decode.steps.iter().rev().find(|s| s.kernel == KernelId::MatVec).unwrap().bind[1];
    let row: Vec<u8> = (0..ODD.width).flat_map(|_| f32::INFINITY.to_le_bytes()).collect();
    gpu.upload(head, 3, &row).unwrap();
    gpu.write_tokens(&[1], 0).unwrap();
    gpu.run(PlanId::Decode, 1).unwrap();
    let fault = block_on(gpu.picked()).unwrap_err();
    assert!(fault.blame == Blame::Device && fault.what.contains("not finite"), "{fault}");
}

#[test]
fn a_device_that_is_lost_says_so_at_every_call_and_never_panics() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let program = prepare(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, gpu.info().max_slot_bytes);
    load_random(&mut gpu, &program, 1);
    gpu.write_tokens(&[1, 2], 0).unwrap();
    gpu.run(PlanId::PrefillPick, 1).unwrap();
    gpu.destroy();
    // What was submitted may still arrive; whatever is asked for later fails, and blames the device.
    let mut outcomes = vec![block_on(gpu.picked()).map(|_| ())];
    for _ in 0..3 {
        outcomes.push(gpu.write_tokens(&[3], 2).and_then(|()| gpu.run(PlanId::Decode, 1)));
        outcomes.push(block_on(gpu.picked()).map(|_| ()));
        outcomes.push(block_on(gpu.read(program.logits.unwrap())).map(|_| ()));
    }
    outcomes.push(block_on(gpu.load(&program)));
    let faults: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(!faults.is_empty() && faults.iter().all(|f| f.blame == Blame::Device), "{faults:?}");
    assert_eq!(gpu.write_tokens(&[3], 2).unwrap_err().blame, Blame::Device);
}

#[test]
fn a_cache_beyond_what_the_adapter_binds_is_a_limit_with_both_numbers() {
    let _turn = turn();
    let Some(mut gpu) = gpu(Tier::Core) else { return };
    let mut program = prepare(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, gpu.info().max_slot_bytes);
    let cache = program.slots.iter_mut().find(|s| matches!(s.kind, SlotKind::Cache { .. })).unwrap();
    cache.kind = SlotKind::Cache { len: u32::MAX };
    let name = cache.name.clone();
    let fault = block_on(gpu.load(&program)).unwrap_err();
    assert_eq!(fault.blame, Blame::Limit, "{fault}");
    assert!(fault.what.contains(&name) && fault.what.contains("17179869180 bytes"), "{fault}");
    // The device is still good for a program that fits.
    let program = prepare(&random_llama(TINY, Encoding::Q8_0), CONTEXT, CHUNK, gpu.info().max_slot_bytes);
    load_random(&mut gpu, &program, 1);
    gpu.write_tokens(&[1], 0).unwrap();
    gpu.run(PlanId::Decode, 1).unwrap();
    assert_eq!(block_on(gpu.picked()).unwrap().len(), 1);
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
        let program = prepare(&random_llama(ODD, Encoding::F16), CONTEXT, CHUNK, gpu.info().max_slot_bytes);
        load_random(&mut gpu, &program, 4);
        let tokens: Vec<u32> = (0..23).map(|i| i * 7 % ODD.vocab as u32).collect();
        found.push(logits(&mut gpu, &program, &tokens, 16));
        let results = block_on(test_ops::run_all(&mut gpu, ""));
        assert!(results.iter().all(|r| r.ok), "checked {checked}");
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
