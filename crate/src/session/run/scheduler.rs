//! Several sequences on one program: prompts are read in chunks, tokens decoded, each step a mix of both.
//!
//! While all sequences decode and nobody looks at the logits, chosen tokens feed the next step on the device, and the
//! host follows a few steps behind. Whatever changes the mix (a sequence ends, another begins) waits for those steps.

use std::collections::VecDeque;

use super::{
    runner::{Choice, Row, Runner},
    sequence::{Finish, Sequence},
};
use crate::{
    engine::{program::Want, sampler},
    fault::{Fault, LocalFuture, Result},
};

/// Called with the sequence's number and each token; resolves to why the sequence ends with it, if it does.
pub(super) type OnChosen<'a> = dyn FnMut(usize, &mut Sequence, Choice) -> LocalFuture<'static, Option<Finish>> + 'a;

/// Runs all sequences to their ends.
///
/// # Errors
/// The device fails (what was produced stays in the sequences); logits are not finite.
pub(super) async fn run(runner: &mut Runner, sequences: &mut [Sequence], on_chosen: &mut OnChosen<'_>) -> Result<()> {
    runner.discard_chosen();
    let longest = sequences.iter().map(|s| s.history.len() as u32).max().unwrap_or(1);
    runner.set_length(longest)?;
    for s in sequences.iter() {
        runner.set_sampling(s.slot, &s.sampling, s.told(), &s.history)?;
    }
    let mut ahead = Ahead::default();
    while sequences.iter().any(Sequence::is_active) {
        step(runner, sequences, &mut ahead, on_chosen).await?;
    }
    Ok(())
}

/// What is under way between two steps.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// For each step whose ids are outstanding: the sequence of each id.
    in_flight: VecDeque<Vec<usize>>,
    /// The sequences whose chosen tokens are the device's next step, in its order.
    feeding: Option<Vec<usize>>,
}

impl Ahead {
    /// Whether a step with this sequence is outstanding.
    #[cfg(feature = "serve")]
    pub(super) fn holds(&self, sequence: usize) -> bool {
        self.in_flight.iter().any(|order| order.contains(&sequence))
    }
    /// The next step is composed anew: the device would go on with a sequence that left, though another took its place.
    #[cfg(feature = "serve")]
    pub(super) fn compose_anew(&mut self) {
        self.feeding = None;
    }
}

/// Takes one step with the sequences that have not ended; nothing where there are none.
///
/// # Errors
/// As [`run`].
pub(super) async fn step(
    runner: &mut Runner,
    sequences: &mut [Sequence],
    ahead: &mut Ahead,
    on_chosen: &mut OnChosen<'_>,
) -> Result<()> {
    let mut steps = Steps { runner, sequences, ahead };
    let active = steps.active();
    if active.is_empty() {
        return Ok(());
    }
    if !active.iter().any(|i| steps.sequences[*i].looks_at_logits(steps.runner)) {
        return steps.on_device(&active, on_chosen).await;
    }
    // What was begun on the device is taken first: a sequence may have ended with it.
    if steps.ahead.in_flight.is_empty() {
        steps.on_host(&active, on_chosen).await
    } else {
        steps.collect(on_chosen).await
    }
}

struct Steps<'a> {
    runner: &'a mut Runner,
    sequences: &'a mut [Sequence],
    ahead: &'a mut Ahead,
}

