//! Values of stored tensors, gathered, changed and rounded, a few million at a time.

use std::{num::NonZero, thread};

use super::take::{Map, Order, Take};
use crate::{
    convert::{exact::exact, rows::Stored},
    fault::{Blame, Fault, Result},
    model::ModelFile,
    source::SourceSet,
    tensor::{Decode, Encode, Encoding},
};

/// Values of a new tensor in memory at a time: with their bytes before and after some 50 MB.
const PIECE: u64 = 4 << 20;
/// Bytes of a source that are read at once to pick rows or columns from.
const WINDOW: u64 = 32 << 20;
/// Values that a thread takes at a time: whole blocks of every encoding.
const UNIT: usize = 1 << 16;

/// What a thread works on: the number of its first value, bytes before and after, and the first value that the new encoding does not hold.
type Share<'a> = (usize, &'a [u8], &'a mut [u8], Option<(usize, f32)>);

/// A new tensor's values on their way.
pub(super) struct Stream<'a> {
    take: &'a Take,
    stored: Vec<Stored<'a>>,
    /// Elements and bytes of a block as it is stored.
    block: (u64, u64),
    /// From elements to blocks; `None` where bytes stay as they are.
    change: Option<(Decode, Encode)>,
    to: Encoding,
    name: &'a str,
}

