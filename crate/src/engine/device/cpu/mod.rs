//! The CPU: keeps weights in their file's bytes and runs the same plans as a GPU.

mod buffer;
mod scalar;

pub use buffer::CpuBuffer;
pub use scalar::run_reference;
