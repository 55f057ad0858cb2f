//! How well a model predicts a text, and how far its predictions are from another model's.
//!
//! As llama.cpp's perplexity tool counts (`tools/perplexity/perplexity.cpp`): the text's tokens are cut into chunks of the context's
//! length, each read from an empty state; where the tokenizer adds BOS, it takes the place of each chunk's first token; tokens in
//! the second half of a chunk count, each predicted from all before it in its chunk.

use std::rc::Rc;

use super::{
    adapter::Adapter,
    runner::{RunSettings, Runner},
};
use crate::{
    engine::device::{DeviceChoice, DeviceInfo},
    fault::{Fault, Result},
    session::{GpuOptions, Inspection, Progress},
    tokenizer::{EncodeOptions, Vocabulary},
};

/// Tokens of a chunk unless more or fewer are asked for; fewer where the model was made for fewer.
const CONTEXT: u32 = 512;
/// The shortest chunk in whose second half something is predicted.
const SHORTEST: u32 = 4;
/// Rows of a step whose logits come to the host together.
const OUTPUTS: u32 = 32;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct EvalOptions {
    /// Tokens of a chunk.
    pub context: Option<u32>,
    /// The most chunks.
    pub chunks: Option<usize>,
}

/// A model that is evaluated.
pub struct Evaluated {
    runner: Runner,
    vocabulary: Option<Rc<Vocabulary>>,
}

/// A mean and its standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The standard error of the mean; 0 of a single value.
    pub error: f64,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Tokens of a chunk.
    pub context: u32,
    /// Chunks read.
    pub chunks: usize,
    /// Tokens of the text.
    pub tokens: usize,
    /// Tokens that were predicted.
    pub counted: usize,
    /// BOS took the place of each chunk's first token.
    pub bos: bool,
    /// The negative logarithm of the probability of a token.
    pub loss: Estimate,
    /// After each chunk, the perplexity so far.
    pub so_far: Vec<f64>,
    /// The same text by the other model, and how far the two are apart.
    pub against: Option<Against>,
}

/// Two models' predictions of the same tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Against {
    /// The other model's loss.
    pub loss: Estimate,
    /// By how much the first's loss is larger: the logarithm of the ratio of perplexities.
    pub difference: Estimate,
    /// Correlation of the two losses.
    pub correlation: f64,
    /// The divergence of the first's distribution from the other's: the sum over tokens of `p log(p / q)`, p the other's.
    pub divergence: Estimate,
    /// The divergence of each token predicted, smallest first.
    pub divergences: Vec<f32>,
    /// By how much the first gives a token of the text more probability.
    pub probability: Estimate,
    /// The root of the mean square of that.
    pub probability_rms: f64,
    /// How often both hold the same token the likeliest.
    pub agreement: Estimate,
}

impl Estimate {
    /// Of values, by their sum and the sum of their squares.
    fn of(sum: f64, squares: f64, n: usize) -> Self {
        let count = n.max(1) as f64;
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.0);
        Self { mean, error: if n > 1 { (variance / (count - 1.0)).sqrt() } else { 0.0 } }
    }
    /// `exp` of it, with the error that follows.
    pub fn exp(self) -> Self {
        let mean = self.mean.exp();
        Self { mean, error: mean * self.error }
    }
}

impl Evaluation {
    /// The perplexity: `exp` of the mean loss.
    pub fn perplexity(&self) -> Estimate {
        self.loss.exp()
    }
}

impl Against {
    /// The divergence below which a share of all lies.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.divergences.len().saturating_sub(1) as f64;
        let (at, all) = (share.clamp(0.0, 1.0) * last, &self.divergences);
        let value = |i: f64| all.get(i as usize).copied().map_or(0.0, f64::from);
        value(at.floor()) + (value(at.ceil()) - value(at.floor())) * at.fract()
    }
}

/// Tokens of a chunk for a model.
///
/// # Errors
/// Too few to predict anything, or more than the model was made for.
pub fn eval_context(inspection: &Inspection, options: &EvalOptions) -> Result<u32> {
    let most = crate::arch::build(inspection.model())?.hparams.context;
    let context = options.context.unwrap_or(CONTEXT.min(most));
    match context {
        n if n < SHORTEST => Err(Fault::caller(format!("a context of {n}: at least {SHORTEST} tokens are needed"))),
        n if n > most => Err(Fault::caller(format!("a context of {n} asked of a model made for {most}"))),
        n => Ok(n),
    }
}

