//! Running a model.

use serde::Serialize;

/// The device in use.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DeviceReport {
    /// Number to give to `--device`; null for the CPU.
    pub index: Option<usize>,
    /// "NVIDIA H200", "CPU".
    pub name: String,
    /// "Vulkan", "WebGPU", "CPU".
    pub backend: String,
    /// Driver name and version.
    pub driver: String,
    /// "core", "subgroup" or null on the CPU.
    pub tier: Option<String>,
    /// Features in words.
    pub detail: String,
    /// A software GPU.
    pub software: bool,
    /// Limits in words: label and value.
    pub limits: Vec<super::Fact>,
    /// Why this one was chosen.
    pub reason: String,
}

/// Devices of this machine.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct DevicesReport {
    /// All of them; the CPU last.
    pub devices: Vec<DeviceReport>,
}

/// One generated token, streamed.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct GeneratedReport {
    /// Token id.
    pub id: u32,
    /// Text that became complete with it (may be empty).
    pub text: String,
    /// Probability of the token before sampling filters, where logits were read.
    pub probability: Option<f32>,
    /// The likeliest tokens: id, text, probability; where logits were read.
    pub alternatives: Vec<AlternativeReport>,
}

/// A token that was likely.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AlternativeReport {
    /// Token id.
    pub id: u32,
    /// Its text.
    pub text: String,
    /// Its probability.
    pub probability: f32,
}

/// A finished generation.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RunReport {
    /// The prompt's ids.
    pub prompt_ids: Vec<u32>,
    /// The generated ids.
    pub ids: Vec<u32>,
    /// The generated text.
    pub text: String,
    /// Why it ended: "end token", "limit", "context" or "stopped".
    pub stop: &'static str,
    /// The device.
    pub device: DeviceReport,
    /// Times and counts.
    pub timing: TimingReport,
    /// Logits of the last prompt position, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub logits: Option<Vec<f32>>,
    /// Findings: software adapters, steps down, odd tokenizers.
    pub notes: Vec<String>,
}

/// Times of a run.
#[derive(Debug, Clone, Serialize, Default)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TimingReport {
    /// Loading weights to the device, seconds.
    pub load_s: f64,
    /// Prompt tokens.
    pub prefill_tokens: u32,
    /// Time to the first token, seconds.
    pub prefill_s: f64,
    /// Tokens decoded after the first.
    pub decode_tokens: u32,
    /// Their time, seconds.
    pub decode_s: f64,
    /// Dispatches of one decoded token.
    pub dispatches_per_token: u32,
    /// Bytes the device holds.
    #[cfg_attr(test, ts(type = "number"))]
    pub memory: u64,
}

/// Progress of a long piece of work.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ProgressReport {
    /// What is being done: "Loading weights".
    pub what: String,
    /// Done so far.
    #[cfg_attr(test, ts(type = "number"))]
    pub done: u64,
    /// Of how much.
    #[cfg_attr(test, ts(type = "number"))]
    pub total: u64,
}

/// Speed of a model on a device.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct BenchReport {
    /// Model file.
    pub model: String,
    /// The device.
    pub device: DeviceReport,
    /// Prompt length.
    pub prefill_tokens: u32,
    /// Median prefill speed.
    pub prefill_tokens_per_s: f64,
    /// Decoded tokens per repetition.
    pub decode_tokens: u32,
    /// Median decode speed.
    pub decode_tokens_per_s: f64,
    /// Smallest and largest of the repetitions: prefill, decode.
    pub prefill_range: [f64; 2],
    /// As above.
    pub decode_range: [f64; 2],
    /// Repetitions.
    pub repetitions: u32,
    /// Bytes of weights and cache that one decoded token reads.
    #[cfg_attr(test, ts(type = "number"))]
    pub bytes_per_token: u64,
    /// bytes_per_token times speed, GB/s.
    pub gigabytes_per_s: f64,
    /// Kernel launches of one decoded token.
    pub dispatches_per_token: f64,
    /// Submits of one decoded token.
    pub submits_per_token: f64,
    /// Seconds to load.
    pub load_s: f64,
    /// Bytes the device holds.
    #[cfg_attr(test, ts(type = "number"))]
    pub memory: u64,
}
