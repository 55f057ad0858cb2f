//! Choosing the next token from logits: the definition, which the CPU runs and GPU kernels are compared with.
//!
//! The order is llama.cpp's: biases, penalties, top-k, top-p, min-p, then temperature. The random number of a choice
//! depends on the seed and the position alone, sums are taken in f64 over a fixed order (logit
//! falling, id rising), so the same seed and logits give the same id on every device.

use std::borrow::Cow;

use super::program::sampling;
use crate::{
    fault::{Fault, Result},
    random,
};

/// How to choose.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0: the likeliest token always.
    pub temperature: f32,
    /// Keep this many of the likeliest; 0: all.
    pub top_k: usize,
    /// Keep the likeliest until their probabilities reach this sum; 1: all.
    pub top_p: f32,
    /// Keep those at least this times as likely as the likeliest; 0: all.
    pub min_p: f32,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Divides positive logits, multiplies negative ones, of tokens that have occurred; 1: none.
    pub repetition_penalty: f32,
    /// Subtracted from the logits of tokens that have occurred.
    pub presence_penalty: f32,
    /// Subtracted for each occurrence.
    pub frequency_penalty: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self::greedy()
    }
}

impl Sampling {
    /// The likeliest token always.
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: 0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
        }
    }
    /// Whether tokens that have occurred are less likely.
    pub fn has_penalties(&self) -> bool {
        self.repetition_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0
    }
    /// As the words of the sampling buffer.
    pub fn to_words(&self) -> [u32; sampling::WORDS] {
        let mut words = [0; sampling::WORDS];
        words[sampling::TEMPERATURE] = self.temperature.to_bits();
        words[sampling::TOP_K] = u32::try_from(self.top_k).unwrap_or(u32::MAX);
        words[sampling::TOP_P] = self.top_p.to_bits();
        words[sampling::MIN_P] = self.min_p.to_bits();
        words[sampling::SEED_LOW] = self.seed as u32;
        words[sampling::SEED_HIGH] = (self.seed >> 32) as u32;
        words[sampling::REPETITION] = self.repetition_penalty.to_bits();
        words[sampling::PRESENCE] = self.presence_penalty.to_bits();
        words[sampling::FREQUENCY] = self.frequency_penalty.to_bits();
        words
    }
    /// From the words of the sampling buffer.
    ///
    /// # Errors
    /// Fewer words than a sequence's settings.
    pub fn from_words(words: &[u32]) -> Result<Self> {
        let words = words.get(..sampling::WORDS).ok_or_else(|| Fault::bug("too few words for sampling settings"))?;
        let float = |at: usize| f32::from_bits(words[at]);
        Ok(Self {
            temperature: float(sampling::TEMPERATURE),
            top_k: words[sampling::TOP_K] as usize,
            top_p: float(sampling::TOP_P),
            min_p: float(sampling::MIN_P),
            seed: u64::from(words[sampling::SEED_HIGH]) << 32 | u64::from(words[sampling::SEED_LOW]),
            repetition_penalty: float(sampling::REPETITION),
            presence_penalty: float(sampling::PRESENCE),
            frequency_penalty: float(sampling::FREQUENCY),
        })
    }
    /// Whether no random number is used.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0 || self.top_k == 1
    }
    /// Checks the ranges.
    ///
    /// # Errors
    /// A value outside its range, named.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(Fault::caller(format!("temperature {}: a number from 0 up expected", self.temperature)));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Fault::caller(format!("top-p {}: above 0, up to 1 expected", self.top_p)));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(Fault::caller(format!("min-p {}: 0 to 1 expected", self.min_p)));
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            return Err(Fault::caller(format!(
                "repetition penalty {}: a number above 0 expected",
                self.repetition_penalty
            )));
        }
        if !(self.presence_penalty.is_finite() && self.frequency_penalty.is_finite()) {
            return Err(Fault::caller("presence and frequency penalties: finite numbers expected"));
        }
        Ok(())
    }
}

/// A chosen token.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Its id.
    pub id: u32,
    /// Its probability by the model, before any filter or temperature.
    pub probability: f32,
    /// The likeliest tokens and their probabilities by the model, likeliest first.
    pub alternatives: Vec<(u32, f32)>,
}

