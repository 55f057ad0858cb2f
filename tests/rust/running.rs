//! Everything that runs: architectures, whole models through the engine, ONNX graphs, shaders.

mod arch;
mod common;
mod engine;
mod eval;
#[cfg(feature = "onnx")]
mod onnx;
mod shaders;
