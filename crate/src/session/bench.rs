//! Prefill and decode speed.

use crate::{
    old_engine::{device::Counters, plan::PlanId},
    fault::{Fault, Result},
};

use super::{Generation, Stopwatch};

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
    /// What the device did per decoded token.
    pub dispatches_per_token: f64,
    /// Queue submissions per decoded token.
    pub submits_per_token: f64,
    /// Bytes of weights and cache read for one token in the middle of the decode.
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
    for repetition in 0..=repetitions {
        let (prefill_s, decode_s, spent) = once(generation, prefill, decode, repetition).await?;
        if repetition > 0 {
            speed.prefill.push(f64::from(prefill) / prefill_s);
            speed.decode.push(f64::from(decode) / decode_s);
            speed.dispatches_per_token = spent.dispatches as f64 / f64::from(decode);
            speed.submits_per_token = spent.submits as f64 / f64::from(decode);
        }
    }
    speed.prefill.sort_by(f64::total_cmp);
    speed.decode.sort_by(f64::total_cmp);
    Ok(speed)
}

async fn once(generation: &mut Generation, prefill: u32, decode: u32, seed: u32) -> Result<(f64, f64, Counters)> {
    let vocab = generation.program().vocab;
    // A fixed pseudo-random prompt: which tokens they are does not change the work.
    let tokens: Vec<u32> = (0..prefill).map(|i| (i + seed).wrapping_mul(2_654_435_761) % vocab).collect();
    let clock = Stopwatch::start();
    let depth = generation.start(&tokens)?;
    let mut ids = 0;
    while ids == 0 {
        ids = generation.device_mut().picked().await?.len() as u32;
    }
    let prefill_s = clock.seconds();
    let before = generation.device_mut().counters();
    let clock = Stopwatch::start();
    let (mut planned, mut received) = (0, 0);
    while received < decode {
        while planned < decode && planned - received < depth {
            generation.device_mut().run(PlanId::Decode, 1)?;
            planned += 1;
        }
        received += generation.device_mut().picked().await?.len() as u32;
    }
    let decode_s = clock.seconds();
    let after = generation.device_mut().counters();
    let spent = Counters { dispatches: after.dispatches - before.dispatches, submits: after.submits - before.submits };
    Ok((prefill_s, decode_s, spent))
}
