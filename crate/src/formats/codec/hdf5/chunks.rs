//! Where the chunks of a dataset lie, and what their bytes are before the filters.
//! Source: the HDF5 File Format Specification, version 3, III.A (B-trees), VII.C (fixed arrays), IV.A.2.l (filters).

use super::{DIMS_MOST, Hdf5, UNDEFINED};
use crate::{
    formats::codec::inflate,
    model::{Chunk, ChunkFilter, Chunks},
    source::{Cursor, Stop, Window},
};

/// Chunks of one dataset, at most: each costs memory and a line of the byte map.
const CHUNKS_MOST: usize = 1 << 16;
/// Unpacked bytes of one chunk, at most.
pub(super) const CHUNK_MOST: u64 = 256 << 20;
/// Nodes of one tree, at most.
const NODES_MOST: usize = 1 << 16;

/// How the chunks of a dataset are found.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::formats) enum Index {
    /// A B-tree of version 1.
    Tree(u64),
    /// One chunk: its address, and where it is filtered its length and the filters that it skips.
    Single(u64, Option<(u64, u32)>),
    /// One behind the other.
    Implicit(u64),
    /// A fixed array of addresses.
    Fixed(u64),
    /// Another kind, which is not followed.
    Other(&'static str),
}

/// A chunked layout as the dataset's header states it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::formats) struct Chunked {
    /// Elements of a chunk along each dimension.
    pub(in crate::formats) sizes: Vec<u64>,
    /// Bytes of an element.
    pub(in crate::formats) width: u64,
    pub(in crate::formats) index: Index,
    /// Chunks that reach beyond the dataset are not filtered.
    pub(in crate::formats) plain_edges: bool,
}

/// A dataset's chunks, or why they cannot be read.
pub(in crate::formats) type Found = Result<Chunks, String>;

/// The grid of chunks of a dataset.
struct Grid<'a> {
    dims: &'a [u64],
    sizes: &'a [u64],
}

impl Grid<'_> {
    fn counts(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator {
        self.dims.iter().zip(self.sizes).map(|(d, s)| d.div_ceil(*s))
    }
    fn total(&self) -> Option<u64> {
        self.counts().try_fold(1u64, u64::checked_mul)
    }
    /// The number of the chunk that begins at this element of each dimension.
    fn number(&self, offsets: &[u64]) -> Option<u64> {
        let steps = offsets.iter().zip(self.sizes).zip(self.counts());
        steps.into_iter().try_fold(0u64, |n, ((offset, size), count)| {
            let step = offset.checked_div(*size).filter(|step| step * size == *offset && *step < count)?;
            n.checked_mul(count)?.checked_add(step)
        })
    }
    /// Whether a chunk reaches beyond the dataset.
    fn is_edge(&self, number: u64) -> bool {
        let mut rest = number;
        let counts: Vec<u64> = self.counts().collect();
        self.dims.iter().zip(self.sizes).zip(counts).rev().any(|((dim, size), count)| {
            let step = rest % count.max(1);
            rest /= count.max(1);
            step.saturating_add(1).saturating_mul(*size) > *dim
        })
    }
}

