//! Clocks and times of a run.

use web_time::Instant;

/// Seconds since it was started; works natively and in a browser.
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// How far a long piece of work is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being done.
    pub what: &'static str,
    /// Done so far.
    pub done: u64,
    /// Of how much.
    pub total: u64,
}

/// Times and counts of one generation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timing {
    /// Reading and uploading the weights, seconds.
    pub load_s: f64,
    /// Prompt tokens.
    pub prefill_tokens: u32,
    /// Those of them that the device remembered from the generation before and did not read again.
    pub kept_tokens: u32,
    /// From the prompt's start to the first token, seconds.
    pub prefill_s: f64,
    /// Tokens decoded after the first.
    pub decode_tokens: u32,
    /// Their time, seconds.
    pub decode_s: f64,
    /// Kernel launches of one decoded token.
    pub dispatches_per_token: u32,
    /// Queue submissions of all decoded tokens.
    pub decode_submits: u64,
    /// Bytes the device holds.
    pub memory: u64,
}
