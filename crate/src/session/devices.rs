//! Opening the device that the user asked for.

use crate::{
    engine::{
        device::{Device, DeviceChoice, DeviceInfo, cpu::CpuDevice, gpu},
        test_ops::{self, OpResult},
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