impl Hdf5 {
    /// Finds a dataset's chunks.
    ///
    /// # Errors
    /// `Need`; `Bad` where the index breaks its own rules. What is not followed is told inside.
    pub(super) fn chunks(
        &self,
        file: &Window,
        layout: &Chunked,
        dims: &[u64],
        filters: &[String],
        fill: &[u8],
    ) -> Result<Found, Stop> {
        let known = |name: &String| match name.as_str() {
            "deflate" => Ok(ChunkFilter::Deflate),
            "shuffle" => Ok(ChunkFilter::Shuffle),
            "fletcher32" => Ok(ChunkFilter::Fletcher32),
            other => Err(format!("packed by {other}, which is not unpacked")),
        };
        let filters = match filters.iter().map(known).collect::<Result<Vec<_>, _>>() {
            Ok(filters) => filters,
            Err(what) => return Ok(Err(what)),
        };
        let Ok(width) = u32::try_from(layout.width) else { return Ok(Err("of elements that are too wide".into())) };
        if layout.sizes.len() != dims.len() || layout.sizes.contains(&0) || dims.is_empty() {
            return Ok(Err(format!("in chunks of {} sizes, the dataset has {}", layout.sizes.len(), dims.len())));
        }
        let mut chunks = Chunks {
            sizes: layout.sizes.clone(),
            width,
            big_endian: false,
            filters,
            fill: fill.to_vec(),
            list: Vec::new(),
        };
        let grid = Grid { dims, sizes: &layout.sizes };
        let Some(bytes) = chunks.bytes().filter(|n| *n <= CHUNK_MOST) else {
            return Ok(Err(format!("in chunks of more than {CHUNK_MOST} bytes; the limit")));
        };
        let Some(total) = grid.total().filter(|n| *n <= CHUNKS_MOST as u64) else {
            return Ok(Err(format!("in more than {CHUNKS_MOST} chunks; the limit")));
        };
        let found = match layout.index {
            Index::Other(what) => return Ok(Err(format!("in chunks behind {what}, which is not followed"))),
            Index::Tree(UNDEFINED)
            | Index::Single(UNDEFINED, _)
            | Index::Implicit(UNDEFINED)
            | Index::Fixed(UNDEFINED) => Vec::new(),
            Index::Tree(tree) => self.tree(file, tree, &grid)?,
            Index::Single(address, filtered) => {
                let (length, skipped) = filtered.unwrap_or((bytes, 0));
                vec![(0, address, length, skipped)]
            }
            Index::Implicit(address) => {
                let at = |n: u64| address.checked_add(n.checked_mul(bytes)?);
                (0..total).map_while(|n| Some((n, at(n)?, bytes, 0))).collect()
            }
            Index::Fixed(address) => self.fixed(file, address, total, bytes)?,
        };
        for (number, address, length, skipped) in found {
            if address == UNDEFINED {
                continue;
            }
            // A filtered chunk may be a little longer than an unfiltered one, not more.
            if length > bytes.saturating_mul(2).saturating_add(4096) {
                let what = format!("a chunk of at most {} bytes expected, one of {length} found", bytes * 2 + 4096);
                return Err(self.bad(self.base.saturating_add(address), what));
            }
            let plain = layout.plain_edges && grid.is_edge(number);
            let (length, skipped) = if plain { (bytes, u32::MAX) } else { (length, skipped) };
            let Some(start) = self.base.checked_add(address) else { continue };
            let Some(end) = start.checked_add(length) else { continue };
            chunks.list.push(Chunk { number, at: start..end, skipped });
        }
        crate::order::sort_by_key(&mut chunks.list, |c| c.number);
        let before = chunks.list.len();
        chunks.list.dedup_by_key(|c| c.number);
        if chunks.list.len() < before {
            return Err(self.bad(self.base, "two chunks in one place"));
        }
        Ok(Ok(chunks))
    }
    /// The leaves of a B-tree of version 1: number, address, length, skipped filters.
    fn tree(&self, file: &Window, root: u64, grid: &Grid<'_>) -> Result<Vec<(u64, u64, u64, u32)>, Stop> {
        let rank = grid.dims.len().min(usize::from(DIMS_MOST));
        let (mut nodes, mut found, mut seen) = (vec![root], Vec::new(), std::collections::HashSet::new());
        while let Some(node) = nodes.pop() {
            if !seen.insert(node) || seen.len() > NODES_MOST {
                return Err(self.bad(self.base.saturating_add(root), "a tree of chunks in a circle, or too large"));
            }
            let at = self.place(node, 24)?;
            let mut cursor = Cursor::new(file, at, false);
            if cursor.take(4)? != b"TREE" {
                return Err(self.bad(at, "a node of a tree of chunks expected, something else found"));
            }
            let (kind, level, used) = (cursor.u8()?, cursor.u8()?, u64::from(cursor.u16()?));
            if kind != 1 {
                return Err(self.bad(at, format!("a tree of chunks (kind 1) expected, kind {kind} found")));
            }
            let key = 8 + 8 * (rank as u64 + 1);
            self.place(node, 24 + used * (key + 8))?;
            let (_left, _right) = (cursor.u64()?, cursor.u64()?);
            let mut children = Vec::new();
            for _ in 0..used {
                let (length, skipped) = (u64::from(cursor.u32()?), cursor.u32()?);
                let mut offsets = Vec::with_capacity(rank);
                for _ in 0..rank {
                    offsets.push(cursor.u64()?);
                }
                let (_within_element, child) = (cursor.u64()?, cursor.u64()?);
                if level > 0 {
                    children.push(child);
                    continue;
                }
                if found.len() >= CHUNKS_MOST {
                    return Err(self.bad(at, format!("more than {CHUNKS_MOST} chunks; the limit")));
                }
                // A chunk that begins behind the end of a dataset that was made smaller is not a part of it.
                if let Some(number) = grid.number(&offsets) {
                    found.push((number, child, length, skipped));
                }
            }
            children.reverse();
            nodes.append(&mut children);
        }
        Ok(found)
    }
    /// The entries of a fixed array.
    fn fixed(&self, file: &Window, header: u64, total: u64, bytes: u64) -> Result<Vec<(u64, u64, u64, u32)>, Stop> {
        let at = self.place(header, 28)?;
        let mut cursor = Cursor::new(file, at, false);
        if cursor.take(4)? != b"FAHD" {
            return Err(self.bad(at, "the header of a fixed array expected, something else found"));
        }
        let (_version, filtered, entry, page_bits) =
            (cursor.u8()?, cursor.u8()? == 1, u64::from(cursor.u8()?), cursor.u8()?);
        let (entries, block) = (cursor.u64()?, cursor.u64()?);
        // Of a filtered chunk its length too, in as many bytes as are left beside address and mask.
        let length_bytes = if filtered { entry.checked_sub(12) } else { Some(0) };
        let width = length_bytes.filter(|n| *n <= 8 && (!filtered || *n > 0) && (filtered || entry == 8));
        let Some(width) = width else {
            return Err(self.bad(at, format!("an entry of a fixed array of {entry} bytes, which do not fit")));
        };
        if entries < total || page_bits >= 32 {
            return Err(self.bad(at, format!("a fixed array of at least {total} entries expected, {entries} found")));
        }
        if block == UNDEFINED {
            return Ok(Vec::new());
        }
        let page = 1u64 << page_bits;
        let pages = if entries > page { entries.div_ceil(page) } else { 0 };
        let bitmap = pages.div_ceil(8);
        let at = self.place(block, 14 + bitmap + if pages > 0 { 4 } else { 0 })?;
        let mut cursor = Cursor::new(file, at, false);
        if cursor.take(4)? != b"FADB" {
            return Err(self.bad(at, "the block of a fixed array expected, something else found"));
        }
        cursor.skip(10)?;
        let used = cursor.take(bitmap)?.to_vec();
        if pages > 0 {
            cursor.skip(4)?;
        }
        let first = cursor.position();
        let mut found = Vec::new();
        for n in 0..total {
            // Pages follow each other, each with a checksum behind it; one that was never written holds nothing.
            let (nth, within) = if pages > 0 { (n / page, n % page) } else { (0, n) };
            let is_used = pages == 0 || used.get((nth / 8) as usize).is_some_and(|b| b & (0x80 >> (nth % 8)) != 0);
            if !is_used {
                continue;
            }
            let at = first.saturating_add(nth.saturating_mul(page.saturating_mul(entry).saturating_add(4)));
            let at = at.saturating_add(within * entry);
            if at.saturating_add(entry) > self.end {
                return Err(
                    self.bad(at, format!("{entry} bytes of a fixed array leave the file of {} bytes", self.end))
                );
            }
            let mut cursor = Cursor::new(file, at, false);
            let address = cursor.u64()?;
            let (length, skipped) = if filtered {
                let raw = cursor.take(width)?;
                (raw.iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b)), cursor.u32()?)
            } else {
                (bytes, 0)
            };
            found.push((n, address, length, skipped));
        }
        Ok(found)
    }
}

