//! Opening the device that the user asked for.

use crate::{
    engine::{
        device::{Device, DeviceChoice, DeviceInfo, cpu::CpuDevice},
        test_ops::OpResult,
    },
    fault::{Fault, Result},
};

/// What faces know about this machine's GPU that the engine cannot see.
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

/// Opens the device of a choice; `Auto` takes the CPU, and says why, when there is no real GPU.
///
/// # Errors
/// There is no such adapter, or it refuses.
pub async fn open_device(choice: &DeviceChoice, options: &GpuOptions) -> Result<Box<dyn Device>> {
    match choice {
        DeviceChoice::Cpu => Ok(Box::new(cpu(options, "the CPU was asked for".into()))),
        _ => Err(Fault::unsupported("stub")),
    }
}

fn cpu(_options: &GpuOptions, _reason: String) -> CpuDevice {
    CpuDevice::scalar()
}
pub async fn list_devices() -> Result<Vec<DeviceEntry>> { Err(Fault::unsupported("stub")) }
pub async fn test_ops(_: &DeviceChoice, _: &GpuOptions, _: &str) -> Result<(DeviceInfo, Vec<OpResult>)> { Err(Fault::unsupported("stub")) }
pub async fn dispatch_gap(_: &DeviceChoice, _: &GpuOptions) -> Result<Vec<(String, String)>> { Err(Fault::unsupported("stub")) }
