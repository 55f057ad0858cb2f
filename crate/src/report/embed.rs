//! Vectors of texts.

use serde::Serialize;

use super::DeviceReport;
use crate::session::{Embedder, Embedding, Prompt};

/// An encoder that is loaded.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EmbedderReport {
    /// The device.
    pub device: DeviceReport,
    /// Texts that its files name to be put before others.
    pub prompts: Vec<PromptReport>,
    /// The name of the one that is used where none is asked for.
    pub default_prompt: Option<String>,
    /// The most tokens of a text.
    pub most: u32,
}

/// A text to be put before others.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PromptReport {
    /// Its name.
    pub name: String,
    /// The text.
    pub text: String,
}

impl EmbedderReport {
    /// The report of an encoder.
    pub fn of(embedder: &Embedder) -> Self {
        let prompt = |p: &Prompt| PromptReport { name: p.name.clone(), text: p.text.clone() };
        Self {
            device: DeviceReport::of(embedder.device()),
            prompts: embedder.prompts().iter().map(prompt).collect(),
            default_prompt: embedder.default_prompt().map(str::to_owned),
            most: embedder.most(),
        }
    }
}

/// What an encoder made of texts.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EmbedReport {
    /// A vector for each text.
    pub embeddings: Vec<Vec<f32>>,
    /// Tokens of each text, as they were run.
    pub tokens: Vec<u32>,
    /// How hidden states became one vector: "mean", "cls", "last"; several, joined by "+", are side by side.
    pub pooling: String,
    /// Whether the vectors are scaled to length 1.
    pub normalized: bool,
    /// What was put before each text.
    pub prompt: String,
    /// The device.
    pub device: DeviceReport,
    /// Findings: texts that were cut.
    pub notes: Vec<String>,
}

impl EmbedReport {
    /// The report of some embeddings.
    pub fn of(embedder: &Embedder, prompt: String, embeddings: Vec<Embedding>) -> Self {
        let pooling: Vec<&str> = embedder.pooling().iter().map(|p| p.name()).collect();
        Self {
            notes: cut(embeddings.iter().map(|e| (e.ids.len() as u32, e.cut))),
            tokens: embeddings.iter().map(|e| e.ids.len() as u32).collect(),
            embeddings: embeddings.into_iter().map(|e| e.vector).collect(),
            pooling: pooling.join("+"),
            normalized: embedder.normalizes(),
            prompt,
            device: DeviceReport::of(embedder.device()),
        }
    }
}

/// What is said of texts that were cut, by the tokens that were run and those that were not.
pub(super) fn cut(texts: impl Iterator<Item = (u32, u32)>) -> Vec<String> {
    let one = |(i, (kept, cut)): (usize, (u32, u32))| {
        (cut > 0).then(|| format!("text {} was cut to {kept} tokens: {cut} more do not fit", i + 1))
    };
    texts.enumerate().filter_map(one).collect()
}
