//! Texts, and pairs of texts, through an encoder with a head: labels with scores.

use std::rc::Rc;

use super::{
    encoder::Encoder,
    head::{Head, Scoring},
    pipeline::Pipeline,
    runner::RunSettings,
};
use crate::{
    engine::device::{DeviceChoice, DeviceInfo},
    fault::{Fault, Result},
    session::{GpuOptions, Inspection, Progress},
    tokenizer::Fitted,
};

/// What a head makes of a text, or of two.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Tokens that were run.
    pub tokens: u32,
    /// Tokens that were cut off because the model takes no more.
    pub cut: u32,
    /// The head's results, one a label.
    pub logits: Vec<f64>,
    /// The same as scores.
    pub scores: Vec<f64>,
}

/// An encoder with a head, loaded on a device.
pub struct Classifier {
    encoder: Encoder,
    head: Head,
    lower_case: bool,
    most: usize,
}

impl Classifier {
    /// Compiles the model for a device and streams its weights there.
    ///
    /// # Errors
    /// The model has no head, or one that is not known; it is no encoder; as for a generation.
    pub async fn load(
        inspection: Rc<Inspection>,
        choice: DeviceChoice,
        gpu: GpuOptions,
        settings: &RunSettings,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let head = Head::of(&inspection).await?;
        let (stated, lower_case) = Pipeline::limits(&inspection);
        let encoder = Encoder::load(inspection, choice, gpu, settings, on_progress).await?;
        let most = stated.map_or(encoder.most(), |n| n.min(encoder.most())) as usize;
        Ok(Self { encoder, head, lower_case, most })
    }
    /// The device in use.
    pub fn device(&self) -> &DeviceInfo {
        self.encoder.device()
    }
    /// The labels, in the order of scores.
    pub fn labels(&self) -> &[String] {
        &self.head.labels
    }
    /// The most tokens of a text, or of a pair of texts.
    pub fn most(&self) -> u32 {
        self.most as u32
    }
    /// What becomes of the logits in classification.
    pub fn scoring(&self) -> Scoring {
        self.head.scoring
    }
    /// What becomes of a reranker's logit.
    pub fn ranking(&self) -> Scoring {
        self.head.ranking
    }
    fn cased(&self, text: &str) -> String {
        if self.lower_case { text.to_lowercase() } else { text.to_owned() }
    }
    /// Scores of texts, in their order.
    ///
    /// # Errors
    /// The model has no tokenizer; the device fails.
    pub async fn classify(&mut self, texts: &[String]) -> Result<Vec<Scored>> {
        let vocabulary = self.encoder.vocabulary()?;
        let fitted = texts.iter().map(|text| vocabulary.fitted(&self.cased(text), self.most));
        let fitted = fitted.collect::<Result<Vec<_>>>()?;
        self.run(&fitted, self.head.scoring).await
    }
    /// How well each text answers a query, in the texts' order.
    ///
    /// # Errors
    /// The head gives more than one score; as [`Self::classify`].
    pub async fn rank(&mut self, query: &str, texts: &[String]) -> Result<Vec<Scored>> {
        if self.head.labels.len() != 1 {
            let labels: Vec<&str> = self.head.labels.iter().take(8).map(String::as_str).collect();
            return Err(Fault::unsupported(format!(
                "a reranker gives a pair of texts one score; this model gives {} ({}): use classify",
                self.head.labels.len(),
                labels.join(", ")
            )));
        }
        let vocabulary = self.encoder.vocabulary()?;
        let query = self.cased(query);
        let fitted = texts.iter().map(|text| vocabulary.fitted_pair(&query, &self.cased(text), self.most));
        let fitted = fitted.collect::<Result<Vec<_>>>()?;
        self.run(&fitted, self.head.ranking).await
    }
    async fn run(&mut self, fitted: &[Fitted], scoring: Scoring) -> Result<Vec<Scored>> {
        let (head, texts): (&Head, Vec<&Fitted>) = (&self.head, fitted.iter().collect());
        let logits = self.encoder.run(&texts, &mut |_, hidden| head.logits(hidden)).await?;
        let scored = |(text, logits): (&Fitted, Vec<f64>)| Scored {
            tokens: text.ids.len() as u32,
            cut: text.cut,
            scores: scoring.of(&logits),
            logits,
        };
        Ok(fitted.iter().zip(logits).map(scored).collect())
    }
}
