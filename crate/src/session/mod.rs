//! An opened model, and a running generation.

mod bench;
#[cfg(feature = "chat")]
mod chat;
mod devices;
mod generation;
mod inspection;
mod loader;
pub mod synth;
mod timing;
mod tokenized;
mod vocabulary;

pub use bench::{Speed, bench};
#[cfg(feature = "chat")]
pub use chat::{Chat, Compared, Rendered};
pub use devices::{DeviceEntry, GpuOptions, dispatch_gap, list_devices, test_ops};
pub use generation::{Alternative, Generated, Generation, GenerationOptions, OnToken, Outcome, Progress, StopReason};
pub use inspection::{Inspection, Peek};
pub use timing::{Stopwatch, Timing};
pub use tokenized::Tokenized;
pub use vocabulary::open_vocabulary;

#[cfg(feature = "chat")]
pub use crate::chat::{Change, Conversation, Data, Failure, Finding, Template, diff};
pub use crate::{
    engine::{device::DeviceChoice, sampler::Sampling},
    formats::ArrayItems,
    tokenizer::EncodeOptions,
};
