//! Kernels against the meaning of their operations.

use serde::Serialize;

use crate::session::{DeviceInfo, OpResult};

/// The whole table of `test-ops`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OpsReport {
    /// The device.
    pub device: super::DeviceReport,
    /// One row per kernel, encoding and shape.
    pub ops: Vec<OpReport>,
    /// All of them within tolerance.
    pub ok: bool,
}

/// One comparison.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OpReport {
    /// Kernel.
    pub kernel: String,
    /// Weight encoding; empty where there is none.
    pub encoding: String,
    /// The shape, in words.
    pub shape: String,
    /// Normalised mean squared error against the operation's meaning.
    pub nmse: f64,
    /// The tolerance.
    pub tolerance: f64,
    /// Within tolerance and no write outside the output.
    pub ok: bool,
    /// What went wrong, where something did.
    pub detail: Option<String>,
}

impl OpsReport {
    /// Results of a run on a device.
    pub fn of(device: &DeviceInfo, results: &[OpResult]) -> Self {
        let ops: Vec<OpReport> = results
            .iter()
            .map(|r| OpReport {
                kernel: r.kernel.to_owned(),
                encoding: r.encoding.map(|e| e.name().into()).unwrap_or_default(),
                shape: r.shape.clone(),
                nmse: r.nmse,
                tolerance: r.tolerance,
                ok: r.ok,
                detail: r.detail.clone(),
            })
            .collect();
        let ok = !ops.is_empty() && ops.iter().all(|o| o.ok);
        Self { device: super::DeviceReport::of(device), ops, ok }
    }
}
