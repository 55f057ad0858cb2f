//! Vectors of texts.

use serde::Serialize;

use super::DeviceReport;
use crate::session::{Embedder, Embedding};

/// What an encoder made of texts.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EmbedReport {
    /// A vector for each text, scaled to length 1.
    pub embeddings: Vec<Vec<f32>>,
    /// Tokens of each text, as they were run.
    pub tokens: Vec<u32>,
    /// How hidden states became one vector: "mean", "cls" or "last".
    pub pooling: &'static str,
    /// The device.
    pub device: DeviceReport,
    /// Findings: texts that were cut.
    pub notes: Vec<String>,
}

impl EmbedReport {
    /// The report of some embeddings.
    pub fn of(embedder: &Embedder, embeddings: Vec<Embedding>) -> Self {
        let cut = |(i, e): (usize, &Embedding)| {
            let kept = e.ids.len();
            (e.cut > 0).then(|| format!("text {} was cut after {kept} tokens: {} more do not fit", i + 1, e.cut))
        };
        Self {
            notes: embeddings.iter().enumerate().filter_map(cut).collect(),
            tokens: embeddings.iter().map(|e| e.ids.len() as u32).collect(),
            embeddings: embeddings.into_iter().map(|e| e.vector).collect(),
            pooling: embedder.pooling().name(),
            device: DeviceReport::of(embedder.device()),
        }
    }
}
