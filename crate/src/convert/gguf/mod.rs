//! Writing GGUF version 3, little-endian: a header from parts of other files and new values, then tensors as they come.

mod copy;
mod value;
mod write;

pub use value::encoded;
pub use write::{ALIGNMENT, Entry, Header, Planned, Value, Writer};
