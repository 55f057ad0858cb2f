//! A model that runs: its program on a device, the sequences on it, generations and embeddings.

mod bench;
mod embedding;
mod generation;
mod loader;
mod runner;
mod scheduler;
mod sequence;
mod stop;

pub use bench::{Speed, bench};
pub use embedding::{Embedder, Embedding, Pooling};
pub use generation::{Alternative, Generated, Generation, GenerationOptions, OnToken, OnTokenOf, Outcome, StopReason};
pub use runner::RunSettings;
