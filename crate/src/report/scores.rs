//! Scores of texts by a model's head.

use std::cmp::Ordering;

use serde::Serialize;

use super::{DeviceReport, embed::cut};
use crate::session::{Classifier, Scored};

/// Labels of texts.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ClassifyReport {
    /// The texts, in their order.
    pub results: Vec<LabelledText>,
    /// What became of the head's logits: "softmax", "sigmoid", "none".
    pub scoring: &'static str,
    /// The device.
    pub device: DeviceReport,
    /// Findings: texts that were cut.
    pub notes: Vec<String>,
}

/// One text and its labels.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LabelledText {
    /// The text.
    pub text: String,
    /// Its tokens, as they were run.
    pub tokens: u32,
    /// All labels, the likeliest first.
    pub labels: Vec<LabelScore>,
}

/// A label's score.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LabelScore {
    /// The label.
    pub label: String,
    /// Its score.
    pub score: f64,
    /// The head's result before it became a score.
    pub logit: f64,
}

/// Texts in the order of how well they answer a query.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RankReport {
    /// The query.
    pub query: String,
    /// The texts, the best first.
    pub results: Vec<RankedText>,
    /// What became of the head's logit: "sigmoid", "none".
    pub scoring: &'static str,
    /// The device.
    pub device: DeviceReport,
    /// Findings: texts that were cut.
    pub notes: Vec<String>,
}

/// One text and its score.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RankedText {
    /// Which of the texts given, from 0.
    pub index: u32,
    /// The text.
    pub text: String,
    /// Its score.
    pub score: f64,
    /// The head's result before it became a score.
    pub logit: f64,
    /// Tokens of query and text, as they were run.
    pub tokens: u32,
}

/// The larger first; equal ones in their order.
fn descending(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}

fn notes(scored: &[Scored]) -> Vec<String> {
    cut(scored.iter().map(|s| (s.tokens, s.cut)))
}

impl ClassifyReport {
    /// The report of some texts' scores.
    pub fn of(model: &Classifier, texts: Vec<String>, scored: &[Scored]) -> Self {
        let one = |(text, scored): (String, &Scored)| {
            let parts = model.labels().iter().zip(&scored.scores).zip(&scored.logits);
            let mut labels: Vec<LabelScore> = parts
                .map(|((label, score), logit)| LabelScore { label: label.clone(), score: *score, logit: *logit })
                .collect();
            labels.sort_by(|a, b| descending(a.logit, b.logit));
            LabelledText { text, tokens: scored.tokens, labels }
        };
        Self {
            results: texts.into_iter().zip(scored).map(one).collect(),
            scoring: model.scoring().name(),
            device: DeviceReport::of(model.device()),
            notes: notes(scored),
        }
    }
}

impl RankReport {
    /// The report of some texts' scores.
    pub fn of(model: &Classifier, query: String, texts: Vec<String>, scored: &[Scored]) -> Self {
        let one = |(index, (text, scored)): (usize, (String, &Scored))| RankedText {
            index: index as u32,
            text,
            score: scored.scores.first().copied().unwrap_or(0.0),
            logit: scored.logits.first().copied().unwrap_or(0.0),
            tokens: scored.tokens,
        };
        let mut results: Vec<RankedText> = texts.into_iter().zip(scored).enumerate().map(one).collect();
        results.sort_by(|a, b| descending(a.logit, b.logit));
        Self {
            query,
            results,
            scoring: model.ranking().name(),
            device: DeviceReport::of(model.device()),
            notes: notes(scored),
        }
    }
}
