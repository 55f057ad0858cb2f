//! Kernels against their CPU twins.

use serde::Serialize;

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
    /// Normalised mean squared error against the scalar twin.
    pub nmse: f64,
    /// The tolerance.
    pub tolerance: f64,
    /// Within tolerance and no write outside the output.
    pub ok: bool,
    /// What went wrong, where something did.
    pub detail: Option<String>,
}
