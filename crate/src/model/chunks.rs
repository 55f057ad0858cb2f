//! Values that lie in chunks, packed or not: HDF5's way to store large arrays.

use std::ops::Range;

/// What the bytes of a chunk pass through when they are written, in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkFilter {
    /// zlib.
    Deflate,
    /// All first bytes of the elements, then all second ones, ...
    Shuffle,
    /// A checksum of four bytes behind the chunk.
    Fletcher32,
}

/// One chunk that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Its number in the grid of chunks, row-major.
    pub number: u64,
    /// Where its bytes lie.
    pub at: Range<u64>,
    /// Filters that it did not pass through: bit `i` for [`Chunks::filters`]`[i]`.
    pub skipped: u32,
}

/// The chunks of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunks {
    /// Elements of a chunk along each dimension; those at the edge go beyond the tensor.
    pub sizes: Vec<u64>,
    /// Bytes of one element.
    pub width: u32,
    /// Elements are stored most significant byte first.
    pub big_endian: bool,
    /// Filters in the order of writing.
    pub filters: Vec<ChunkFilter>,
    /// The bytes of an element that no chunk holds; empty for zero.
    pub fill: Vec<u8>,
    /// Those that are stored, by their numbers.
    pub list: Vec<Chunk>,
}

impl Chunks {
    /// Bytes of one unpacked chunk; `None` beyond 64 bits.
    pub fn bytes(&self) -> Option<u64> {
        self.sizes.iter().try_fold(u64::from(self.width), |n, d| n.checked_mul(*d))
    }
    /// The stored chunk of this number.
    pub fn find(&self, number: u64) -> Option<&Chunk> {
        self.list.binary_search_by_key(&number, |chunk| chunk.number).ok().and_then(|i| self.list.get(i))
    }
}
