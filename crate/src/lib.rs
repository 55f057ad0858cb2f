//! Glassbox: look inside model files, preview their tokenization, run them on your own GPU.
//!
//! The rooms of the crate lie on floors; a room imports only the rooms its row names, all of
//! them on lower floors (`xtask/tests/layers.rs` holds this table).
//!
//! | floor | room | is for | may import |
//! |---|---|---|---|
//! | 0 | [`fault`] | what went wrong, whose doing, at which byte | - |
//! | 0 | `order` | one sort for lists of any type | - |
//! | 0 | [`random`] | repeatable numbers | - |
//! | 1 | [`source`] | random-access bytes: fetched, or still missing | fault |
//! | 1 | [`tensor`] | shapes, encodings, block decoding, statistics | fault |
//! | 2 | [`model`] | the common description of any model file: no bytes, no I/O | fault, tensor |
//! | 2 | [`ir`] | the typed graph of a model: operations, shapes, passes, what each operation means | fault, order, tensor |
//! | 3 | [`formats`] | bytes to [`model::ModelFile`] | fault, order, source, tensor, model |
//! | 3 | [`chat`] | conversations to text, by a model's own template | fault, model |
//! | 3 | [`tokenizer`] | text to ids and back, with a preview | fault, order, model |
//! | 4 | [`arch`] | what an architecture is: hyper-parameters, tensors, forward pass | fault, tensor, model, ir |
//! | 4 | [`engine`] | graph to program to device | fault, order, random, tensor, ir |
//! | 5 | [`convert`] | models written anew: converted, quantized, edited, split | fault, order, source, tensor, model, formats, tokenizer, arch |
//! | 5 | [`onnx`] | ONNX graphs, run on the CPU | fault, random, source, tensor, ir, formats, engine |
//! | 5 | [`check`] | what is wrong with a model, and what of it is missing | fault, order, source, tensor, model, formats, arch |
//! | 6 | [`verdict`] | who can run a model, and why not: rules over facts | fault, order, tensor, model, formats, arch, check |
//! | 7 | [`session`] | an opened file; a running generation | all above |
//! | 8 | [`compare`] | two models side by side: settings, tokenizers, templates, tensors, values | fault, source, tensor, model, ir, formats, chat, tokenizer, arch, session |
//! | 9 | [`report`] | serialisable views: the one vocabulary of every face | fault, order, tensor, model, tokenizer, arch, verdict, session, compare |
//! | 10 | [`faces`] | the command line and the wasm bindings: translate, never decide | fault, source, session, compare, report |

#[forbid(unsafe_code)]
pub mod arch;
#[cfg(feature = "chat")]
#[forbid(unsafe_code)]
pub mod chat;
#[forbid(unsafe_code)]
pub mod check;
#[cfg(feature = "compare")]
#[forbid(unsafe_code)]
pub mod compare;
#[cfg(feature = "convert")]
#[forbid(unsafe_code)]
pub mod convert;

pub mod engine;
pub mod faces;
#[forbid(unsafe_code)]
pub mod fault;
#[forbid(unsafe_code)]
pub mod formats;
#[forbid(unsafe_code)]
pub mod ir;
#[forbid(unsafe_code)]
pub mod model;
#[cfg(feature = "onnx")]
#[forbid(unsafe_code)]
pub mod onnx;
#[forbid(unsafe_code)]
mod order;
#[forbid(unsafe_code)]
pub mod random;
#[forbid(unsafe_code)]
pub mod report;
#[forbid(unsafe_code)]
pub mod session;
#[forbid(unsafe_code)]
pub mod source;
#[forbid(unsafe_code)]
pub mod tensor;
#[forbid(unsafe_code)]
pub mod tokenizer;
#[forbid(unsafe_code)]
pub mod verdict;
