//! What is asked of a generation.

use crate::{
    engine::sampler::Sampling,
    fault::{Fault, Result},
};

/// What to generate and how to choose.
#[derive(Debug, Clone)]
pub struct GenerationOptions {
    /// The most tokens to generate; 0: only read the prompt.
    pub max_tokens: u32,
    /// How to choose; temperature 0 is greedy.
    pub sampling: Sampling,
    /// Whether a prompt in text begins with what the tokenizer adds; chat templates write their own BOS.
    pub add_special: bool,
    /// Tell the probability of each token and the likeliest others.
    pub alternatives: bool,
    /// Keep the logits of the last prompt position.
    pub keep_logits: bool,
    /// Go on behind end tokens: for measurements.
    pub ignore_end: bool,
    /// Texts that end the generation. Neither they nor what follows is part of the text; text with which one of them may begin is held
    /// back until that is decided.
    pub stop: Vec<String>,
    /// Numbers added to the logits of tokens, by id.
    pub logit_bias: Vec<(u32, f32)>,
}

impl Default for GenerationOptions {
    /// The likeliest tokens, 128 at most.
    fn default() -> Self {
        Self {
            max_tokens: 128,
            sampling: Sampling::greedy(),
            add_special: true,
            alternatives: false,
            keep_logits: false,
            ignore_end: false,
            stop: Vec::new(),
            logit_bias: Vec::new(),
        }
    }
}

impl GenerationOptions {
    /// # Errors
    /// A setting is out of range; a text that ends the generation is empty; a bias is not finite, or of no token of `vocab`.
    pub(super) fn check(&self, vocab: u32) -> Result<()> {
        self.sampling.check()?;
        if self.stop.iter().any(String::is_empty) {
            return Err(Fault::caller("a text that ends the generation is empty"));
        }
        for (id, add) in &self.logit_bias {
            if *id >= vocab {
                return Err(Fault::caller(format!("a bias for token {id}, beyond the model's vocabulary of {vocab}")));
            }
            if !add.is_finite() {
                return Err(Fault::caller(format!("a bias of {add} for token {id}: it must be finite")));
            }
        }
        Ok(())
    }
}
