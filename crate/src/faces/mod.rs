//! The command line and the wasm bindings: they translate, they never decide.

#[cfg(not(target_arch = "wasm32"))]
pub mod cli;
#[cfg(all(feature = "serve", not(target_arch = "wasm32")))]
mod serve;
#[cfg(target_arch = "wasm32")]
pub mod wasm;
