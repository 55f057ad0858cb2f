//! Values that lie in chunks, unpacked when they are asked for.

use std::{cell::RefCell, collections::HashMap, ops::Range, rc::Rc};

use crate::{
    fault::{Fault, Result},
    formats,
    model::Chunks,
    source::SourceFile,
};

/// Bytes of unpacked chunks that are kept: a row of a matrix may go through many, and the next row through the same.
const KEPT: usize = 256 << 20;
/// Bytes of the answer to one question, at most.
const ASKED_MOST: u64 = 1 << 30;

/// The chunks of one tensor in an open file.
pub(super) struct ChunkedValues<'a> {
    file: &'a SourceFile,
    chunks: &'a Chunks,
    dims: &'a [u64],
    unpacked: RefCell<HashMap<u64, Rc<Vec<u8>>>>,
}

impl<'a> ChunkedValues<'a> {
    pub(super) fn new(file: &'a SourceFile, chunks: &'a Chunks, dims: &'a [u64]) -> Self {
        Self { file, chunks, dims, unpacked: RefCell::default() }
    }
    /// Bytes of elements in row-major order, least significant byte first.
    ///
    /// # Errors
    /// A chunk cannot be read or unpacked.
    pub(super) async fn elements(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let width = self.chunks.width as usize;
        let count = range.end.saturating_sub(range.start);
        let bytes = count.saturating_mul(width as u64);
        if bytes > ASKED_MOST {
            return Err(Fault::limit(format!("{bytes} bytes requested; at most {ASKED_MOST} are unpacked at once")));
        }
        let mut out = Vec::with_capacity(bytes as usize);
        let (Some(row), Some(along)) = (self.dims.last(), self.chunks.sizes.last()) else { return Ok(out) };
        let (row, along) = ((*row).max(1), (*along).max(1));
        let mut at = range.start;
        while at < range.end {
            // A run within one row and one chunk.
            let column = at % row;
            let run = (along - column % along).min(row - column).min(range.end - at);
            let (number, within) = self.place(at);
            match self.chunk(number).await? {
                Some(chunk) => {
                    let from = (within as usize).saturating_mul(width);
                    let part = chunk.get(from..from + run as usize * width);
                    out.extend_from_slice(part.ok_or_else(|| Fault::bug("a chunk is shorter than its place says"))?);
                }
                None => (0..run).for_each(|_| self.fill(&mut out)),
            }
            at += run;
        }
        if self.chunks.big_endian && width > 1 {
            out.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        Ok(out)
    }
    /// The number of an element's chunk, and the element's number within it.
    fn place(&self, element: u64) -> (u64, u64) {
        let mut rest = element;
        let (mut number, mut within, mut step, mut inner) = (0u64, 0u64, 1u64, 1u64);
        for (dim, size) in self.dims.iter().zip(&self.chunks.sizes).rev() {
            let (dim, size) = ((*dim).max(1), (*size).max(1));
            let index = rest % dim;
            rest /= dim;
            number = number.saturating_add((index / size).saturating_mul(step));
            within = within.saturating_add((index % size).saturating_mul(inner));
            step = step.saturating_mul(dim.div_ceil(size));
            inner = inner.saturating_mul(size);
        }
        (number, within)
    }
    fn fill(&self, out: &mut Vec<u8>) {
        let width = self.chunks.width as usize;
        if self.chunks.fill.len() == width {
            out.extend_from_slice(&self.chunks.fill);
        } else {
            out.resize(out.len() + width, 0);
        }
    }
    /// A chunk's bytes before its filters; none where it is not stored.
    async fn chunk(&self, number: u64) -> Result<Option<Rc<Vec<u8>>>> {
        if let Some(known) = self.unpacked.borrow().get(&number) {
            return Ok(Some(Rc::clone(known)));
        }
        let Some(chunk) = self.chunks.find(number) else { return Ok(None) };
        let raw = self.file.read(chunk.at.clone()).await?;
        let bytes = formats::unfiltered_chunk(self.chunks, chunk, &raw)
            .map_err(|what| Fault::file(chunk.at.start, format!("chunk {number}: {what}")).in_file(self.file.name()))?;
        let bytes = Rc::new(bytes);
        let mut kept = self.unpacked.borrow_mut();
        if kept.values().map(|b| b.len()).sum::<usize>() + bytes.len() > KEPT {
            kept.clear();
        }
        kept.insert(number, Rc::clone(&bytes));
        Ok(Some(bytes))
    }
}
