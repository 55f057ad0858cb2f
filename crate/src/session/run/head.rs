//! Task heads over an encoder: from hidden states to a score for each label.
//!
//! Sources: transformers `modeling_{bert,roberta,distilbert,modernbert}.py` (ForSequenceClassification); llama.cpp
//! `llama-graph.cpp` (build_pooling, rank).

use super::{
    dense::{Activation, Dense, values},
    pooling::Pooling,
};
use crate::{
    arch,
    fault::{Blame, Fault, Result},
    model::MetaValue,
    session::Inspection,
};

/// What becomes of the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scoring {
    /// Shares of one among the labels.
    Softmax,
    /// Each label by itself, 0 to 1.
    Sigmoid,
    /// The logits themselves.
    Plain,
}

impl Scoring {
    /// "softmax", "sigmoid", "none".
    pub fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
            Self::Plain => "none",
        }
    }
    /// Scores of logits.
    pub(super) fn of(self, logits: &[f64]) -> Vec<f64> {
        match self {
            Self::Plain => logits.to_vec(),
            Self::Sigmoid => Activation::Sigmoid.map(logits.to_vec()),
            Self::Softmax => {
                let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = logits.iter().map(|x| (x - top).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(|p| p / sum).collect()
            }
        }
    }
}

enum Step {
    Dense(Dense),
    /// LayerNorm: weight, bias, what is added to the variance.
    Norm(Vec<f32>, Option<Vec<f32>>, f64),
}

/// A head: a token's hidden state, or the mean of all, through maps to a logit for each label.
pub(super) struct Head {
    pooling: Pooling,
    steps: Vec<Step>,
    pub(super) labels: Vec<String>,
    pub(super) scoring: Scoring,
    /// What a reranker's one score is put through.
    pub(super) ranking: Scoring,
}

impl Head {
    /// The model's head.
    ///
    /// # Errors
    /// It has none that gives scores to texts, or one that is not known; its tensors cannot be read or do not follow each other.
    pub(super) async fn of(inspection: &Inspection) -> Result<Self> {
        let gguf = inspection.model().metadata.string("general.architecture").is_some();
        let (pooling, steps) = if gguf { of_gguf(inspection).await? } else { of_folder(inspection).await? };
        let mut width = arch::build(inspection.model())?.hparams.hidden_size as usize;
        for step in &steps {
            let (reads, gives) = match step {
                Step::Dense(dense) => (dense.inputs(), dense.outputs()),
                Step::Norm(weight, ..) => (weight.len(), weight.len()),
            };
            if reads != width {
                return Err(Fault::new(Blame::File, format!("a head's map of {reads} values behind {width}")));
            }
            width = gives;
        }
        let (scoring, ranking) = scorings(inspection, width)?;
        Ok(Self { pooling, steps, labels: labels(inspection, width), scoring, ranking })
    }
    /// A logit for each label.
    ///
    /// # Errors
    /// Hidden states are NaN or infinite.
    pub(super) fn logits(&self, hidden: &[Vec<f32>]) -> Result<Vec<f64>> {
        let mut x = self.pooling.apply(hidden, 0)?;
        for step in &self.steps {
            x = match step {
                Step::Dense(dense) => dense.apply(&x)?,
                Step::Norm(weight, bias, eps) => normed(&x, weight, bias.as_deref(), *eps),
            };
        }
        match x.iter().all(|v| v.is_finite()) {
            true => Ok(x),
            false => Err(Fault::device("scores are NaN or infinite: the weights overflow f32 or are damaged")),
        }
    }
}

fn normed(x: &[f64], weight: &[f32], bias: Option<&[f32]>, eps: f64) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + eps).sqrt();
    let one = |(i, v): (usize, &f64)| (v - mean) * scale * f64::from(weight[i]) + bias.map_or(0.0, |b| f64::from(b[i]));
    x.iter().enumerate().map(one).collect()
}

/// The stem of the tensor that ends in this name, whatever class saved it.
fn stem_of(inspection: &Inspection, name: &str) -> Option<String> {
    let whole = format!("{name}.weight");
    let is = |n: &str| n == whole || n.strip_suffix(whole.as_str()).is_some_and(|before| before.ends_with('.'));
    let found = inspection.model().tensors.iter().find(|t| is(&t.name))?;
    found.name.strip_suffix(".weight").map(str::to_owned)
}

async fn dense(inspection: &Inspection, name: &str, activation: Activation) -> Result<Option<Step>> {
    let Some(stem) = stem_of(inspection, name) else { return Ok(None) };
    Ok(Dense::of_tensors(inspection, &stem, activation).await?.map(Step::Dense))
}

async fn norm(inspection: &Inspection, name: &str) -> Result<Option<Step>> {
    let Some(stem) = stem_of(inspection, name) else { return Ok(None) };
    let tensors = &inspection.model().tensors;
    let vector = async |end: &str| -> Result<Option<Vec<f32>>> {
        let Some(at) = tensors.iter().position(|t| t.name == format!("{stem}.{end}")) else { return Ok(None) };
        match *tensors[at].shape.0.as_slice() {
            [n] if n < 1 << 24 => values(inspection, at, n).await.map(Some),
            _ => {
                let what = format!("tensor {}: a vector expected, {} found", tensors[at].name, tensors[at].shape);
                Err(Fault::new(Blame::File, what))
            }
        }
    };
    let eps = f64::from(arch::build(inspection.model())?.hparams.norm_eps);
    let (weight, bias) = (vector("weight").await?, vector("bias").await?);
    let fits = bias.as_ref().map(Vec::len).is_none_or(|n| Some(n) == weight.as_ref().map(Vec::len));
    if !fits {
        return Err(Fault::new(Blame::File, format!("{stem}: a weight and a bias of different lengths")));
    }
    Ok(weight.map(|weight| Step::Norm(weight, bias, eps)))
}

