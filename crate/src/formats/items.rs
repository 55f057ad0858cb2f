//! Pages of metadata arrays, read from their file again.

use std::ops::Range;

use super::gguf::ArrayLayout;
use crate::{
    fault::{Fault, Result},
    model::{ArrayPlace, MetaType},
    source::SourceSet,
};

/// Bytes read at a time.
const PIECE: u64 = 1 << 18;

/// Items of a metadata array.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayItems {
    /// Strings as bytes (token pieces need not be UTF-8).
    Strings(Vec<Vec<u8>>),
    /// Integers and booleans. Unsigned 64-bit ones above `i64::MAX` wrap to negative.
    Integers(Vec<i64>),
    /// Floats.
    Floats(Vec<f64>),
}

/// Reads items `range` of a metadata array; `file` is the name of the file that `place` points into.
/// A page of strings is found from the nearest mark before it, so it costs its own bytes and at most
/// [`ArrayPlace::MARK`] items more.
///
/// # Errors
/// The source fails; the file changed since it was inspected; the items are arrays themselves.
pub async fn read_array(
    files: &SourceSet,
    file: &str,
    place: &ArrayPlace,
    item: MetaType,
    range: Range<u64>,
) -> Result<ArrayItems> {
    let layout = ArrayLayout { big_endian: place.big_endian, wide: place.length_bytes == 8 };
    let mut reader = Items { files, file, end: place.at.end, at: place.at.start, buffer: Vec::new(), from: 0 };
    let count = range.end.saturating_sub(range.start);
    match item {
        MetaType::Array => Err(Fault::unsupported("arrays within arrays are shown by their first items only")),
        MetaType::String => {
            let mark = (range.start / ArrayPlace::MARK).min(place.marks.len() as u64);
            let mut passed = 0;
            if let Some(at) = mark.checked_sub(1).and_then(|i| place.marks.get(i as usize)) {
                (reader.at, passed) = (*at, mark * ArrayPlace::MARK);
            }
            let mut strings = Vec::new();
            for i in passed..range.end.max(range.start) {
                let text = reader.string(layout).await?;
                if i >= range.start {
                    strings.push(text.to_vec());
                }
            }
            Ok(ArrayItems::Strings(strings))
        }
        number => {
            let size = layout.least_bytes(number);
            let start = range.start.checked_mul(size).and_then(|n| reader.at.checked_add(n));
            let bytes = count.checked_mul(size);
            let (Some(start), Some(bytes)) = (start, bytes) else { return Err(beyond(file)) };
            reader.at = start;
            let mut integers = Vec::new();
            let mut floats = Vec::new();
            let mut left = bytes;
            while left > 0 {
                let piece = left.min(PIECE);
                for raw in reader.take(piece).await?.chunks_exact(size as usize) {
                    push(number, raw, place.big_endian, &mut integers, &mut floats);
                }
                left -= piece;
            }
            let float = matches!(number, MetaType::F32 | MetaType::F64);
            Ok(if float { ArrayItems::Floats(floats) } else { ArrayItems::Integers(integers) })
        }
    }
}

fn beyond(file: &str) -> Fault {
    Fault::caller("items beyond the array's end").in_file(file)
}

/// Decodes one number of 1, 2, 4 or 8 bytes.
fn push(kind: MetaType, raw: &[u8], big_endian: bool, integers: &mut Vec<i64>, floats: &mut Vec<f64>) {
    let mut bits = 0u64;
    for i in 0..raw.len() {
        bits = bits << 8 | u64::from(if big_endian { raw[i] } else { raw[raw.len() - 1 - i] });
    }
    match kind {
        MetaType::F32 => floats.push(f32::from_bits(bits as u32).into()),
        MetaType::F64 => floats.push(f64::from_bits(bits)),
        MetaType::Bool => integers.push((bits != 0).into()),
        MetaType::I8 => integers.push((bits as i8).into()),
        MetaType::I16 => integers.push((bits as i16).into()),
        MetaType::I32 => integers.push((bits as i32).into()),
        _ => integers.push(bits as i64),
    }
}

/// A forward reader over one array, in pieces.
struct Items<'a> {
    files: &'a SourceSet,
    file: &'a str,
    /// The array's end: nothing is read beyond.
    end: u64,
    /// Place in the file of `buffer[from]`.
    at: u64,
    buffer: Vec<u8>,
    from: usize,
}

impl Items<'_> {
    /// The next `n` bytes.
    async fn take(&mut self, n: u64) -> Result<&[u8]> {
        let have = (self.buffer.len() - self.from) as u64;
        if have < n {
            if n > self.end.saturating_sub(self.at) {
                return Err(beyond(self.file).at(self.at));
            }
            let source = self
                .files
                .files()
                .iter()
                .find(|f| f.name() == self.file)
                .ok_or_else(|| Fault::caller("no such file is open").in_file(self.file))?;
            self.buffer.drain(..self.from);
            self.from = 0;
            let start = self.at + have;
            let end = (self.at + n).max(start.saturating_add(PIECE).min(self.end));
            if end > source.len() {
                return Err(Fault::source("the file is shorter than when it was opened").in_file(self.file));
            }
            self.buffer.extend(source.read(start..end).await?);
        }
        let from = self.from;
        self.from += n as usize;
        self.at += n;
        Ok(&self.buffer[from..self.from])
    }
    /// The next string's bytes.
    async fn string(&mut self, layout: ArrayLayout) -> Result<&[u8]> {
        let big_endian = layout.big_endian;
        let raw = self.take(u64::from(layout.width())).await?;
        let mut n = 0u64;
        for i in 0..raw.len() {
            n = n << 8 | u64::from(if big_endian { raw[i] } else { raw[raw.len() - 1 - i] });
        }
        self.take(n).await
    }
}
