//! Serialisable views: what `--json` prints, what the page receives, what golden files hold.
//!
//! TypeScript types are derived from these structs by a test (`www/src/wire/report.ts`).

mod blocks;
mod bytes;
mod chat;
mod check;
#[cfg(all(feature = "convert", not(target_arch = "wasm32")))]
mod converting;
mod describe;
#[cfg(feature = "compare")]
mod diff;
mod embed;
mod eval;
mod explanation;
mod facts;
mod fault;
mod generation;
mod hierarchy;
mod keys;
mod kinds;
mod map;
mod model;
#[cfg(feature = "onnx")]
mod onnx;
mod ops;
#[cfg(all(feature = "convert", not(target_arch = "wasm32")))]
mod rewriting;
mod samples;
mod scores;
#[cfg(feature = "talk")]
mod talk;
mod tensors;
mod tokens;
#[cfg(test)]
mod typescript;
mod vocabulary;
#[cfg(all(feature = "convert", not(target_arch = "wasm32")))]
mod writing;

pub use blocks::{BlockFieldReport, BlockReport};
pub use bytes::BytesReport;
pub use chat::*;
pub use check::*;
#[cfg(all(feature = "convert", not(target_arch = "wasm32")))]
pub use converting::*;
pub use describe::items;
#[cfg(feature = "compare")]
pub use diff::*;
pub use embed::*;
pub use eval::*;
pub use explanation::*;
pub use fault::FaultReport;
pub use generation::*;
pub use map::*;
pub use model::*;
#[cfg(feature = "onnx")]
pub use onnx::*;
pub use ops::*;
#[cfg(all(feature = "convert", not(target_arch = "wasm32")))]
pub use rewriting::*;
pub use samples::*;
pub use scores::*;
#[cfg(feature = "talk")]
pub use talk::*;
pub use tensors::*;
pub use tokens::*;
pub use vocabulary::*;
#[cfg(all(feature = "convert", not(target_arch = "wasm32")))]
pub use writing::*;
