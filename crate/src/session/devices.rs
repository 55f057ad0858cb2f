//! Opening the device that the user asked for.

use crate::{
    engine::{
        device::{Device, DeviceChoice, DeviceInfo, Tier, cpu::CpuDevice, gpu},
        program::Program,
        test_ops::{self, OpResult},
    },
    fault::{Blame, Fault, Result},
};

/// Dispatches in a chain of the gap experiment.
const GAP_DISPATCHES: u32 = 1000;

/// What faces know that the engine cannot see.
#[derive(Debug, Clone, Default)]
pub struct GpuOptions {
    /// Forces a tier: "core" or "subgroup".
    pub tier: Option<String>,
    /// In a browser: the page's shim has got the `subgroups` feature granted.
    pub subgroups: bool,
    /// Threads of the CPU path; 0 takes one per core.
    pub threads: usize,
    /// The CPU path never rounds activations: slower, and the same choices as other devices make.
    pub exact: bool,
}

/// One line of the device list.
#[derive(Debug, Clone)]
pub struct DeviceEntry {
    /// Number for [`DeviceChoice::Adapter`]; `None` for the CPU.
    pub index: Option<usize>,
    /// What it is.
    pub info: DeviceInfo,
    /// Limits in words.
    pub limits: Vec<(String, String)>,
}

impl GpuOptions {
    fn engine(&self) -> Result<gpu::GpuOptions> {
        let tier =
            match self.tier.as_deref() {
                None => None,
                Some(name) => Some(Tier::parse(name).ok_or_else(|| {
                    Fault::caller(format!("no tier is called \"{name}\"; there are core and subgroup"))
                })?),
            };
        Ok(gpu::GpuOptions { tier, web_subgroups: self.subgroups, ..gpu::GpuOptions::default() })
    }
}

/// Opens the device of a choice and plans a model for it; `Auto` takes the CPU, and says why, when there is no
/// real GPU or it computes wrongly.
///
/// A GPU first compares the kernels that the plan uses with the operations they stand for on small shapes, and steps down a tier
/// when one is wrong.
///
/// # Errors
/// There is no such adapter, it refuses, its kernels compute wrongly, or the model cannot be planned.
pub(super) async fn open_device(
    choice: &DeviceChoice,
    options: &GpuOptions,
    plan: &dyn Fn(u64) -> Result<Program>,
) -> Result<(Box<dyn Device>, Program)> {
    let on_cpu = |reason: String| -> Result<(Box<dyn Device>, Program)> {
        let device = cpu(options, reason);
        let program = plan(device.info().max_buffer_bytes)?;
        Ok((Box::new(device), program))
    };
    if *choice == DeviceChoice::Cpu {
        return on_cpu("the CPU was asked for".into());
    }
    match open_gpu(choice, options, plan).await {
        Err(fault) if *choice == DeviceChoice::Auto && fault.blame == Blame::Device => {
            on_cpu(format!("on the CPU: {}", fault.what))
        }
        other => other,
    }
}

async fn open_gpu(
    choice: &DeviceChoice,
    options: &GpuOptions,
    plan: &dyn Fn(u64) -> Result<Program>,
) -> Result<(Box<dyn Device>, Program)> {
    let mut device = gpu::GpuDevice::open(choice, &options.engine()?).await?;
    let program = plan(device.info().max_buffer_bytes)?;
    test_ops::self_test(&mut device, &program).await?;
    Ok((Box::new(device), program))
}

fn cpu(options: &GpuOptions, reason: String) -> CpuDevice {
    CpuDevice::new((options.threads > 0).then_some(options.threads)).exact(options.exact).because(reason)
}

/// All adapters, and the CPU last.
///
/// # Errors
/// The tier forced is unknown.
pub async fn list_devices(options: &GpuOptions) -> Result<Vec<DeviceEntry>> {
    let adapters = gpu::list(&options.engine()?).await;
    let chosen = adapters.iter().position(|a| !a.software);
    let mut devices: Vec<DeviceEntry> = adapters.iter().map(|a| entry(a, chosen == Some(a.index))).collect();
    let reason =
        if chosen.is_none() { "used by --device auto: there is no hardware GPU" } else { "taken by --device cpu" };
    let info = cpu(options, reason.into()).info().clone();
    devices.push(DeviceEntry { index: None, info, limits: Vec::new() });
    Ok(devices)
}

