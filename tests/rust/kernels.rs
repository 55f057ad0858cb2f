//! Kernels and whole programs on a GPU (llvmpipe will do) against the meaning of their operations. Skips aloud without any adapter.

use std::{
    future::Future,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use glassbox::engine::{
    device::{
        DeviceChoice, Tier,
        gpu::{GpuDevice, GpuOptions},
    },
    kernels::{KERNELS, blocks::BLOCKS},
    test_ops,
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
        .map(|r| format!("{} {:?} {}: {}", r.kernel, r.encoding, r.shape, r.detail.as_deref().unwrap_or("?")))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), results.len(), wrong.join("\n"));
    for kernel in KERNELS {
        assert!(!filter.is_empty() || results.iter().any(|r| r.kernel == kernel.name), "{} was not tested", kernel.name);
    }
    for block in BLOCKS {
        let count = results.iter().filter(|r| r.encoding == Some(block.encoding)).count();
        assert!(!filter.is_empty() || count >= 28, "{}: {count} cases", block.encoding);
    }
}

#[test]
fn every_kernel_does_what_its_operation_means_in_the_core_tier() {
    every_op_in(Tier::Core, &std::env::var("GLASSBOX_OPS").unwrap_or_default());
}

#[test]
fn the_kernels_that_reduce_do_so_in_the_subgroup_tier() {
    for kernel in ["matvec", "rms_norm", "layer_norm", "attention"] {
        every_op_in(Tier::Subgroup, kernel);
    }
}