/// The bytes of one chunk before its filters; exactly as many as a chunk has.
///
/// # Errors
/// They cannot be unpacked, or are others than the checksum says: why.
pub(crate) fn unfiltered(chunks: &Chunks, chunk: &Chunk, raw: &[u8]) -> Result<Vec<u8>, String> {
    let wanted = chunks.bytes().filter(|n| *n <= CHUNK_MOST).ok_or("a chunk beyond the limit")?;
    let wanted = usize::try_from(wanted).map_err(|e| e.to_string())?;
    let mut bytes = raw.to_vec();
    for (i, filter) in chunks.filters.iter().enumerate().rev() {
        if chunk.skipped & 1u32.checked_shl(i as u32).unwrap_or(0) != 0 {
            continue;
        }
        bytes = match filter {
            // A checksum may lie inside.
            ChunkFilter::Deflate => inflate::zlib(&bytes, wanted.saturating_add(64))
                .map_err(|e| format!("cannot be unpacked: {}", e.what))?,
            ChunkFilter::Shuffle => unshuffled(&bytes, chunks.width as usize),
            ChunkFilter::Fletcher32 => checked(bytes)?,
        };
    }
    if bytes.len() != wanted {
        return Err(format!("a chunk of {wanted} bytes expected, {} found", bytes.len()));
    }
    Ok(bytes)
}

