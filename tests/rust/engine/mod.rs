//! Whole models through the engine: references, sequences, seeds, on the CPU and on the GPU in both tiers.

mod architectures;
mod carried;
#[cfg(feature = "convert")]
mod converted;
mod cpu;
mod encoders;
mod gpu;
mod layouts;
mod lora;
mod mixtures;
mod packed;
mod plans;
mod random;
mod sample;
mod samples;
mod sequences;
mod support;