impl<'a> Stream<'a> {
    /// Opens the tensors that are taken from.
    ///
    /// # Errors
    /// One is not here, lies in blocks, or cannot become what is asked for.
    pub(super) fn of(
        files: &'a SourceSet,
        model: &'a ModelFile,
        take: &'a Take,
        to: Encoding,
        name: &'a str,
    ) -> Result<Self> {
        let entry = |i: &usize| model.tensors.get(*i).ok_or_else(|| Fault::bug("a step for no tensor"));
        let first = take.tensors.first().map(entry).transpose()?.ok_or_else(|| Fault::bug("a step of no tensor"))?;
        let from = first.encoding;
        // Rows of whole blocks can be taken; columns of blocks cannot.
        let rows = |len: u32| len == 1 || !take.turned && take.stored.1 % u64::from(len) == 0;
        let spec = from.spec().filter(|s| rows(s.block_len));
        let spec = spec.ok_or_else(|| {
            Fault::unsupported(format!("{} is {from}, whose values cannot be rearranged", first.name))
        })?;
        let mut stored = Vec::with_capacity(take.tensors.len());
        for entry in take.tensors.iter().map(entry) {
            let entry = entry?;
            if entry.encoding != from {
                let what = format!(
                    "{} is {}, and {}, which belongs with it, is {from}",
                    entry.name, entry.encoding, first.name
                );
                return Err(Fault::unsupported(what));
            }
            stored.push(Stored::of(files, model, entry)?);
        }
        let change = if to == from && take.map == Map::Same {
            None
        } else {
            let decode = spec.decode.filter(|_| !from.is_integer());
            let decode =
                decode.ok_or_else(|| Fault::unsupported(format!("{} is {from}, which is no weight", first.name)))?;
            let encode = exact(to).ok_or_else(|| Fault::unsupported(format!("{to} cannot be written")))?;
            Some((decode, encode))
        };
        let block = (u64::from(spec.block_len), u64::from(spec.block_bytes));
        Ok(Self { take, stored, block, change, to, name })
    }
    /// All of it, handed on in order.
    ///
    /// # Errors
    /// A file cannot be read; a value leaves the range of the encoding.
    pub(super) async fn write(&self, out: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (all, row_len) = (self.take.all_rows(), self.take.row_len().max(1));
        // Whole blocks in each piece: rows are whole blocks of every encoding that a tensor may become.
        let rows = (PIECE / row_len).max(1);
        let mut at = 0;
        while at < all {
            let end = all.min(at + rows);
            let bytes = self.gather(at, end).await?;
            match self.change {
                None => out(&bytes)?,
                Some(change) => out(&self.changed(&bytes, change, at * row_len)?)?,
            }
            at = end;
        }
        Ok(())
    }
    /// Bytes of so many stored elements, which are whole blocks.
    fn bytes_of(&self, elements: u64) -> u64 {
        elements / self.block.0 * self.block.1
    }
    /// The stored bytes of rows of the new tensor.
    async fn gather(&self, first: u64, end: u64) -> Result<Vec<u8>> {
        let row_bytes = self.bytes_of(self.take.row_len());
        let mut out = Vec::with_capacity(((end - first) * row_bytes) as usize);
        let mut at = first;
        while at < end {
            // Rows of one matrix.
            let (tensor, matrix, _) = self.take.place(at);
            let until = (at + self.take.rows - at % self.take.rows.max(1)).min(end);
            let stored = self.stored.get(tensor).ok_or_else(|| Fault::bug("rows beyond the tensors"))?;
            let rows: Vec<u64> = (at..until).map(|row| self.take.place(row).2).collect();
            let start = matrix * self.take.stored.0 * self.bytes_of(self.take.stored.1);
            if self.take.turned {
                self.columns(stored, start, &rows, &mut out).await?;
            } else {
                self.rows(stored, start, &rows, &mut out).await?;
            }
            at = until;
        }
        if self.take.columns != Order::SAME {
            self.rearrange(&mut out)?;
        }
        Ok(out)
    }
    /// Values of each row in their new order.
    fn rearrange(&self, rows: &mut [u8]) -> Result<()> {
        let width = self.block.1 as usize;
        let len = self.take.row_len() as usize * width;
        if self.block.0 != 1 || self.take.turned {
            return Err(Fault::unsupported(format!("{}: the values of its rows cannot be rearranged", self.name)));
        }
        for row in rows.chunks_exact_mut(len.max(1)) {
            let old = row.to_vec();
            for (column, value) in row.chunks_exact_mut(width).enumerate() {
                let from = self.take.columns.source(column as u64) as usize * width;
                let source = old.get(from..from + width);
                value.copy_from_slice(source.ok_or_else(|| Fault::bug("a column beyond its row"))?);
            }
        }
        Ok(())
    }
    /// Rows of the matrix that starts at byte `start`.
    async fn rows(&self, stored: &Stored<'_>, start: u64, rows: &[u64], out: &mut Vec<u8>) -> Result<()> {
        let len = self.bytes_of(self.take.stored.1);
        let mut left = rows;
        while let Some(first) = left.first() {
            // As many as lie near each other, so that one reading has them all.
            let (mut low, mut high, mut n) = (*first, *first, 1);
            for row in &left[1..] {
                let (l, h) = (low.min(*row), high.max(*row));
                if (h - l + 1) > 2 * (n as u64 + 1) || (h - l + 1) * len > WINDOW {
                    break;
                }
                (low, high, n) = (l, h, n + 1);
            }
            // A pair's halves lie far from each other at first.
            if n == 1
                && let Some((l, h, m)) = self.block(left, len)
            {
                (low, high, n) = (l, h, m);
            }
            let bytes = stored.read(start + low * len..start + (high + 1) * len).await?;
            for row in &left[..n] {
                let from = ((row - low) * len) as usize;
                out.extend_from_slice(
                    bytes.get(from..from + len as usize).ok_or_else(|| Fault::bug("a row beyond its window"))?,
                );
            }
            left = &left[n..];
        }
        Ok(())
    }
    /// A whole number of heads at the start of `rows` whose rows lie within a window.
    fn block(&self, rows: &[u64], len: u64) -> Option<(u64, u64, usize)> {
        let (Order::Paired { head } | Order::Halved { head }) = self.take.order else { return None };
        let heads = (WINDOW / (head * len).max(1)).max(1);
        let n = rows.len().min((heads * head) as usize);
        let part = rows.get(..n)?;
        Some((*part.iter().min()?, *part.iter().max()?, n))
    }
    /// Columns of the matrix that starts at byte `start`, each as a row.
    async fn columns(&self, stored: &Stored<'_>, start: u64, columns: &[u64], out: &mut Vec<u8>) -> Result<()> {
        let (rows, row_len) = (self.take.row_len(), self.take.stored.1);
        let width = self.block.1 as usize;
        let (low, high) = (columns.iter().min().copied().unwrap_or(0), columns.iter().max().map_or(0, |c| c + 1));
        let base = out.len();
        out.resize(base + columns.len() * rows as usize * width, 0);
        let whole = row_len * self.block.1;
        // Several rows at once where they are short, a part of each where they are long.
        let (from, to, at_once) = if rows * whole <= WINDOW { (0, row_len, rows) } else { (low, high, 1) };
        let mut row = 0;
        while row < rows {
            let end = rows.min(row + at_once);
            let bytes = stored
                .read(start + row * whole + from * self.block.1..start + (end - 1) * whole + to * self.block.1)
                .await?;
            for r in row..end {
                let line = ((r - row) * whole) as usize;
                for (i, column) in columns.iter().enumerate() {
                    let source = line + (column - from) as usize * width;
                    let target = base + (i * rows as usize + r as usize) * width;
                    let value =
                        bytes.get(source..source + width).ok_or_else(|| Fault::bug("a column beyond its row"))?;
                    out[target..target + width].copy_from_slice(value);
                }
            }
            row = end;
        }
        Ok(())
    }
    /// Values changed and rounded by several threads; `first` is the number of the first.
    fn changed(&self, bytes: &[u8], (decode, encode): (Decode, Encode), first: u64) -> Result<Vec<u8>> {
        let spec = self.to.spec().ok_or_else(|| Fault::bug("an encoding without a row"))?;
        let (block_len, block_bytes) = (spec.block_len as usize, spec.block_bytes as usize);
        let (from_len, from_bytes) = (self.block.0 as usize, self.block.1 as usize);
        let count = bytes.len() / from_bytes * from_len;
        let mut blocks = vec![0; count.div_ceil(block_len) * block_bytes];
        let mut work: Vec<Share<'_>> = bytes
            .chunks(UNIT / from_len * from_bytes)
            .zip(blocks.chunks_mut(UNIT / block_len * block_bytes))
            .enumerate()
            .map(|(i, (bytes, blocks))| (i * UNIT, bytes, blocks, None))
            .collect();
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = work.len().div_ceil(threads).max(1);
        let (map, narrow) = (self.take.map, self.to != Encoding::F32);
        thread::scope(|scope| {
            for share in work.chunks_mut(share) {
                scope.spawn(move || {
                    let mut values = vec![0f32; UNIT];
                    for (_, bytes, blocks, odd) in share {
                        let values = &mut values[..bytes.len() / from_bytes * from_len];
                        decode(bytes, values);
                        map.apply(values);
                        if narrow {
                            *odd = unkept(values, block_len, spec.encoding);
                        }
                        encode(values, blocks);
                    }
                });
            }
        });
        if let Some((at, (index, value))) = work.iter().find_map(|(at, .., odd)| Some((*at, (*odd)?))) {
            let (row_len, element) = (self.take.row_len().max(1), first + (at + index) as u64);
            let what = format!(
                "{}: row {}, column {} holds {value}, which {} cannot hold: take another --type",
                self.name,
                element / row_len,
                element % row_len,
                self.to
            );
            let file = self.stored.first().map_or("", |s| s.file_name());
            return Err(Fault::new(Blame::File, what).in_file(file));
        }
        Ok(blocks)
    }
}

/// The largest half.
const HALF_MOST: f32 = 65504.0;

/// The first value that an encoding cannot keep: one beyond its range, and in blocks one that is no number.
fn unkept(values: &[f32], block_len: usize, to: Encoding) -> Option<(usize, f32)> {
    let odd = |v: &f32| match to {
        // What rounds to the largest half is below half a step beyond it.
        Encoding::F16 => v.is_finite() && v.abs() >= HALF_MOST + 16.0,
        _ => block_len > 1 && !v.is_finite(),
    };
    values.iter().position(odd).map(|i| (i, values[i]))
}