fn entry(adapter: &gpu::AdapterSummary, chosen: bool) -> DeviceEntry {
    let mib = |n: u64| format!("{} MiB", n >> 20);
    let limits = [
        ("largest binding", mib(adapter.max_binding_bytes)),
        ("largest buffer", mib(adapter.max_buffer_bytes)),
        ("workgroup memory", format!("{} KiB", adapter.workgroup_memory >> 10)),
        ("storage bindings", adapter.max_storage_bindings.to_string()),
        ("features", adapter.features.join(", ")),
    ];
    let subgroups = match adapter.subgroups {
        Some((low, high)) if low == high => format!(", subgroups of {low}"),
        Some((low, high)) => format!(", subgroups of {low} to {high}"),
        None => String::new(),
    };
    let reason = match (chosen, adapter.software) {
        (true, _) => "taken by --device auto",
        (false, true) => "a software GPU: slower than the CPU, used only on request",
        (false, false) => "used on request",
    };
    let tiers: Vec<&str> = adapter.tiers.iter().map(|t| t.name()).collect();
    DeviceEntry {
        index: Some(adapter.index),
        info: DeviceInfo {
            name: adapter.name.clone(),
            backend: adapter.backend.clone(),
            driver: adapter.driver.clone(),
            tier: adapter.tiers.last().copied(),
            detail: format!("{}{subgroups}, tiers {}", adapter.kind, tiers.join(" and ")),
            software: adapter.software,
            max_buffer_bytes: adapter.max_binding_bytes,
            reason: reason.into(),
        },
        limits: limits.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
    }
}

/// Compares every kernel of a GPU with the operation it stands for. `Auto` takes a software adapter too: there is nothing else to test.
///
/// # Errors
/// There is no adapter.
pub async fn test_ops(choice: &DeviceChoice, options: &GpuOptions, only: &str) -> Result<(DeviceInfo, Vec<OpResult>)> {
    let choice = if *choice == DeviceChoice::Auto { &DeviceChoice::Gpu } else { choice };
    if *choice == DeviceChoice::Cpu {
        return Err(Fault::caller("the CPU's kernels are the reference: name a GPU"));
    }
    let mut device = gpu::GpuDevice::open(choice, &options.engine()?).await?;
    let results = test_ops::run_all(&mut device, only).await;
    Ok((device.info().clone(), results))
}

/// The time between dependent dispatches, as labels and values.
///
/// # Errors
/// There is no adapter, or it computes wrongly.
pub async fn dispatch_gap(choice: &DeviceChoice, options: &GpuOptions) -> Result<Vec<(String, String)>> {
    let choice = if *choice == DeviceChoice::Auto { &DeviceChoice::Gpu } else { choice };
    let gap = gpu::dispatch_gap(choice, &options.engine()?, GAP_DISPATCHES).await?;
    let us = |x: f64| format!("{x:.3} us");
    let gpu = |x: Option<f64>| x.map_or_else(|| "no timestamps".to_owned(), us);
    let a = &gap.adapter;
    Ok([
        ("adapter", a.name.clone()),
        ("backend", format!("{} {}", a.backend, a.driver)),
        ("features", a.features.join(", ")),
        ("subgroup sizes", a.subgroups.map_or_else(|| "unknown".into(), |(l, h)| format!("{l} to {h}"))),
        ("dispatches in a chain", gap.dispatches.to_string()),
        ("dependent dispatch, wall", us(gap.dependent_wall_us)),
        ("dependent dispatch, GPU", gpu(gap.dependent_gpu_us)),
        ("independent dispatch, wall", us(gap.independent_wall_us)),
        ("independent dispatch, GPU", gpu(gap.independent_gpu_us)),
        ("encoding and submit, per dispatch", us(gap.encode_us)),
        ("empty round trip", us(gap.round_trip_us)),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v))
    .collect())
}
