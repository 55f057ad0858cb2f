//! A talk with a model.

use serde::Serialize;

use super::{DeviceReport, generation::stop_name};
use crate::session::{Outcome, Talk};

/// A whole talk: what was said, and what each answer took.
#[derive(Debug, Clone, Serialize)]
pub struct TalkReport {
    /// Messages with role and content, the system's first; of answers also what was thought.
    pub messages: serde_json::Value,
    /// One for each answer, also those that were taken back.
    pub turns: Vec<TurnReport>,
    /// Messages and commands that were refused, and why.
    pub refused: Vec<String>,
    /// Tokens that the context holds.
    pub context: u32,
    /// The device.
    pub device: DeviceReport,
}

/// What one answer took.
#[derive(Debug, Clone, Serialize)]
pub struct TurnReport {
    /// Tokens of the conversation as the template wrote it.
    pub prompt_tokens: u32,
    /// Those of them that were read; the others were remembered from the turn before.
    pub read_tokens: u32,
    /// Tokens of the answer.
    pub tokens: usize,
    /// From the message to the first token, seconds.
    pub prefill_s: f64,
    /// Tokens a second after the first; null of an answer of fewer than two.
    pub tokens_per_s: Option<f64>,
    /// Why it ended: "end token", "stop text", "limit", "context" or "stopped".
    pub stop: &'static str,
}

impl TurnReport {
    /// Of a finished answer.
    pub fn of(outcome: &Outcome) -> Self {
        let t = &outcome.timing;
        Self {
            prompt_tokens: t.prefill_tokens,
            read_tokens: t.prefill_tokens - t.kept_tokens,
            tokens: outcome.ids.len(),
            prefill_s: t.prefill_s,
            tokens_per_s: (t.decode_tokens > 0 && t.decode_s > 0.0).then(|| f64::from(t.decode_tokens) / t.decode_s),
            stop: stop_name(outcome.stop),
        }
    }
}

impl TalkReport {
    /// Of a talk that has ended.
    pub fn of(talk: &Talk, turns: Vec<TurnReport>, refused: Vec<String>) -> Self {
        let generation = talk.generation();
        Self {
            messages: talk.json(),
            turns,
            refused,
            context: generation.context(),
            device: DeviceReport::of(generation.device()),
        }
    }
}
