//! Architecture to graph to plan to device.
//!
//! An [`arch`] module writes a model's forward pass as a graph of plain operations; the planner
//! lowers it to a [`plan::Program`]: a fixed list of slots and of kernel steps, made once at load.
//! A [`device::Device`] (GPU or CPU) holds the slots and runs the steps; position, count and token
//! live in the state slot on the device, so a step list never changes from token to token.

pub mod arch;
pub mod config;
pub mod device;
pub mod graph;
pub mod kernel;
pub mod plan;
pub mod planner;
pub mod sampler;
pub mod shader;
pub mod test_ops;
pub mod weights;

pub use planner::{ArchitectureSummary, Memory, PrepareOptions, can_run, prepare, tables_needed};
