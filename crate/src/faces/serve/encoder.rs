//! The thread that runs an encoder: vectors of texts, or ranks of texts.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    engine::Figures,
    error::{ApiError, ApiResult},
};
use crate::{
    fault::Result,
    session::{Asked, Classifier, Embedder, Embedding, Scored},
};

/// A loaded encoder.
pub(super) enum Encoder {
    Vectors(Embedder),
    Ranks(Classifier),
}

/// A text, or its ids.
pub(super) enum Input {
    Text(String),
    Ids(Vec<u32>),
}

/// What is asked of an encoder.
pub(super) enum Work {
    Vectors { inputs: Vec<Input>, prompt: Option<String>, to: oneshot::Sender<ApiResult<Vec<Embedding>>> },
    Ranks { query: String, texts: Vec<String>, to: oneshot::Sender<ApiResult<Vec<Scored>>> },
}

/// Work with its place among what runs and waits.
pub(super) type Job = (Work, OwnedSemaphorePermit);

impl Encoder {
    /// The most tokens of a text.
    pub(super) fn most(&self) -> u32 {
        match self {
            Self::Vectors(embedder) => embedder.most(),
            Self::Ranks(classifier) => classifier.most(),
        }
    }
    /// Works until no one can ask any more, in the order of asking.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>, figures: Arc<Figures>) {
        while let Some((work, _permit)) = jobs.recv().await {
            figures.waiting.store(jobs.len() as u64, Relaxed);
            figures.running.store(1, Relaxed);
            self.work(work, &figures).await;
            figures.steps.fetch_add(1, Relaxed);
            figures.running.store(0, Relaxed);
        }
    }
    async fn work(&mut self, work: Work, figures: &Figures) {
        let is_gone = match &work {
            Work::Vectors { to, .. } => to.is_closed(),
            Work::Ranks { to, .. } => to.is_closed(),
        };
        if is_gone {
            figures.abandoned.fetch_add(1, Relaxed);
            return;
        }
        let read = |tokens: usize| {
            figures.prompt_tokens.fetch_add(tokens as u64, Relaxed);
        };
        // Whoever asked may be gone by now.
        match (self, work) {
            (Self::Vectors(embedder), Work::Vectors { inputs, prompt, to }) => {
                let made = vectors(embedder, inputs, prompt.as_deref()).await;
                made.iter().flatten().for_each(|e| read(e.ids.len()));
                drop(to.send(made));
            }
            (Self::Ranks(classifier), Work::Ranks { query, texts, to }) => {
                let made = classifier.rank(&query, &texts).await.map_err(ApiError::from);
                made.iter().flatten().for_each(|s| read(s.tokens as usize));
                drop(to.send(made));
            }
            (Self::Ranks(_), Work::Vectors { to, .. }) => {
                drop(to.send(Err(ApiError::unsupported("the model ranks texts; it gives no vectors"))));
            }
            (Self::Vectors(_), Work::Ranks { to, .. }) => {
                drop(to.send(Err(ApiError::unsupported("the model gives vectors; it has no head that ranks texts"))));
            }
        }
    }
}

async fn vectors(embedder: &mut Embedder, inputs: Vec<Input>, prompt: Option<&str>) -> ApiResult<Vec<Embedding>> {
    let prompt = embedder.prompt(prompt)?;
    let encode = |input: Input| match input {
        Input::Text(text) => embedder.encode(&prompt, &text),
        Input::Ids(ids) => Ok(embedder.of_ids(&ids)),
    };
    let asked: Vec<Asked> = inputs.into_iter().map(encode).collect::<Result<_>>()?;
    let most = embedder.most();
    if let Some((i, (tokens, cut))) = asked.iter().map(Asked::length).enumerate().find(|(_, (_, cut))| *cut > 0) {
        let what = format!("text {i} has {} tokens; the model takes {most}", u64::from(tokens) + u64::from(cut));
        return Err(ApiError::field("input", what).code("context_length_exceeded"));
    }
    Ok(embedder.embed(&asked).await?)
}