impl Evaluated {
    /// Compiles the model for a device and streams its weights there.
    ///
    /// # Errors
    /// As [`super::Generation::load`].
    pub async fn load(
        inspection: Rc<Inspection>,
        choice: DeviceChoice,
        gpu: GpuOptions,
        context: u32,
        adapters: Vec<Adapter>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let vocabulary = inspection.vocabulary().await.ok();
        let outputs = OUTPUTS.min(context);
        let settings = RunSettings { adapters, context: Some(context), outputs, ..RunSettings::default() };
        let runner = Runner::load(inspection, choice, gpu, &settings, on_progress).await?;
        if runner.program().vocab == 0 {
            return Err(Fault::unsupported("the model is an encoder: it predicts no tokens"));
        }
        Ok(Self { runner, vocabulary })
    }
    /// The device in use.
    pub fn device(&self) -> &DeviceInfo {
        self.runner.info()
    }
    /// True where text can be encoded.
    pub fn has_tokenizer(&self) -> bool {
        self.vocabulary.is_some()
    }
    /// The ids of a text, as the tokenizer begins it.
    ///
    /// # Errors
    /// There is no tokenizer, or it cannot encode the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let vocabulary = self.vocabulary.as_ref();
        let vocabulary = vocabulary.ok_or_else(|| Fault::unsupported("the model has no tokenizer next to it"))?;
        vocabulary.encode(text, EncodeOptions { add_special: true, parse_special: false })
    }
    /// What takes the place of a chunk's first token.
    fn bos(&self) -> Option<u32> {
        let vocabulary = self.vocabulary.as_ref().filter(|v| v.adds_bos())?;
        vocabulary.id_of(vocabulary.bos_text()?)
    }
    /// Evaluates a text's tokens; with another model, how far apart the two are.
    ///
    /// # Errors
    /// The text has fewer tokens than two chunks; an id is beyond a vocabulary; the two vocabularies are not of one size; a
    /// device fails; logits are not finite.
    pub async fn evaluate(
        &mut self,
        ids: &[u32],
        mut other: Option<&mut Self>,
        options: &EvalOptions,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Evaluation> {
        let context = self.runner.program().context;
        let bos = self.bos();
        self.check(ids, other.as_deref())?;
        let n = context as usize;
        let chunks = (ids.len() / n).min(options.chunks.unwrap_or(usize::MAX));
        let mut sums = Sums::default();
        let mut so_far = Vec::with_capacity(chunks);
        for (nth, chunk) in ids.chunks_exact(n).take(chunks).enumerate() {
            let mut chunk = chunk.to_vec();
            if let (Some(bos), Some(first)) = (bos, chunk.first_mut()) {
                *first = bos;
            }
            self.chunk(&chunk, other.as_deref_mut(), &mut sums).await?;
            so_far.push(Estimate::of(sums.own, sums.own2, sums.count).mean.exp());
            on_progress(Progress { what: "Predicting", done: nth as u64 + 1, total: chunks as u64 });
        }
        Ok(sums.finish(
            Evaluation {
                context,
                chunks,
                tokens: ids.len(),
                counted: 0,
                bos: bos.is_some(),
                loss: Estimate::default(),
                so_far,
                against: None,
            },
            other.is_some(),
        ))
    }
    fn check(&self, ids: &[u32], other: Option<&Self>) -> Result<()> {
        let program = self.runner.program();
        let least = 2 * u64::from(program.context);
        if (ids.len() as u64) < least {
            let n = program.context;
            return Err(Fault::caller(format!(
                "the text has {} tokens; at least {least} are needed for chunks of {n}: a longer text, or a smaller --context",
                ids.len()
            )));
        }
        let vocabulary = other.map_or(program.vocab, |o| o.runner.program().vocab);
        if vocabulary != program.vocab {
            let what = format!(
                "the models predict {} and {vocabulary} tokens: they cannot be held against each other",
                program.vocab
            );
            return Err(Fault::caller(what));
        }
        match ids.iter().find(|id| **id >= program.vocab) {
            Some(id) => Err(Fault::caller(format!("token {id} is beyond the model's vocabulary of {}", program.vocab))),
            None => Ok(()),
        }
    }
    /// One chunk: its first half is read, in its second half each token is predicted.
    async fn chunk(&mut self, chunk: &[u32], mut other: Option<&mut Self>, sums: &mut Sums) -> Result<()> {
        let first = chunk.len() / 2;
        self.runner.read_on(chunk, 0..first, false).await?;
        if let Some(other) = other.as_deref_mut() {
            other.runner.read_on(chunk, 0..first, false).await?;
        }
        let last = chunk.len() - 1;
        for start in (first..last).step_by(OUTPUTS as usize) {
            let end = (start + OUTPUTS as usize).min(last);
            let own = self.runner.read_on(chunk, start..end, true).await?;
            let others = match other.as_deref_mut() {
                Some(other) => Some(other.runner.read_on(chunk, start..end, true).await?),
                None => None,
            };
            for (i, logits) in own.iter().enumerate() {
                let token = chunk.get(start + i + 1).copied().ok_or_else(|| Fault::bug("a token beyond its chunk"))?;
                sums.add(logits, others.as_ref().and_then(|o| o.get(i)).map(Vec::as_slice), token)?;
            }
        }
        Ok(())
    }
}

/// Sums over the tokens predicted.
#[derive(Default)]
struct Sums {
    count: usize,
    own: f64,
    own2: f64,
    other: f64,
    other2: f64,
    both: f64,
    divergence: f64,
    divergence2: f64,
    divergences: Vec<f32>,
    probability: f64,
    probability2: f64,
    agree: usize,
}

