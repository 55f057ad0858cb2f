//! What is left when all tensors have come: what must be complete, zero, or the same as another.

use super::Maker;
use crate::{
    convert::{rows::Stored, to_gguf::plan::Step},
    fault::{Blame, Fault, Result},
    model::{ModelFile, TensorEntry},
    source::SourceSet,
};

impl Maker<'_> {
    /// The steps, and what a person may want to know.
    ///
    /// # Errors
    /// Experts are missing; a tensor that GGUF has no place for is not zero.
    pub(in crate::convert::to_gguf) async fn finish(mut self, files: &SourceSet) -> Result<(Vec<Step>, Vec<String>)> {
        if let Some(((layer, role), items)) = self.items.iter().next() {
            let what =
                format!("layer {layer} has {} of its {role:?}: not all that the configuration says", items.len());
            return Err(Fault::new(Blame::File, what));
        }
        for tensor in &self.zeros {
            let entry = self.entry(*tensor)?;
            let stored = Stored::of(files, self.model(), entry)?;
            let bytes = stored.read(0..stored.bytes()).await?;
            // Of minus zero the sign is set.
            let width = entry.encoding.spec().map_or(1, |s| s.block_bytes as usize);
            if bytes
                .chunks(width.max(1))
                .any(|v| v.iter().enumerate().any(|(i, b)| *b != 0 && !(i + 1 == width && *b == 0x80)))
            {
                let what = format!("{} is not zero, and GGUF has no place for it in {}", entry.name, self.gguf);
                return Err(Fault::unsupported(what));
            }
            self.left_out.push(entry.name.clone());
        }
        // Mamba's head, where it is saved beside the embedding that it is.
        if let (Some((step, head)), Some(embedding), "mamba") = (self.tied, self.embedding, self.gguf)
            && same(files, self.model(), self.entry(head)?, self.entry(embedding)?).await?
        {
            self.left_out.push(self.entry(head)?.name.clone());
            self.steps.remove(step);
        }
        let mut notes = Vec::new();
        if let Some(first) = self.left_out.first() {
            let more = self.left_out.len() - 1;
            let more = if more > 0 { format!(" and {more} more tensors") } else { String::new() };
            notes.push(format!("{first}{more}: left out, GGUF files of this architecture have no place for it"));
        }
        Ok((self.steps, notes))
    }
}

/// Bytes that are compared at a time.
const PIECE: u64 = 8 << 20;

/// Whether two tensors hold the same values.
async fn same(files: &SourceSet, model: &ModelFile, a: &TensorEntry, b: &TensorEntry) -> Result<bool> {
    let (a, b, alike) = (Stored::of(files, model, a)?, Stored::of(files, model, b)?, a.encoding == b.encoding);
    if !alike || a.bytes() != b.bytes() {
        return Ok(false);
    }
    let mut at = 0;
    while at < a.bytes() {
        let end = a.bytes().min(at + PIECE);
        if a.read(at..end).await? != b.read(at..end).await? {
            return Ok(false);
        }
        at = end;
    }
    Ok(true)
}
