//! Quantizing a GGUF model: which tensor becomes what, then values rounded as libggml rounds them.

mod mix;
mod plan;
mod run;
mod types;

pub use plan::{Options, Override, Plan, Step, Why};
pub use run::{Moved, trial, write};
pub use types::{FILE_TYPES, FileType, encoding};
