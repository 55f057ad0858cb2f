//! Several texts from one prompt.

use serde::Serialize;

use super::{DeviceReport, TimingReport, generation::stop_name};
use crate::session::{Generation, Outcome, Timing};

/// Texts that were generated at once from one prompt.
#[derive(Debug, Clone, Serialize)]
pub struct SamplesReport {
    /// The prompt's ids.
    pub prompt_ids: Vec<u32>,
    /// The texts, by their seeds.
    pub samples: Vec<SampleReport>,
    /// The device.
    pub device: DeviceReport,
    /// Times until the last text ended; the tokens decoded are those of all texts.
    pub timing: TimingReport,
    /// What a person should know of this run.
    pub notes: Vec<String>,
}

/// One of them.
#[derive(Debug, Clone, Serialize)]
pub struct SampleReport {
    /// The seed of its random numbers.
    pub seed: u64,
    /// The generated ids.
    pub ids: Vec<u32>,
    /// The generated text.
    pub text: String,
    /// Why it ended: "end token", "stop text", "limit", "context" or "stopped".
    pub stop: &'static str,
    /// Tokens of the prompt that were read for it; the others were read for the first one.
    pub read_tokens: u32,
}

impl SamplesReport {
    /// Of texts whose seeds follow the first one's.
    pub fn of(generation: &Generation, seed: u64, outcomes: Vec<Outcome>) -> Self {
        let mut timing = Timing::default();
        for t in outcomes.iter().map(|outcome| &outcome.timing) {
            let decoded = timing.decode_tokens + t.decode_tokens;
            timing = Timing { decode_s: t.decode_s.max(timing.decode_s), decode_tokens: decoded, ..*t };
        }
        let first = outcomes.first();
        Self {
            prompt_ids: first.map(|o| o.prompt_ids.clone()).unwrap_or_default(),
            notes: first.map(|o| o.notes.clone()).unwrap_or_default(),
            device: DeviceReport::of(generation.device()),
            timing: TimingReport::of(&timing),
            samples: outcomes.into_iter().zip(0..).map(|(o, i)| SampleReport::of(o, seed.wrapping_add(i))).collect(),
        }
    }
}

impl SampleReport {
    fn of(outcome: Outcome, seed: u64) -> Self {
        Self {
            seed,
            ids: outcome.ids,
            text: outcome.text,
            stop: stop_name(outcome.stop),
            read_tokens: outcome.timing.prefill_tokens - outcome.timing.kept_tokens,
        }
    }
}
