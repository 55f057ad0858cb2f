//! An opened model, and a running generation.

mod bench;
mod bytes;
#[cfg(feature = "chat")]
mod chat;
mod chunked;
mod companions;
mod devices;
mod generation;
mod inspection;
mod loader;
pub mod synth;
mod timing;
mod tokenizer_notes;
mod vocabulary;

pub use bench::{Speed, bench};
pub use bytes::{FileBytes, file_bytes};
#[cfg(feature = "chat")]
pub use chat::{Chat, Compared, Rendered};
pub use companions::{Beside, Need, complete, complete_from_folder, open_with_missing, open_with_tensor};
pub use devices::{DeviceEntry, GpuOptions, dispatch_gap, list_devices, test_ops};
pub use generation::{Alternative, Generated, Generation, GenerationOptions, OnToken, Outcome, Progress, StopReason};
pub use inspection::{Inspection, Peek};
pub use timing::{Stopwatch, Timing};
pub use vocabulary::open_vocabulary;

#[cfg(feature = "chat")]
pub use crate::chat::{Change, Conversation, Data, Failure, Finding, Template, diff};
pub use crate::{
    formats::ArrayItems,
    old_engine::{device::DeviceChoice, sampler::Sampling},
    tokenizer::{Catalog, Comparison, EncodeOptions, Search, Sort, TokenQuery, TokenType, Tokenized, Vocabulary},
};
