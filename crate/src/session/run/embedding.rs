//! Embeddings: texts through an encoder, one vector each.

use std::rc::Rc;

use super::runner::{Row, RunSettings, Runner};
use crate::{
    engine::{
        device::{DeviceChoice, DeviceInfo},
        program::Want,
    },
    fault::{Fault, Result},
    session::{GpuOptions, Inspection, Progress},
    tokenizer::{EncodeOptions, Vocabulary},
};

/// How the hidden states of a text become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first token's.
    Cls,
    /// The last token's.
    Last,
}

impl Pooling {
    /// "mean", "cls", "last".
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::Last => "last",
        }
    }
    /// The pooling of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Mean, Self::Cls, Self::Last].into_iter().find(|p| p.name() == text)
    }
    /// What the model's files say: GGUF's `pooling_type`, else the folder's pooling module.
    pub fn stated(inspection: &Inspection) -> Option<Self> {
        let metadata = &inspection.model().metadata;
        let architecture = metadata.string("general.architecture").unwrap_or_default();
        // llama.cpp's enum: 1 mean, 2 cls, 3 last.
        match metadata.unsigned(&format!("{architecture}.pooling_type")) {
            Some(1) => return Some(Self::Mean),
            Some(2) => return Some(Self::Cls),
            Some(3) => return Some(Self::Last),
            _ => {}
        }
        let module = |mode: &str| metadata.boolean(&format!("module.1_Pooling.pooling_mode_{mode}")) == Some(true);
        if module("cls_token") {
            Some(Self::Cls)
        } else if module("lasttoken") {
            Some(Self::Last)
        } else if module("mean_tokens") {
            Some(Self::Mean)
        } else {
            None
        }
    }
}

/// One text's vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The text's tokens, as they were run.
    pub ids: Vec<u32>,
    /// The vector, scaled to length 1.
    pub vector: Vec<f32>,
    /// Tokens that were cut off because the model takes no more.
    pub cut: u32,
}

/// An encoder loaded on a device.
pub struct Embedder {
    runner: Runner,
    vocabulary: Result<Rc<Vocabulary>>,
    pooling: Pooling,
}

impl Embedder {
    /// Compiles the model for a device and streams its weights there. `pooling`: `None` takes what the files say, else the mean.
    ///
    /// # Errors
    /// The model is no encoder; as for a generation.
    pub async fn load(
        inspection: Rc<Inspection>,
        choice: DeviceChoice,
        gpu: GpuOptions,
        settings: &RunSettings,
        pooling: Option<Pooling>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let vocabulary = inspection.vocabulary().await;
        let pooling = pooling.or_else(|| Pooling::stated(&inspection)).unwrap_or(Pooling::Mean);
        let runner = Runner::load(inspection, choice, gpu, settings, on_progress).await?;
        if !runner.program().results.iter().any(|(name, _)| &**name == "hidden") {
            return Err(Fault::unsupported(
                "the model gives logits and no hidden states: it is run, not embedded with",
            ));
        }
        Ok(Self { runner, vocabulary, pooling })
    }
    /// The device in use.
    pub fn device(&self) -> &DeviceInfo {
        self.runner.info()
    }
    /// How hidden states become one vector.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }
    /// The tokens of a text, with those that the tokenizer adds.
    ///
    /// # Errors
    /// The model has no tokenizer.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.vocabulary.clone()?.encode(text, EncodeOptions { add_special: true, parse_special: false })
    }
    fn check(&self, ids: &[u32]) -> Result<()> {
        if ids.is_empty() {
            return Err(Fault::caller("a text without tokens has no vector"));
        }
        let known = self.runner.program().known_tokens();
        match ids.iter().find(|id| **id >= known) {
            Some(id) => Err(Fault::caller(format!("token {id} is beyond the model's vocabulary of {known}"))),
            None => Ok(()),
        }
    }
    /// The vectors of texts given as tokens; several texts share a step where they fit.
    ///
    /// # Errors
    /// A text without tokens; a token beyond the vocabulary; the device fails.
    pub async fn embed(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Embedding>> {
        texts.iter().try_for_each(|ids| self.check(ids))?;
        let mut embeddings = Vec::with_capacity(texts.len());
        let layout = self.runner.program().layout;
        let most = layout.rows.min(self.runner.program().context) as usize;
        let mut next = 0;
        while next < texts.len() {
            let (mut rows, mut parts) = (Vec::new(), Vec::new());
            for text in texts[next..].iter().take(layout.sequences as usize) {
                let kept = &text[..text.len().min(most)];
                if !rows.is_empty() && rows.len() + kept.len() > most {
                    break;
                }
                let (start, sequence) = (rows.len(), parts.len() as u32);
                rows.extend(kept.iter().enumerate().map(|(i, token)| Row {
                    token: *token,
                    position: i as u32,
                    sequence,
                }));
                parts.push((start..rows.len(), text));
            }
            self.runner.step(&rows, &[], Want::Results).await?;
            let hidden = self.runner.result("hidden", 0..rows.len() as u32).await?;
            for (range, text) in parts {
                let vector = pooled(self.pooling, &hidden[range.clone()])?;
                let ids = text[..range.len()].to_vec();
                embeddings.push(Embedding { cut: (text.len() - ids.len()) as u32, ids, vector });
                next += 1;
            }
        }
        Ok(embeddings)
    }
    /// The hidden states of one text, `[tokens, hidden size]`: for comparisons.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub async fn hidden(&mut self, ids: &[u32]) -> Result<Vec<Vec<f32>>> {
        self.check(ids)?;
        let rows: Vec<Row> =
            ids.iter().enumerate().map(|(i, token)| Row { token: *token, position: i as u32, sequence: 0 }).collect();
        self.runner.step(&rows, &[], Want::Results).await?;
        self.runner.result("hidden", 0..rows.len() as u32).await
    }
}

/// One vector of length 1 from hidden states; sums in f64.
fn pooled(pooling: Pooling, hidden: &[Vec<f32>]) -> Result<Vec<f32>> {
    let nothing = || Fault::bug("no hidden states");
    let vector: Vec<f64> = match pooling {
        Pooling::Cls => hidden.first().ok_or_else(nothing)?.iter().map(|v| f64::from(*v)).collect(),
        Pooling::Last => hidden.last().ok_or_else(nothing)?.iter().map(|v| f64::from(*v)).collect(),
        Pooling::Mean => {
            let width = hidden.first().ok_or_else(nothing)?.len();
            let mean = |i: usize| hidden.iter().map(|row| f64::from(row[i])).sum::<f64>() / hidden.len() as f64;
            (0..width).map(mean).collect()
        }
    };
    let length = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err(Fault::device("hidden states are NaN or infinite: the weights overflow f32 or are damaged"));
    }
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    Ok(vector.into_iter().map(|v| (v * scale) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one_by_every_pooling() {
        let hidden = vec![vec![3.0, 0.0], vec![0.0, 4.0]];
        assert_eq!(pooled(Pooling::Cls, &hidden).unwrap(), [1.0, 0.0]);
        assert_eq!(pooled(Pooling::Last, &hidden).unwrap(), [0.0, 1.0]);
        assert_eq!(pooled(Pooling::Mean, &hidden).unwrap(), [0.6, 0.8]);
    }
}
