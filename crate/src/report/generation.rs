//! Running a model.

use serde::Serialize;

use crate::session::{
    Alternative, DeviceEntry, DeviceInfo, Generated, Generation, Outcome, Progress, Speed, StopReason, Timing,
};

use super::Fact;

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
    pub limits: Vec<Fact>,
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
    /// Why it ended: "end token", "stop text", "limit", "context" or "stopped".
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

impl DeviceReport {
    /// A device that is open.
    pub fn of(info: &DeviceInfo) -> Self {
        Self {
            index: None,
            name: info.name.clone(),
            backend: info.backend.clone(),
            driver: info.driver.clone(),
            tier: info.tier.map(|t| t.name().to_owned()),
            detail: info.detail.clone(),
            software: info.software,
            limits: Vec::new(),
            reason: info.reason.clone(),
        }
    }
    /// A device that was listed.
    pub fn listed(entry: &DeviceEntry) -> Self {
        let limits =
            entry.limits.iter().map(|(label, value)| Fact { label: label.clone(), value: value.clone(), source: None });
        Self { index: entry.index, limits: limits.collect(), ..Self::of(&entry.info) }
    }
}

impl From<&Generated> for GeneratedReport {
    fn from(token: &Generated) -> Self {
        let alternative =
            |a: &Alternative| AlternativeReport { id: a.id, text: a.text.clone(), probability: a.probability };
        Self {
            id: token.id,
            text: token.text.clone(),
            probability: token.probability,
            alternatives: token.alternatives.iter().map(alternative).collect(),
        }
    }
}

impl From<Progress> for ProgressReport {
    fn from(progress: Progress) -> Self {
        Self { what: progress.what.to_owned(), done: progress.done, total: progress.total }
    }
}

/// Why a generation ended, in words.
pub(super) fn stop_name(stop: StopReason) -> &'static str {
    match stop {
        StopReason::EndToken => "end token",
        StopReason::Limit => "limit",
        StopReason::Context => "context",
        StopReason::Stopped => "stopped",
        StopReason::StopText => "stop text",
    }
}

impl TimingReport {
    pub(super) fn of(t: &Timing) -> Self {
        Self {
            load_s: t.load_s,
            prefill_tokens: t.prefill_tokens,
            prefill_s: t.prefill_s,
            decode_tokens: t.decode_tokens,
            decode_s: t.decode_s,
            dispatches_per_token: t.dispatches_per_token,
            memory: t.memory,
        }
    }
}

impl RunReport {
    /// A finished generation on its device.
    pub fn of(generation: &Generation, outcome: Outcome) -> Self {
        let t = outcome.timing;
        Self {
            prompt_ids: outcome.prompt_ids,
            ids: outcome.ids,
            text: outcome.text,
            stop: stop_name(outcome.stop),
            device: DeviceReport::of(generation.device()),
            timing: TimingReport::of(&t),
            logits: outcome.logits,
            notes: outcome.notes,
        }
    }
}

impl BenchReport {
    /// Medians of a measurement.
    pub fn of(model: String, generation: &Generation, speed: &Speed) -> Self {
        let median = |v: &[f64]| v.get(v.len() / 2).copied().unwrap_or(0.0);
        let range = |v: &[f64]| [v.first().copied().unwrap_or(0.0), v.last().copied().unwrap_or(0.0)];
        Self {
            model,
            device: DeviceReport::of(generation.device()),
            prefill_tokens: speed.prefill_tokens,
            prefill_tokens_per_s: median(&speed.prefill),
            decode_tokens: speed.decode_tokens,
            decode_tokens_per_s: median(&speed.decode),
            prefill_range: range(&speed.prefill),
            decode_range: range(&speed.decode),
            repetitions: speed.decode.len() as u32,
            bytes_per_token: speed.bytes_per_token,
            gigabytes_per_s: speed.bytes_per_token as f64 * median(&speed.decode) / 1e9,
            dispatches_per_token: speed.dispatches_per_token,
            submits_per_token: speed.submits_per_token,
            load_s: generation.load_s(),
            memory: generation.memory(),
        }
    }
}
