//! An opened model, and a running generation.

mod bytes;
#[cfg(feature = "chat")]
mod chat;
mod chunked;
mod companions;
#[cfg(feature = "convert")]
mod converting;
mod devices;
mod findings;
mod inspection;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "convert")]
mod rewriting;
mod run;
mod support;
pub mod synth;
#[cfg(feature = "talk")]
mod talk;
mod timing;
mod tokenizer_notes;
mod values;
mod vocabulary;
#[cfg(feature = "convert")]
mod writing;

pub use bytes::{FileBytes, file_bytes};
#[cfg(feature = "chat")]
pub use chat::{Chat, Compared, Rendered};
pub use companions::{Beside, Need, complete, complete_from_folder, open_with_missing, open_with_tensor};
#[cfg(feature = "convert")]
pub use converting::{Conversion, Extraction, Unpacking};
pub use devices::{DeviceEntry, GpuOptions, dispatch_gap, list_devices, test_ops};
pub use findings::Examination;
pub use inspection::{Inspection, Peek};
#[cfg(feature = "onnx")]
pub use onnx::{GivenInput, GraphModel, GraphRun, NodeCase, json_values, node_case, outputs_npz};
#[cfg(feature = "convert")]
pub use rewriting::{Edition, Splitting, Written, merge as merge_files};
pub use run::begun;
pub use run::{
    Adapter, Against, Alternative, Asked, Classifier, EmbedOptions, Embedder, Embedding, Estimate, EvalOptions,
    Evaluated, Evaluation, Generated, Generation, GenerationOptions, OnToken, OnTokenOf, Outcome, Pooling, Prompt,
    RunSettings, Scored, Scoring, Speed, StopReason, bench, eval_context, unpacked_rows,
};
#[cfg(feature = "serve")]
pub use run::{Batch, BatchEvent, Ended, Gives, Request, Ticket, Token, gives};
pub use support::{Support, graph_text, passes, program_text, support};
#[cfg(feature = "talk")]
pub use talk::{Message, OnPart, Part, Role, Talk, Thinking, WhenFull};
pub use timing::{Progress, Stopwatch, Timing};
pub use values::{Block, TensorValues};
pub use vocabulary::open_vocabulary;
#[cfg(feature = "convert")]
pub use writing::Quantization;

/// Rendering chat templates in a process of their own.
#[cfg(feature = "chat")]
pub mod templates {
    pub use crate::chat::{Carrier, answer, render_apart};
}

#[cfg(feature = "chat")]
pub use crate::chat::{Agreement, Change, Conversation, Data, Failure, Finding, Template, Tried, diff};
#[cfg(feature = "convert")]
pub use crate::convert::quantize::{
    FileType, Moved, Options as QuantizeOptions, Override, Why, encoding as encoding_to_write,
};
#[cfg(feature = "convert")]
pub use crate::convert::{
    edit::{Change as MetadataChange, Changed, text_of as text_change},
    split::Cut,
    to_gguf::{Options as ConvertOptions, Type as ConvertType},
    to_safetensors::Options as UnpackOptions,
};
#[cfg(feature = "onnx")]
pub use crate::onnx::{CaseResult, Value as GraphValue, operators};
pub use crate::{
    engine::{
        device::{DeviceChoice, DeviceInfo},
        program::CacheType,
        sampler::Sampling,
        test_ops::OpResult,
    },
    formats::ArrayItems,
    tokenizer::{Catalog, Comparison, EncodeOptions, Search, Sort, TokenQuery, TokenType, Tokenized, Vocabulary},
};
