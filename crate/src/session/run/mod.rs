//! A model that runs: its program on a device, the sequences on it, generations and embeddings.

mod adapter;
#[cfg(feature = "serve")]
mod batch;
mod bench;
mod classify;
mod dense;
mod embedding;
mod encoder;
mod evaluate;
mod generation;
mod head;
mod loader;
mod options;
#[cfg(feature = "serve")]
mod pages;
mod pipeline;
mod pooling;
mod runner;
mod scheduler;
mod sequence;
mod stop;
mod stop_text;

pub use adapter::Adapter;
#[cfg(feature = "serve")]
pub use batch::{Batch, BatchEvent, Ended, Request, Ticket, Token};
pub use bench::{Speed, bench};
pub use classify::{Classifier, Scored};
pub use embedding::{Asked, EmbedOptions, Embedder, Embedding};
pub use evaluate::{Against, Estimate, EvalOptions, Evaluated, Evaluation, eval_context};
pub use generation::{Alternative, Generated, Generation, OnToken, OnTokenOf, Outcome, StopReason};
pub use head::Scoring;
pub use loader::unpacked_rows;
pub use options::GenerationOptions;
pub use pipeline::Prompt;
pub use pooling::Pooling;
pub use runner::RunSettings;
pub use stop_text::begun;

/// What a model gives.
#[cfg(feature = "serve")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// The next token: [`Generation`].
    Tokens,
    /// Vectors of texts: [`Embedder`].
    Vectors,
    /// How well a text answers another: [`Classifier::rank`].
    Ranks,
}

/// What a model gives, by its graph and its head.
///
/// # Errors
/// The architecture is not supported.
#[cfg(feature = "serve")]
pub async fn gives(inspection: &crate::session::Inspection) -> crate::fault::Result<Gives> {
    if crate::arch::build(inspection.model())?.graph.output("logits").is_some() {
        return Ok(Gives::Tokens);
    }
    let ranks = head::Head::of(inspection).await.is_ok_and(|head| head.labels.len() == 1);
    Ok(if ranks { Gives::Ranks } else { Gives::Vectors })
}