impl Steps<'_> {
    /// In the order of their arrival: the first ones read their prompts first.
    fn active(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.sequences.len()).filter(|i| self.sequences[*i].is_active()).collect();
        all.sort_by_key(|i| self.sequences[*i].arrival);
        all
    }

    /// Ids stay on the device; the host only follows.
    async fn on_device(&mut self, active: &[usize], on_chosen: &mut OnChosen<'_>) -> Result<()> {
        if self.ahead.feeding.as_deref() == Some(active) {
            while self.ahead.in_flight.len() < self.runner.depth() && active.iter().all(|i| self.may_run_ahead(*i)) {
                self.runner.again(active.len()).await?;
                // It reads the tokens chosen last; those that the host does not know yet count when they come.
                if self.ahead.in_flight.is_empty() {
                    active.iter().for_each(|i| self.sequences[*i].read = self.sequences[*i].history.len());
                }
                self.ahead.in_flight.push_back(active.to_vec());
            }
        }
        if self.ahead.in_flight.is_empty() {
            self.compose(active, Want::Choice).await?;
        }
        self.collect(on_chosen).await
    }

    /// Whether a sequence still wants the token that another step would choose, and has room to read the last one.
    fn may_run_ahead(&self, i: usize) -> bool {
        let s = &self.sequences[i];
        let outstanding = self.ahead.in_flight.iter().filter(|order| order.contains(&i)).count();
        let position = s.history.len() + outstanding - 1;
        s.produced() + outstanding < s.max_tokens as usize && position < self.runner.program().context as usize
    }

    /// Takes the ids of the oldest step, if one is outstanding.
    async fn collect(&mut self, on_chosen: &mut OnChosen<'_>) -> Result<()> {
        let Some(order) = self.ahead.in_flight.front().cloned() else { return Ok(()) };
        let choices = self.runner.chosen().await?;
        let vocab = self.runner.program().vocab as usize;
        self.ahead.in_flight.pop_front();
        for (i, mut choice) in order.into_iter().zip(choices) {
            // Of a sequence that has ended, steps that ran ahead are dropped.
            if self.sequences[i].finish.is_none() {
                choice.alternatives.truncate((self.sequences[i].told() as usize).min(vocab));
                self.take(i, choice, on_chosen).await;
            }
        }
        Ok(())
    }

    /// A step made on the host: what each sequence has not read yet, as much as fits. Ends sequences that have no room.
    async fn compose(&mut self, active: &[usize], want: Want) -> Result<Vec<usize>> {
        let (mut rows, mut wanted, mut order) = (Vec::new(), Vec::new(), Vec::new());
        let most = self.runner.program().layout.rows as usize;
        let context = self.runner.program().context as usize;
        for (place, i) in active.iter().enumerate() {
            let s = &mut self.sequences[*i];
            if s.history.len() > context {
                s.finish = Some(Finish::Context);
                continue;
            }
            // Every sequence behind this one keeps room for a row.
            let room = (most - rows.len()).saturating_sub(active.len() - place - 1);
            let unread = &s.history[s.read..];
            let n = unread.len().min(room);
            for (at, token) in unread.iter().enumerate().take(n) {
                rows.push(Row { token: *token, position: (s.read + at) as u32, sequence: s.slot });
            }
            s.read += n;
            if n > 0 && s.read == s.history.len() {
                wanted.push(rows.len() as u32 - 1);
                order.push(*i);
            }
        }
        self.ahead.feeding = None;
        if rows.is_empty() {
            return Ok(order);
        }
        if wanted.is_empty() {
            self.runner.step(&rows, &wanted, Want::States).await?;
            return Ok(order);
        }
        self.runner.step(&rows, &wanted, want).await?;
        if want == Want::Choice {
            self.ahead.in_flight.push_back(order.clone());
            // The device goes on by itself only where every sequence chose.
            self.ahead.feeding = (order == active).then(|| order.clone());
        }
        Ok(order)
    }

    /// Logits come to the host: someone wants to see them all.
    async fn on_host(&mut self, active: &[usize], on_chosen: &mut OnChosen<'_>) -> Result<()> {
        let order = self.compose(active, Want::Results).await?;
        if order.is_empty() {
            return Ok(());
        }
        let rows = self.runner.result("logits", 0..order.len() as u32).await?;
        for (i, logits) in order.into_iter().zip(rows) {
            let s = &mut self.sequences[i];
            if s.keep_logits && s.logits.is_none() {
                s.logits = Some(logits.clone());
            }
            if s.max_tokens == 0 {
                s.finish = Some(Finish::Limit);
                continue;
            }
            let counts = s.sampling.has_penalties().then(|| s.counts(logits.len()));
            let logits = sampler::biased(logits, &s.logit_bias);
            let logits = sampler::penalised(&logits, counts.as_deref(), &s.sampling);
            let choice = sampler::choose(&logits, &s.sampling, s.history.len() as u64, s.told() as usize)?;
            let probability = Some(choice.probability);
            self.take(i, Choice { id: choice.id, probability, alternatives: choice.alternatives }, on_chosen).await;
        }
        Ok(())
    }

    /// Gives a token to its sequence, whose history but for this token has been read.
    async fn take(&mut self, i: usize, token: Choice, on_chosen: &mut OnChosen<'_>) {
        let ahead = self.ahead.in_flight.iter().any(|order| order.contains(&i));
        let s = &mut self.sequences[i];
        let id = token.id;
        let finish = on_chosen(i, s, token).await;
        s.read = s.history.len();
        // The end token itself is no part of the text.
        if finish != Some(Finish::EndToken) {
            s.history.push(id);
            s.read += usize::from(ahead);
        }
        s.finish = finish.or_else(|| (s.produced() >= s.max_tokens as usize).then_some(Finish::Limit));
        if s.finish.is_none() && s.history.len() > self.runner.program().context as usize {
            s.finish = Some(Finish::Context);
        }
        if s.finish.is_some() {
            // The device's next step would still hold this sequence: the others are composed anew.
            self.ahead.feeding = None;
        }
    }
}

/// Refuses a prompt that cannot be run.
///
/// # Errors
/// It has no tokens, does not fit the context, or has a token that the model does not know.
pub(super) fn check_prompt(runner: &Runner, prompt: &[u32]) -> Result<()> {
    let program = runner.program();
    if prompt.is_empty() {
        return Err(Fault::caller("the prompt has no tokens: type at least one word"));
    }
    if prompt.len() as u64 >= u64::from(program.context) {
        return Err(Fault::caller(format!(
            "the prompt has {} tokens, the context loaded holds {}: shorten it or load with a longer context",
            prompt.len(),
            program.context
        )));
    }
    match prompt.iter().find(|id| **id >= program.vocab) {
        Some(id) => Err(Fault::caller(format!("token {id} is beyond the model's vocabulary of {}", program.vocab))),
        None => Ok(()),
    }
}
