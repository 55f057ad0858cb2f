//! How well a model predicts a text.

use serde::Serialize;

use super::DeviceReport;
use crate::session::{Against, Estimate, Evaluated, Evaluation};

/// A model on a text.
#[derive(Debug, Clone, Serialize)]
pub struct EvalReport {
    /// Tokens of the text.
    pub tokens: u64,
    /// Tokens of a chunk.
    pub context: u32,
    /// Chunks read.
    pub chunks: u64,
    /// Tokens predicted: those of the second half of each chunk.
    pub counted: u64,
    /// BOS took the place of each chunk's first token.
    pub bos: bool,
    /// The perplexity.
    pub perplexity: EstimateReport,
    /// The mean negative logarithm of a token's probability.
    pub loss: EstimateReport,
    /// The perplexity after each chunk.
    pub so_far: Vec<f64>,
    /// The same text by the other model, and how far the two are apart.
    pub against: Option<AgainstReport>,
    /// The device.
    pub device: DeviceReport,
}

/// A mean and its standard error.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EstimateReport {
    /// The mean.
    pub mean: f64,
    /// The standard error of the mean.
    pub error: f64,
}

/// Two models on the same text.
#[derive(Debug, Clone, Serialize)]
pub struct AgainstReport {
    /// The other model's perplexity.
    pub perplexity: EstimateReport,
    /// The first's perplexity over the other's.
    pub perplexity_ratio: EstimateReport,
    /// The logarithm of that.
    pub log_ratio: EstimateReport,
    /// Correlation of the two models' losses.
    pub correlation: f64,
    /// The Kullback-Leibler divergence of the first from the other.
    pub kl_divergence: EstimateReport,
    /// Shares of the tokens and the divergence below which they lie.
    pub kl_quantiles: Vec<(f64, f64)>,
    /// The largest divergence.
    pub kl_largest: f64,
    /// How much more probability the first gives to the text's tokens.
    pub probability_change: EstimateReport,
    /// The root of the mean square of that.
    pub probability_change_rms: f64,
    /// How often both hold the same token the likeliest.
    pub same_top: EstimateReport,
}

/// Shares of tokens whose divergence is told.
const QUANTILES: &[f64] = &[0.01, 0.05, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999];

fn estimate(e: Estimate) -> EstimateReport {
    EstimateReport { mean: e.mean, error: e.error }
}

impl EvalReport {
    /// The report of an evaluation.
    pub fn of(model: &Evaluated, found: &Evaluation) -> Self {
        Self {
            tokens: found.tokens as u64,
            context: found.context,
            chunks: found.chunks as u64,
            counted: found.counted as u64,
            bos: found.bos,
            perplexity: estimate(found.perplexity()),
            loss: estimate(found.loss),
            so_far: found.so_far.clone(),
            against: found.against.as_ref().map(AgainstReport::of),
            device: DeviceReport::of(model.device()),
        }
    }
}

impl AgainstReport {
    fn of(found: &Against) -> Self {
        Self {
            perplexity: estimate(found.loss.exp()),
            perplexity_ratio: estimate(found.difference.exp()),
            log_ratio: estimate(found.difference),
            correlation: found.correlation,
            kl_divergence: estimate(found.divergence),
            kl_quantiles: QUANTILES.iter().map(|share| (*share, found.quantile(*share))).collect(),
            kl_largest: found.quantile(1.0),
            probability_change: estimate(found.probability),
            probability_change_rms: found.probability_rms,
            same_top: estimate(found.agreement),
        }
    }
}