/// Logits with what is added to those of some tokens, before penalties; an id that there is not changes nothing.
pub fn biased(mut logits: Vec<f32>, bias: &[(u32, f32)]) -> Vec<f32> {
    for (id, add) in bias {
        if let Some(logit) = logits.get_mut(*id as usize) {
            *logit += add;
        }
    }
    logits
}

/// Logits after penalties; `counts` is how often each token has occurred.
pub fn penalised<'a>(logits: &'a [f32], counts: Option<&[u32]>, how: &Sampling) -> Cow<'a, [f32]> {
    let Some(counts) = counts.filter(|_| how.has_penalties()) else { return Cow::Borrowed(logits) };
    let mut logits = logits.to_vec();
    for (logit, count) in logits.iter_mut().zip(counts).filter(|(_, n)| **n > 0) {
        *logit = if *logit > 0.0 { *logit / how.repetition_penalty } else { *logit * how.repetition_penalty };
        *logit -= how.presence_penalty + how.frequency_penalty * *count as f32;
    }
    Cow::Owned(logits)
}

/// Chooses the token at `position` (the number of tokens before it).
///
/// `alternatives` is how many of the likeliest to tell.
///
/// # Errors
/// No logits, or one that is NaN or infinite; options out of range.
pub fn choose(logits: &[f32], how: &Sampling, position: u64, alternatives: usize) -> Result<Choice> {
    how.check()?;
    if let Some((id, bad)) = logits.iter().enumerate().find(|(_, l)| !l.is_finite()) {
        return Err(Fault::device(format!(
            "the logit of token {id} is {bad}: the weights overflow f32 or are damaged"
        )));
    }
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let by_logit = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    let wanted = match how {
        h if h.is_greedy() => alternatives.max(1),
        Sampling { top_k: 0, .. } => order.len(),
        h => h.top_k.max(alternatives),
    };
    if wanted < order.len() {
        order.select_nth_unstable_by(wanted, by_logit);
        order.truncate(wanted);
    }
    order.sort_unstable_by(by_logit);
    let Some(first) = order.first() else { return Err(Fault::bug("no logits to choose from")) };
    let top = f64::from(logits[*first as usize]);
    let weight = |id: &u32| (f64::from(logits[*id as usize]) - top).exp();
    let total: f64 = (0..logits.len() as u32).map(|id| weight(&id)).sum();
    let probability = |id: &u32| (weight(id) / total) as f32;
    let id = if how.is_greedy() { *first } else { draw(&order, logits, top, how, position) };
    let alternatives = order.iter().take(alternatives).map(|id| (*id, probability(id))).collect();
    Ok(Choice { id, probability: probability(&id), alternatives })
}

/// Draws from ids in falling order of logit; `top` is the largest logit.
fn draw(order: &[u32], logits: &[f32], top: f64, how: &Sampling, position: u64) -> u32 {
    let kept = if how.top_k == 0 { order } else { &order[..how.top_k.min(order.len())] };
    let logit = |id: &u32| f64::from(logits[*id as usize]) - top;
    let mut keep = kept.len();
    if how.top_p < 1.0 {
        let reach = f64::from(how.top_p) * kept.iter().map(|id| logit(id).exp()).sum::<f64>();
        let mut sum = 0.0;
        keep = 1 + kept
            .iter()
            .take_while(|id| {
                sum += logit(id).exp();
                sum < reach
            })
            .count();
    }
    let floor = f64::from(how.min_p).ln();
    let kept = &kept[..keep.min(kept.len())];
    let kept = &kept[..kept.iter().take_while(|id| logit(id) >= floor).count().max(1)];
    let weight = |id: &u32| (logit(id) / f64::from(how.temperature)).exp();
    let mut left = uniform(how.seed, position) * kept.iter().map(weight).sum::<f64>();
    for id in kept {
        left -= weight(id);
        if left < 0.0 {
            return *id;
        }
    }
    kept[kept.len() - 1]
}

