//! Metadata entries from one GGUF file to another, byte for byte: also strings that are not UTF-8 and arrays that are never
//! held whole. Files of version 1 and big-endian ones come out in the newest form.

use std::io::Write;

use super::value::width;
use crate::{
    fault::{Fault, Result},
    source::SourceFile,
};

/// Bytes read at a time.
const PIECE: u64 = 1 << 18;
/// Arrays within arrays, at most: what the reader passes over as well.
const DEEPEST: usize = 8;

/// A file's entries, read forwards from one of them.
pub(super) struct Copier<'a> {
    file: &'a SourceFile,
    big_endian: bool,
    /// Lengths have 8 bytes; in version 1 they have 4.
    wide: bool,
    at: u64,
    buffer: Vec<u8>,
    from: usize,
}

impl<'a> Copier<'a> {
    /// A reader at byte `at`, in the form that the file's own header states.
    pub(super) async fn new(file: &'a SourceFile, at: u64) -> Result<Self> {
        let head = file.read(4..8).await?;
        let raw = head.first_chunk().copied().map_or(0, u32::from_le_bytes);
        let big_endian = raw & 0xffff == 0;
        let version = if big_endian { raw.swap_bytes() } else { raw };
        Ok(Self { file, big_endian, wide: version >= 2, at, buffer: Vec::new(), from: 0 })
    }
    /// The next `n` bytes; at most [`PIECE`] are asked for at a time.
    async fn take(&mut self, n: u64) -> Result<&mut [u8]> {
        let have = (self.buffer.len() - self.from) as u64;
        if have < n {
            let start = self.at + have;
            let end = (self.at + n).max((start + PIECE).min(self.file.len()));
            if end > self.file.len() {
                let what = "the file is shorter than when it was opened";
                return Err(Fault::source(what).in_file(self.file.name()).at(self.at));
            }
            self.buffer.drain(..self.from);
            self.from = 0;
            self.buffer.extend(self.file.read(start..end).await?);
        }
        let from = self.from;
        self.from += n as usize;
        self.at += n;
        Ok(&mut self.buffer[from..self.from])
    }
    async fn number(&mut self, width: u64) -> Result<u64> {
        let big_endian = self.big_endian;
        let bytes = self.take(width).await?;
        let fold = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Ok(if big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }
    async fn length(&mut self) -> Result<u64> {
        self.number(if self.wide { 8 } else { 4 }).await
    }
    /// Passes `n` numbers of `width` bytes on, least significant byte first.
    async fn numbers(&mut self, n: u64, width: u64, out: &mut dyn Write) -> Result<()> {
        let mut left = n.checked_mul(width).ok_or_else(|| Fault::file(self.at, "an array beyond 64 bits"))?;
        while left > 0 {
            let piece = left.min(PIECE);
            let swap = self.big_endian && width > 1;
            let bytes = self.take(piece).await?;
            if swap {
                bytes.chunks_exact_mut(width as usize).for_each(<[u8]>::reverse);
            }
            out.write_all(bytes).map_err(unwritten)?;
            left -= piece;
        }
        Ok(())
    }
    /// Passes a string on, its length before it.
    async fn string(&mut self, out: &mut dyn Write) -> Result<()> {
        let n = self.length().await?;
        out.write_all(&n.to_le_bytes()).map_err(unwritten)?;
        self.numbers(n, 1, out).await
    }
    /// Skips an entry's key, then passes its type and value on.
    pub(super) async fn value(&mut self, out: &mut dyn Write) -> Result<()> {
        let key = self.length().await?;
        self.numbers(key, 1, &mut std::io::sink()).await?;
        let kind = self.number(4).await? as u32;
        out.write_all(&kind.to_le_bytes()).map_err(unwritten)?;
        // Items of a type that are still to come, innermost last.
        let mut open = vec![(kind, 1u64)];
        while let Some((kind, left)) = open.last_mut() {
            let (kind, n) = (*kind, *left);
            if n == 0 {
                open.pop();
            } else if let Some(width) = width(kind) {
                *left = 0;
                self.numbers(n, width, out).await?;
            } else if kind == 8 {
                *left -= 1;
                self.string(out).await?;
            } else if kind == 9 && open.len() <= DEEPEST {
                open.last_mut().into_iter().for_each(|(_, left)| *left -= 1);
                let (item, len) = (self.number(4).await? as u32, self.length().await?);
                out.write_all(&item.to_le_bytes()).map_err(unwritten)?;
                out.write_all(&len.to_le_bytes()).map_err(unwritten)?;
                open.push((item, len));
            } else {
                let what = format!("a value of type {kind}, {} arrays deep, cannot be copied", open.len() - 1);
                return Err(Fault::file(self.at, what).in_file(self.file.name()));
            }
        }
        Ok(())
    }
}

/// A failure to write; the caller adds the file's name.
pub(super) fn unwritten(e: std::io::Error) -> Fault {
    Fault::source(format!("cannot be written: {e}"))
}
