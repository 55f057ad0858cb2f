//! Glassbox: look inside model files, preview their tokenization, run them on your own GPU.
//!
//! The rooms of the crate lie on floors; a room imports only the rooms its row names, all of
//! them on lower floors (`tests/rust/layers.rs` holds this table).
//!
//! | floor | room | is for | may import |
//! |---|---|---|---|
//! | 0 | [`fault`] | what went wrong, whose doing, at which byte | - |
//! | 1 | [`source`] | random-access bytes: fetched, or still missing | fault |
//! | 1 | [`tensor`] | shapes, encodings, block decoding, statistics | fault |
//! | 2 | [`model`] | the common description of any model file: no bytes, no I/O | fault, tensor |
//! | 3 | [`formats`] | bytes to [`model::ModelFile`] | fault, source, tensor, model |
//! | 3 | [`tokenizer`] | text to ids and back, with a preview | fault, model |
//! | 4 | [`engine`] | architecture to graph to plan to device | fault, tensor, model |
//! | 5 | [`session`] | an opened file; a running generation | all above |
//! | 6 | [`report`] | serialisable views: the one vocabulary of every face | fault, tensor, model, tokenizer, engine, session |
//! | 7 | [`faces`] | the command line and the wasm bindings: translate, never decide | fault, source, session, report |

pub mod engine;
pub mod faces;
pub mod fault;
pub mod formats;
pub mod model;
pub mod report;
pub mod session;
pub mod source;
pub mod tensor;
pub mod tokenizer;
