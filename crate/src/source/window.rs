//! The bytes of one file fetched so far.

use std::ops::Range;

use crate::fault::Fault;

/// Why a reader stopped before its end.
#[derive(Debug)]
pub enum Stop {
    /// These bytes are not fetched yet; fetch them and call the reader again.
    Need(Range<u64>),
    /// The file is wrong.
    Bad(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Bad(fault)
    }
}

/// The bytes of one file fetched so far, and the file's name and length.
pub struct Window {
    name: String,
    len: u64,
    /// Sorted, non-overlapping, non-adjacent.
    extents: Vec<(u64, Vec<u8>)>,
}

impl Window {
    /// An empty window on a file.
    pub fn new(name: impl Into<String>, len: u64) -> Self {
        Self { name: name.into(), len, extents: Vec::new() }
    }
    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The file's length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }
    /// True for an empty file.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The bytes of `at`.
    ///
    /// # Errors
    /// [`Stop::Need`] when they are in the file but not fetched; [`Stop::Bad`] beyond its end.
    pub fn bytes(&self, at: Range<u64>) -> Result<&[u8], Stop> {
        if at.end > self.len || at.start > at.end {
            return Err(Stop::Bad(
                Fault::file(
                    at.start,
                    format!("{} bytes expected, the file ends at byte {}", at.end.saturating_sub(at.start), self.len),
                )
                .in_file(&self.name),
            ));
        }
        if at.start == at.end {
            return Ok(&[]);
        }
        let i = self.extents.partition_point(|(start, _)| *start <= at.start);
        if let Some((start, bytes)) = i.checked_sub(1).and_then(|i| self.extents.get(i)) {
            let from = (at.start - start) as usize;
            if let Some(found) = bytes.get(from..from.saturating_add((at.end - at.start) as usize)) {
                return Ok(found);
            }
        }
        Err(Stop::Need(at))
    }
    /// Adds fetched bytes.
    pub fn insert(&mut self, at: u64, bytes: Vec<u8>) {
        let mut at = at;
        let mut bytes = bytes;
        let mut i = self.extents.partition_point(|(start, _)| *start < at);
        if i > 0 && self.extents[i - 1].0 + self.extents[i - 1].1.len() as u64 >= at {
            i -= 1;
            let (start, mut before) = self.extents.remove(i);
            let keep = (at - start) as usize;
            let end = keep + bytes.len();
            if before.len() < end {
                before.truncate(keep);
                before.extend_from_slice(&bytes);
            }
            at = start;
            bytes = before;
        }
        while i < self.extents.len() && self.extents[i].0 <= at + bytes.len() as u64 {
            let (start, after) = self.extents.remove(i);
            let overlap = (at + bytes.len() as u64 - start) as usize;
            if overlap < after.len() {
                bytes.extend_from_slice(&after[overlap..]);
            }
        }
        self.extents.insert(i, (at, bytes));
    }
}