/// A number from 0 up to 1 from seed and position: SplitMix64's output function applied to both, 53 bits.
pub fn uniform(seed: u64, position: u64) -> f64 {
    let key = random::mix(seed.wrapping_add(random::STEP));
    random::unit(random::mix(key.wrapping_add(position.wrapping_add(1).wrapping_mul(random::STEP))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_sampling() -> impl Strategy<Value = Sampling> {
        (0.0f32..3.0, 0usize..9, 0.01f32..=1.0, 0.0f32..=1.0, any::<u64>()).prop_map(
            |(temperature, top_k, top_p, min_p, seed)| Sampling {
                temperature,
                top_k,
                top_p,
                min_p,
                seed,
                ..Sampling::greedy()
            },
        )
    }

    proptest! {
        #[test]
        fn the_choice_is_among_the_k_likeliest(
            logits in prop::collection::vec(-20f32..20.0, 1..60), how in any_sampling(), at in 0u64..1000
        ) {
            let choice = choose(&logits, &how, at, 3).unwrap();
            let better = logits.iter().filter(|l| **l > logits[choice.id as usize]).count();
            let k = if how.temperature == 0.0 { 1 } else if how.top_k == 0 { logits.len() } else { how.top_k };
            prop_assert!(better < k);
            let floor = if how.is_greedy() { 0.0 } else { f64::from(how.min_p).ln() };
            let top = logits.iter().copied().fold(f32::MIN, f32::max);
            prop_assert!(f64::from(logits[choice.id as usize]) >= f64::from(top) + floor - 1e-4);
            prop_assert!(choice.alternatives.windows(2).all(|w| w[0].1 >= w[1].1));
        }

        #[test]
        fn the_same_seed_and_position_choose_the_same_id(
            logits in prop::collection::vec(-5f32..5.0, 1..60), how in any_sampling(), at in 0u64..1000
        ) {
            prop_assert_eq!(choose(&logits, &how, at, 0).unwrap(), choose(&logits, &how, at, 0).unwrap());
        }

        #[test]
        fn telling_more_alternatives_never_changes_the_choice(
            logits in prop::collection::vec(-5f32..5.0, 1..60), how in any_sampling(), at in 0u64..1000, n in 0usize..70
        ) {
            prop_assert_eq!(choose(&logits, &how, at, n).unwrap().id, choose(&logits, &how, at, 0).unwrap().id);
        }
    }

    #[test]
    fn penalties_lower_the_logits_of_tokens_that_have_occurred_alone() {
        let how =
            Sampling { repetition_penalty: 2.0, presence_penalty: 0.25, frequency_penalty: 0.5, ..Sampling::greedy() };
        let logits = penalised(&[1.0, 1.0, -1.0], Some(&[0, 2, 1]), &how);
        assert_eq!(*logits, [1.0, 0.5 - 1.25, -2.0 - 0.75]);
    }

    #[test]
    fn settings_survive_their_words() {
        let how = Sampling { temperature: 0.5, top_k: 40, seed: u64::MAX - 5, ..Sampling::greedy() };
        assert_eq!(Sampling::from_words(&how.to_words()).unwrap(), how);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let logits = [3f32.ln(), 0.0];
        let how = Sampling { temperature: 1.0, ..Sampling::greedy() };
        let n = 20_000;
        let first = (0..n).filter(|at| choose(&logits, &how, *at, 0).unwrap().id == 0).count();
        // Expected 15,000 with a standard deviation of 61.
        assert!((14_700..15_300).contains(&first), "{first}");
    }

    #[test]
    fn equal_logits_give_the_lowest_id() {
        assert_eq!(choose(&[1.0, 2.0, 2.0], &Sampling::greedy(), 0, 0).unwrap().id, 1);
    }

    #[test]
    fn top_p_keeps_the_token_that_reaches_the_sum() {
        let logits = [0.6f32.ln(), 0.3f32.ln(), 0.1f32.ln()];
        let how = Sampling { temperature: 1.0, top_p: 0.7, ..Sampling::greedy() };
        let ids: std::collections::BTreeSet<_> = (0..500).map(|at| choose(&logits, &how, at, 0).unwrap().id).collect();
        assert_eq!(ids, [0, 1].into());
    }

    #[test]
    fn a_logit_that_is_no_number_is_a_fault_that_names_the_token() {
        let fault = choose(&[0.0, f32::NAN], &Sampling::greedy(), 0, 0).unwrap_err();
        assert!(fault.what.contains("token 1"), "{fault}");
    }
}