/// Elements whose bytes lay apart; what is no whole element stays at the end.
fn unshuffled(bytes: &[u8], width: usize) -> Vec<u8> {
    if width < 2 {
        return bytes.to_vec();
    }
    let count = bytes.len() / width;
    let mut out = Vec::with_capacity(bytes.len());
    for i in 0..count {
        out.extend((0..width).filter_map(|b| bytes.get(b * count + i)));
    }
    out.extend_from_slice(bytes.get(count * width..).unwrap_or(&[]));
    out
}

/// Bytes without the checksum behind them, which must be theirs.
fn checked(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let n = bytes.len().checked_sub(4).ok_or("a checksum of 4 bytes expected, the chunk is shorter")?;
    let stated = bytes.split_off(n);
    let stated = <[u8; 4]>::try_from(stated.as_slice()).map(u32::from_le_bytes).unwrap_or_default();
    let found = fletcher32(&bytes);
    // Libraries up to 1.6.2 stored it with the bytes of each half swapped.
    let swapped = (found & 0x00ff_00ff) << 8 | (found & 0xff00_ff00) >> 8;
    if stated == found || stated == swapped {
        Ok(bytes)
    } else {
        Err(format!("the checksum {stated:#010x} expected, {found:#010x} found: the chunk is damaged"))
    }
}

/// Fletcher's checksum over words of 16 bits, as HDF5 computes it.
fn fletcher32(bytes: &[u8]) -> u32 {
    let (mut first, mut second) = (0u32, 0u32);
    // Sums of 360 words stay below 2^32.
    for block in bytes.chunks(720) {
        for word in block.chunks(2) {
            let word =
                u32::from(word.first().copied().unwrap_or(0)) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
            first += word;
            second += first;
        }
        first = (first & 0xffff) + (first >> 16);
        second = (second & 0xffff) + (second >> 16);
    }
    first = (first & 0xffff) + (first >> 16);
    second = (second & 0xffff) + (second >> 16);
    second << 16 | first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_bytes_come_back_in_order_and_a_rest_stays() {
        assert_eq!(unshuffled(&[1, 3, 5, 2, 4, 6, 9], 2), [1, 2, 3, 4, 5, 6, 9]);
        assert_eq!(unshuffled(&[1, 2], 1), [1, 2]);
    }

    #[test]
    fn a_chunk_whose_checksum_is_another_is_refused() {
        let mut bytes = vec![1, 2, 3];
        let sum = fletcher32(&bytes);
        bytes.extend(sum.to_le_bytes());
        assert_eq!(checked(bytes.clone()), Ok(vec![1, 2, 3]));
        bytes[0] = 9;
        assert!(checked(bytes).unwrap_err().contains("checksum"));
        assert!(checked(vec![1]).is_err());
    }
}