/// The logarithm of the sum of exponentials, and where the largest is.
fn partition(logits: &[f32]) -> Result<(f64, usize)> {
    let largest =
        logits.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (i, v)| if *v > best.1 { (i, *v) } else { best });
    let top = f64::from(largest.1);
    let sum: f64 = logits.iter().map(|v| (f64::from(*v) - top).exp()).sum();
    match sum.is_finite() && top.is_finite() {
        true => Ok((top + sum.ln(), largest.0)),
        false => Err(Fault::device("logits are not finite")),
    }
}

impl Sums {
    fn add(&mut self, logits: &[f32], other: Option<&[f32]>, token: u32) -> Result<()> {
        let of = |logits: &[f32], all: f64| all - logits.get(token as usize).copied().map_or(f64::NAN, f64::from);
        let (all, top) = partition(logits)?;
        let loss = of(logits, all);
        self.count += 1;
        self.own += loss;
        self.own2 += loss * loss;
        let Some(other) = other else { return Ok(()) };
        let (all_other, top_other) = partition(other)?;
        let loss_other = of(other, all_other);
        self.other += loss_other;
        self.other2 += loss_other * loss_other;
        self.both += loss * loss_other;
        let term = |(p, q): (&f32, &f32)| {
            let (log_p, log_q) = (f64::from(*p) - all_other, f64::from(*q) - all);
            // Where p is nothing, so is its term.
            if log_p < -700.0 { 0.0 } else { log_p.exp() * (log_p - log_q) }
        };
        let divergence: f64 = other.iter().zip(logits).map(term).sum();
        self.divergence += divergence;
        self.divergence2 += divergence * divergence;
        self.divergences.push(divergence as f32);
        let more = (-loss).exp() - (-loss_other).exp();
        self.probability += more;
        self.probability2 += more * more;
        self.agree += usize::from(top == top_other);
        Ok(())
    }
    fn finish(mut self, of: Evaluation, against: bool) -> Evaluation {
        let n = self.count;
        let loss = Estimate::of(self.own, self.own2, n);
        let against = against.then(|| {
            let other = Estimate::of(self.other, self.other2, n);
            let count = n.max(1) as f64;
            let covariance = self.both / count - loss.mean * other.mean;
            let variances =
                [(self.own2, loss.mean), (self.other2, other.mean)].map(|(sq, m)| (sq / count - m * m).max(0.0));
            let spread = (variances[0] * variances[1]).sqrt();
            let difference = (variances[0] + variances[1] - 2.0 * covariance).max(0.0);
            self.divergences.sort_by(f32::total_cmp);
            let agree = self.agree as f64;
            Against {
                loss: other,
                difference: Estimate {
                    mean: loss.mean - other.mean,
                    error: if n > 1 { (difference / (count - 1.0)).sqrt() } else { 0.0 },
                },
                correlation: if spread > 0.0 { (covariance / spread).clamp(-1.0, 1.0) } else { 1.0 },
                divergence: Estimate::of(self.divergence, self.divergence2, n),
                divergences: self.divergences,
                probability: Estimate::of(self.probability, self.probability2, n),
                probability_rms: (self.probability2 / count).sqrt(),
                agreement: Estimate::of(agree, agree, n),
            }
        });
        Evaluation { counted: n, loss, against, ..of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_predictions_have_no_divergence_and_agree() {
        let mut sums = Sums::default();
        for token in 0..3 {
            sums.add(&[0.0, 1.0, 2.0], Some(&[5.0, 6.0, 7.0]), token).unwrap();
        }
        let found = sums.finish(empty(), true);
        let against = found.against.unwrap();
        assert!(against.divergence.mean.abs() < 1e-12 && against.difference.mean.abs() < 1e-12);
        assert_eq!((against.agreement.mean, found.counted), (1.0, 3));
        // log(1 + e + e^2) less the logits' mean.
        let expected = (1f64 + 1f64.exp() + 2f64.exp()).ln() - 1.0;
        assert!((found.loss.mean - expected).abs() < 1e-12);
    }

    #[test]
    fn a_divergence_is_the_sum_of_p_log_p_over_q() {
        let mut sums = Sums::default();
        // q = (1/2, 1/2), p = (3/4, 1/4).
        sums.add(&[0.0, 0.0], Some(&[3f32.ln(), 0.0]), 0).unwrap();
        let against = sums.finish(empty(), true).against.unwrap();
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((against.divergence.mean - expected).abs() < 1e-7);
        assert!((against.probability.mean + 0.25).abs() < 1e-7);
        assert!((against.quantile(0.5) - expected).abs() < 1e-6);
    }

    #[test]
    fn logits_that_are_not_finite_are_refused() {
        assert!(Sums::default().add(&[f32::NAN, f32::NEG_INFINITY], None, 0).is_err());
        assert!(Sums::default().add(&[f32::INFINITY, 0.0], None, 0).is_err());
    }

    fn empty() -> Evaluation {
        Evaluation {
            context: 4,
            chunks: 1,
            tokens: 8,
            counted: 0,
            bos: false,
            loss: Estimate::default(),
            so_far: Vec::new(),
            against: None,
        }
    }
}
