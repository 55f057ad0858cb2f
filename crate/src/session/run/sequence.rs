//! One sequence: what it has read, what it has produced, how it goes on.

use super::runner::Runner;
use crate::engine::sampler::Sampling;

/// Alternatives told of each token, unless another number is asked for.
pub(super) const ALTERNATIVES: u32 = 5;

/// Why a sequence ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// The model produced an end token.
    EndToken,
    /// As many tokens as asked for.
    Limit,
    /// The context is full.
    Context,
    /// The caller asked for it.
    Stopped,
    /// One of the texts that end it came.
    StopText,
}

/// A sequence under way.
pub(super) struct Sequence {
    /// Which of the program's sequences it is.
    pub(super) slot: u32,
    /// Where it stands among others: lower numbers read their prompts first.
    pub(super) arrival: u64,
    /// It takes no part in steps yet.
    pub(super) waits: bool,
    /// The prompt's tokens, then those produced.
    pub(super) history: Vec<u32>,
    /// How many of the history the device has read.
    pub(super) read: usize,
    pub(super) prompt_len: usize,
    /// How many of the prompt's tokens were read before this sequence began.
    pub(super) kept: usize,
    pub(super) max_tokens: u32,
    pub(super) sampling: Sampling,
    /// Added to the logits of these tokens.
    pub(super) logit_bias: Vec<(u32, f32)>,
    /// How many of the likeliest tokens are told at each step, with probabilities; 0: neither.
    pub(super) alternatives: u32,
    /// The logits after the prompt are wanted.
    pub(super) keep_logits: bool,
    pub(super) logits: Option<Vec<f32>>,
    pub(super) finish: Option<Finish>,
}

impl Sequence {
    /// Tokens produced.
    pub(super) fn produced(&self) -> usize {
        self.history.len() - self.prompt_len
    }
    /// Whether it takes part in steps.
    pub(super) fn is_active(&self) -> bool {
        self.finish.is_none() && !self.waits
    }
    /// How many of the likeliest tokens are told at each step.
    pub(super) fn told(&self) -> u32 {
        self.alternatives
    }
    /// Whether all its logits must come to the host.
    pub(super) fn looks_at_logits(&self, runner: &Runner) -> bool {
        let cannot = self.sampling.has_penalties() && runner.program().counts.is_none();
        self.keep_logits || self.max_tokens == 0 || cannot || !self.logit_bias.is_empty()
    }
    /// How often each token has occurred.
    pub(super) fn counts(&self, vocab: usize) -> Vec<u32> {
        let mut counts = vec![0; vocab];
        for id in &self.history {
            if let Some(count) = counts.get_mut(*id as usize) {
                *count += 1;
            }
        }
        counts
    }
}
