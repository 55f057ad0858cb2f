//! From the folder of a model to GGUF, as llama.cpp's `convert_hf_to_gguf.py` writes it.
//!
//! Which tensor becomes which is what `arch` knows of both forms; the order of keys and tensors, and which of them stay in
//! single precision, follow `conversion/base.py` and `gguf-py` (November 2026).

mod card;
mod config;
mod extra;
mod families;
mod general;
mod identity;
mod maker;
mod plan;
mod settings;
mod sizes;
mod vocabulary;

use std::io::Write;

pub(in crate::convert) use extra::llama3_factors;
pub use plan::{Options, Plan, Step, Type};

use super::values::Stream;
use crate::{
    fault::{Fault, Result},
    model::ModelFile,
    source::SourceSet,
};
use plan::Origin;

/// Writes the planned file; returns its length.
///
/// # Errors
/// A tensor cannot be read, or holds a value that its encoding cannot; the output cannot be written.
pub async fn write(
    plan: &Plan,
    header: &crate::convert::gguf::Header,
    steps: &[usize],
    files: &SourceSet,
    model: &ModelFile,
    out: &mut dyn Write,
    on_progress: &mut dyn FnMut(u64, u64),
) -> Result<u64> {
    let total = header.tensors.iter().map(|t| t.bytes).fold(0, u64::saturating_add);
    let mut done = 0;
    on_progress(done, total);
    let mut writer = header.write(files, model, out).await?;
    for number in steps {
        let step = plan.steps.get(*number).ok_or_else(|| Fault::bug("a step that was not planned"))?;
        match &step.origin {
            Origin::Taken(take) => {
                let stream = Stream::of(files, model, take, step.encoding, &step.name)?;
                let mut write = |bytes: &[u8]| {
                    done += bytes.len() as u64;
                    on_progress(done, total);
                    writer.write(bytes)
                };
                stream.write(&mut write).await?;
            }
            Origin::Made(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                done += bytes.len() as u64;
                writer.write(&bytes)?;
            }
        }
        writer.end()?;
    }
    writer.finish()
}