/// What the model says it is: the class that saved it, or its architecture.
fn class(inspection: &Inspection) -> String {
    let metadata = &inspection.model().metadata;
    let first = metadata.array("config.architectures").and_then(|a| match a.head.first() {
        Some(MetaValue::String(class)) => Some(class.as_str()),
        _ => None,
    });
    let name = first.or_else(|| metadata.string("general.architecture")).unwrap_or("of no stated class");
    name.chars().take(60).collect()
}

fn without_head(inspection: &Inspection) -> Fault {
    let what = format!(
        "the model has no head that gives a text scores: it is {} (known heads: BERT's, DistilBERT's, RoBERTa's and ModernBERT's for \
         sequence classification, and GGUF's \"cls\"); use embed for vectors, run for text",
        class(inspection)
    );
    Fault::unsupported(what)
}

async fn of_folder(inspection: &Inspection) -> Result<(Pooling, Vec<Step>)> {
    let metadata = &inspection.model().metadata;
    let class = class(inspection);
    let other = class.contains("For") && !class.contains("ForSequenceClassification");
    if other {
        return Err(without_head(inspection));
    }
    let (tanh, plain) = (Activation::Tanh, Activation::Identity);
    let mut pooling = Pooling::Cls;
    let steps = if stem_of(inspection, "classifier.out_proj").is_some() {
        vec![dense(inspection, "classifier.dense", tanh).await?, dense(inspection, "classifier.out_proj", plain).await?]
    } else if stem_of(inspection, "pre_classifier").is_some() {
        vec![
            dense(inspection, "pre_classifier", Activation::Relu).await?,
            dense(inspection, "classifier", plain).await?,
        ]
    } else if stem_of(inspection, "head.dense").is_some() {
        match metadata.string("config.classifier_pooling") {
            Some("mean") => pooling = Pooling::Mean,
            Some("cls") | None => {}
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                return Err(Fault::unsupported(format!(
                    "classifier_pooling {other:?} is not known (known: cls, mean)"
                )));
            }
        }
        let f = Activation::parse(metadata.string("config.classifier_activation").unwrap_or("gelu"))?;
        vec![
            dense(inspection, "head.dense", f).await?,
            norm(inspection, "head.norm").await?,
            dense(inspection, "classifier", plain).await?,
        ]
    } else {
        vec![dense(inspection, "pooler.dense", tanh).await?, dense(inspection, "classifier", plain).await?]
    };
    // Each of a head's parts is there, or there is no head.
    let whole: Option<Vec<Step>> = steps.into_iter().collect();
    whole.map(|steps| (pooling, steps)).ok_or_else(|| without_head(inspection))
}

async fn of_gguf(inspection: &Inspection) -> Result<(Pooling, Vec<Step>)> {
    let metadata = &inspection.model().metadata;
    let architecture = metadata.string("general.architecture").unwrap_or_default();
    let modern = architecture == "modern-bert";
    // llama.cpp's numbers: 1 mean, 2 cls; ModernBERT's heads take the mean where nothing is stated.
    let pooling = match metadata.unsigned(&format!("{architecture}.classifier.pooling_type")) {
        Some(1) => Pooling::Mean,
        None if modern => Pooling::Mean,
        _ => Pooling::Cls,
    };
    let f = if modern { Activation::GeluTanh } else { Activation::Tanh };
    let mut steps = Vec::new();
    if let Some(first) = Dense::of_tensors(inspection, "cls", f).await? {
        steps.push(Step::Dense(first));
        steps.extend(norm(inspection, "cls.norm").await?);
    }
    steps.extend(Dense::of_tensors(inspection, "cls.output", Activation::Identity).await?.map(Step::Dense));
    if steps.is_empty() { Err(without_head(inspection)) } else { Ok((pooling, steps)) }
}

fn labels(inspection: &Inspection, count: usize) -> Vec<String> {
    let metadata = &inspection.model().metadata;
    let architecture = metadata.string("general.architecture").unwrap_or_default();
    let listed = metadata.array(&format!("{architecture}.classifier.output_labels"));
    let one = |i: usize| {
        let of_list = listed.and_then(|a| match a.head.get(i) {
            Some(MetaValue::String(label)) => Some(label.clone()),
            _ => None,
        });
        let of_config = || metadata.string(&format!("config.id2label.{i}")).map(str::to_owned);
        of_list.or_else(of_config).unwrap_or_else(|| format!("LABEL_{i}"))
    };
    (0..count).map(one).collect()
}

/// What becomes of the logits in classification and in ranking.
fn scorings(inspection: &Inspection, count: usize) -> Result<(Scoring, Scoring)> {
    let metadata = &inspection.model().metadata;
    let usual = if count == 1 { Scoring::Sigmoid } else { Scoring::Softmax };
    let scoring = match metadata.string("config.problem_type") {
        Some("multi_label_classification") => Scoring::Sigmoid,
        Some("regression") => Scoring::Plain,
        _ => usual,
    };
    let stated = ["config.sentence_transformers.activation_fn", "config.sbert_ce_default_activation_function"];
    let ranking = match stated.iter().find_map(|key| metadata.string(key)) {
        None => Scoring::Sigmoid,
        Some(name) => match Activation::parse(name)? {
            Activation::Identity => Scoring::Plain,
            Activation::Sigmoid => Scoring::Sigmoid,
            _ => {
                let name: String = name.chars().take(60).collect();
                return Err(Fault::unsupported(format!("scores through {name:?} cannot be given yet")));
            }
        },
    };
    Ok((scoring, ranking))
}
