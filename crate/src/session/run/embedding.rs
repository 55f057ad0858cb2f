//! Embeddings: texts through an encoder, one vector each.

use std::rc::Rc;

use super::{
    encoder::Encoder,
    pipeline::{Pipeline, Prompt},
    pooling::Pooling,
    runner::RunSettings,
};
use crate::{
    engine::device::{DeviceChoice, DeviceInfo},
    fault::Result,
    session::{GpuOptions, Inspection, Progress},
    tokenizer::Fitted,
};

/// One text's vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The text's tokens, as they were run.
    pub ids: Vec<u32>,
    /// The vector.
    pub vector: Vec<f32>,
    /// Tokens that were cut off because the model takes no more.
    pub cut: u32,
}

/// What is asked of an embedder beside what the model's files say.
#[derive(Debug, Clone, Default)]
pub struct EmbedOptions {
    /// How hidden states become one vector.
    pub pooling: Option<Pooling>,
    /// Whether vectors are scaled to length 1.
    pub normalize: Option<bool>,
}

/// An encoder loaded on a device.
pub struct Embedder {
    encoder: Encoder,
    pipeline: Pipeline,
}

impl Embedder {
    /// Compiles the model for a device and streams its weights there.
    ///
    /// # Errors
    /// The model is no encoder; its pipeline has a module that is not known; as for a generation.
    pub async fn load(
        inspection: Rc<Inspection>,
        choice: DeviceChoice,
        gpu: GpuOptions,
        settings: &RunSettings,
        options: EmbedOptions,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let mut pipeline = Pipeline::of(&inspection).await?;
        if let Some(pooling) = options.pooling {
            pipeline.pooling = vec![pooling];
        }
        if let Some(normalize) = options.normalize {
            pipeline.set_normalize(normalize);
        }
        let encoder = Encoder::load(inspection, choice, gpu, settings, on_progress).await?;
        pipeline.check(encoder.width())?;
        Ok(Self { encoder, pipeline })
    }
    /// The device in use.
    pub fn device(&self) -> &DeviceInfo {
        self.encoder.device()
    }
    /// How hidden states become one vector; several: side by side.
    pub fn pooling(&self) -> &[Pooling] {
        &self.pipeline.pooling
    }
    /// Whether vectors are scaled to length 1.
    pub fn normalizes(&self) -> bool {
        self.pipeline.normalizes()
    }
    /// The prompts that the model's files name.
    pub fn prompts(&self) -> &[Prompt] {
        &self.pipeline.prompts
    }
    /// The name of the prompt that the files use where none is asked for.
    pub fn default_prompt(&self) -> Option<&str> {
        self.pipeline.default_prompt.as_deref()
    }
    /// The most tokens of a text.
    pub fn most(&self) -> u32 {
        let most = self.encoder.most();
        self.pipeline.most.map_or(most, |n| n.min(most))
    }
    /// The text of the prompt of this name; without a name, of the one that the files use by default; empty where there is none.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn prompt(&self, name: Option<&str>) -> Result<String> {
        match name.or(self.pipeline.default_prompt.as_deref()) {
            Some(name) => self.pipeline.prompt(name).map(str::to_owned),
            None => Ok(String::new()),
        }
    }
    /// The tokens of a text behind a prompt, with those that the tokenizer adds; what the model cannot take is cut off.
    ///
    /// # Errors
    /// The model has no tokenizer.
    pub fn encode(&self, prompt: &str, text: &str) -> Result<Asked> {
        let lower = |text: &str| if self.pipeline.lower_case { text.to_lowercase() } else { text.to_owned() };
        let vocabulary = self.encoder.vocabulary()?;
        let most = self.most() as usize;
        let fitted = vocabulary.fitted(&lower(format!("{prompt}{text}").trim()), most)?;
        let prompt = match prompt.is_empty() || self.pipeline.include_prompt {
            true => 0,
            false => vocabulary.fitted(&lower(prompt.trim()), most)?.ids.len() - vocabulary.added_behind(),
        };
        Ok(Asked { fitted, prompt })
    }
    /// A text given as tokens; what the model cannot take is cut off.
    pub fn of_ids(&self, ids: &[u32]) -> Asked {
        let kept = ids.len().min(self.encoder.most() as usize);
        let fitted = Fitted { ids: ids[..kept].to_vec(), kinds: vec![0; kept], cut: (ids.len() - kept) as u32 };
        Asked { fitted, prompt: 0 }
    }
    /// The vectors of texts, in their order; several texts share a step where they fit.
    ///
    /// # Errors
    /// A text without tokens; a token beyond the vocabulary; the device fails.
    pub async fn embed(&mut self, texts: &[Asked]) -> Result<Vec<Embedding>> {
        let fitted: Vec<&Fitted> = texts.iter().map(|t| &t.fitted).collect();
        let pipeline = &self.pipeline;
        let mut take = |i: usize, hidden: &[Vec<f32>]| pipeline.vector(hidden, texts[i].prompt);
        let vectors = self.encoder.run(&fitted, &mut take).await?;
        let pairs = texts.iter().zip(vectors);
        Ok(pairs.map(|(t, vector)| Embedding { ids: t.fitted.ids.clone(), vector, cut: t.fitted.cut }).collect())
    }
    /// The hidden states of one text, `[tokens, hidden size]`: for comparisons.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub async fn hidden(&mut self, ids: &[u32]) -> Result<Vec<Vec<f32>>> {
        self.encoder.hidden(ids).await
    }
}

/// A text to be embedded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    fitted: Fitted,
    /// Tokens of its prompt, where they do not count.
    prompt: usize,
}

impl Asked {
    /// Its tokens, and how many were cut off because the model takes no more.
    pub fn length(&self) -> (u32, u32) {
        (self.fitted.ids.len() as u32, self.fitted.cut)
    }
}
