//! A model that runs: its program on a device, the sequences on it, generations and embeddings.

mod adapter;
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
mod pipeline;
mod pooling;
mod runner;
mod scheduler;
mod sequence;
mod stop;
mod stop_text;

pub use adapter::Adapter;
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
#[cfg(feature = "talk")]
pub(super) use stop_text::begun;
