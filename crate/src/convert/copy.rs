//! A model's tensors as they are, behind a new header.

use std::io::Write;

use super::{
    gguf::{Header, Planned},
    rows::Stored,
};
use crate::{
    fault::{Fault, Result},
    model::{ModelFile, Place, TensorEntry},
    source::SourceSet,
};

/// Bytes of a tensor that are in memory at a time.
const PIECE: u64 = 8 << 20;

/// A tensor as it is, as a line of a header.
///
/// # Errors
/// Neither its encoding nor its place says how many bytes it has.
pub fn planned(entry: &TensorEntry) -> Result<Planned> {
    let (name, shape, encoding) = (entry.name.clone(), entry.shape.clone(), entry.encoding);
    let bytes = stored_bytes(entry)?;
    Ok(Planned { name, shape, encoding, bytes })
}

/// A tensor's size in its file.
pub(super) fn stored_bytes(entry: &TensorEntry) -> Result<u64> {
    match (&entry.place, entry.bytes) {
        (_, Some(bytes)) => Ok(bytes),
        (Place::Here { at, .. }, None) => Ok(at.end - at.start),
        _ => Err(Fault::unsupported(format!("the size of {} ({}) is not known", entry.name, entry.encoding))),
    }
}

/// Writes a header and behind it the model's tensors of these numbers, which the header lists in this order; returns the length.
///
/// # Errors
/// A tensor is not here or cannot be read; the output cannot be written.
pub async fn copy(
    header: &Header,
    tensors: &[usize],
    files: &SourceSet,
    model: &ModelFile,
    out: &mut dyn Write,
    on_progress: &mut dyn FnMut(u64, u64),
) -> Result<u64> {
    let total = header.tensors.iter().map(|t| t.bytes).fold(0, u64::saturating_add);
    let mut done = 0u64;
    let mut writer = header.write(files, model, out).await?;
    for tensor in tensors {
        let entry = model.tensors.get(*tensor).ok_or_else(|| Fault::bug("a header of other tensors"))?;
        let stored = Stored::of(files, model, entry)?;
        // Whole blocks, so that big-endian numbers can be turned.
        let block = entry.encoding.spec().map_or(1, |s| u64::from(s.block_bytes));
        let mut at = 0;
        while at < stored.bytes() {
            let end = stored.bytes().min(at + (PIECE / block).max(1) * block);
            writer.write(&stored.read(at..end).await?)?;
            done += end - at;
            at = end;
            on_progress(done, total);
        }
        writer.end()?;
    }
    writer.finish()
}
