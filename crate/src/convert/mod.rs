//! Models written anew: converted, quantized, edited, split, joined. Native only; the page reads and never writes.

mod copy;
pub mod edit;
pub mod exact;
pub mod extract;
pub mod gguf;
mod output;
pub mod quantize;
mod rows;
pub mod split;
mod take;
pub mod to_gguf;
pub mod to_safetensors;
mod values;

pub use copy::{copy, planned};
pub use output::Output;
