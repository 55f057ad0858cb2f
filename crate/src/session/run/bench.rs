//! Prefill and decode speed.

use super::{Generation, GenerationOptions};
use crate::{
    engine::sampler::Sampling,
    fault::{Fault, LocalFuture, Result},
    order,
};

/// Measured speeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Speed {
    /// Prompt tokens of a repetition.
    pub prefill_tokens: u32,
    /// Decoded tokens of a repetition.
    pub decode_tokens: u32,
    /// Tokens per second of each repetition, sorted.
    pub prefill: Vec<f64>,
    /// Tokens per second of each repetition, sorted.
    pub decode: Vec<f64>,
    /// Kernel launches of a decoded token.
    pub dispatches_per_token: f64,
    /// Queue submissions per decoded token.
    pub submits_per_token: f64,
    /// Bytes of weights and states read for one token in the middle of the decode.
    pub bytes_per_token: u64,
}

/// Runs a random prompt of `prefill` tokens, then decodes `decode` tokens greedily, `repetitions` times after a warm-up.
///
/// # Errors
/// The lengths do not fit the context; the device fails.
pub async fn bench(generation: &mut Generation, prefill: u32, decode: u32, repetitions: u32) -> Result<Speed> {
    if prefill == 0 || decode == 0 || repetitions == 0 {
        return Err(Fault::caller("prefill, decode and repetitions must each be at least 1"));
    }
    if u64::from(prefill) + u64::from(decode) > u64::from(generation.context()) {
        return Err(Fault::caller(format!(
            "{prefill} + {decode} tokens do not fit the context of {}",
            generation.context()
        )));
    }
    let mut speed = Speed {
        prefill_tokens: prefill,
        decode_tokens: decode,
        prefill: Vec::new(),
        decode: Vec::new(),
        dispatches_per_token: 0.0,
        submits_per_token: 0.0,
        bytes_per_token: generation.program().bytes_per_token(prefill + decode / 2),
    };
    let options = GenerationOptions {
        // The first token comes with the prompt.
        max_tokens: decode + 1,
        sampling: Sampling::greedy(),
        add_special: false,
        ignore_end: true,
        ..GenerationOptions::default()
    };
    let (vocab, rows) = (generation.program().vocab, generation.program().layout.rows);
    for repetition in 0..=repetitions {
        // A fixed pseudo-random prompt: which tokens they are does not change the work, but none is remembered.
        let tokens = (0..prefill).map(|i| (i + repetition).wrapping_mul(2_654_435_761) % vocab).collect();
        let before = generation.counters();
        let mut go_on = |_: &_| -> LocalFuture<'static, bool> { Box::pin(std::future::ready(false)) };
        let timing = generation.generate_ids(tokens, &options, &mut go_on).await?.timing;
        let after = generation.counters();
        if repetition > 0 {
            speed.prefill.push(f64::from(prefill) / timing.prefill_s);
            speed.decode.push(f64::from(timing.decode_tokens) / timing.decode_s);
            speed.dispatches_per_token = f64::from(timing.dispatches_per_token);
            let submits = (after.submits - before.submits).saturating_sub(u64::from(prefill.div_ceil(rows)));
            speed.submits_per_token = submits as f64 / f64::from(decode);
        }
    }
    order::sort_by(&mut speed.prefill, f64::total_cmp);
    order::sort_by(&mut speed.decode, f64::total_cmp);
    Ok(speed)
}
