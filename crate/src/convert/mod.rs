//! Models written anew: quantized, edited, split, joined. Native only; the page reads and never writes.

mod copy;
pub mod edit;
pub mod exact;
pub mod gguf;
mod output;
pub mod quantize;
mod rows;
pub mod split;

pub use copy::{copy, planned};
pub use output::Output;
