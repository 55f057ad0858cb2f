//! Everything that reads: formats, checks, verdicts, tokenizers, chat templates, damage, addresses, invariants.

#[cfg(feature = "chat")]
mod chat;
mod check;
mod common;
mod containers;
#[cfg(feature = "convert")]
mod convert;
#[cfg(feature = "compare")]
mod diff;
mod folders;
mod formats;
mod gguf_kinds;
mod golden;
mod hostile;
mod inspect;
mod invariants;
mod quant;
#[cfg(feature = "http")]
mod remote;
mod tokenize;
mod verdicts;
