//! Graph to program to device.
//!
//! [`compile`] lowers a graph to a [`program::Program`]: buffers and steps, made once at load. A [`device::Device`]
//! (GPU or CPU) holds the buffers and runs the steps; tokens, positions and sequences live in a buffer on the
//! device, so a plan never changes from step to step.

pub mod compile;
pub mod device;
pub mod figures;
pub mod kernels;
mod memory;
pub mod program;
pub mod sampler;
pub mod shader;
pub mod test_ops;
