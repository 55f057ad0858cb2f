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
                .in_file(&self.name)
                .short(),
            ));
        }
        if at.start == at.end {
            return Ok(&[]);
        }
        let i = self.extents.partition_point(|(start, _)| *start <= at.start);
        if let Some((start, bytes)) = i.checked_sub(1).and_then(|i| self.extents.get(i)) {
            let from = at.start - start;
            // Offsets are compared as u64: on wasm32 a file may be longer than usize counts.
            if from + (at.end - at.start) <= bytes.len() as u64
                && let Some(found) = bytes.get(from as usize..(from + at.end - at.start) as usize)
            {
                return Ok(found);
            }
        }
        Err(Stop::Need(at))
    }
    /// All bytes fetched from `at` on without a hole; empty where `at` is not fetched.
    pub fn rest(&self, at: u64) -> &[u8] {
        let i = self.extents.partition_point(|(start, _)| *start <= at);
        i.checked_sub(1)
            .and_then(|i| self.extents.get(i))
            .and_then(|(start, bytes)| bytes.get(usize::try_from(at - start).ok()?..))
            .unwrap_or(&[])
    }
    /// Drops what lies before byte `at`, so that memory follows what a reader still needs, not what it has passed.
    pub fn forget(&mut self, at: u64) {
        self.extents.retain_mut(|(start, bytes)| {
            if *start >= at {
                return true;
            }
            let passed = usize::try_from(at - *start).unwrap_or(usize::MAX);
            if passed >= bytes.len() {
                return false;
            }
            bytes.drain(..passed);
            *start = at;
            true
        });
    }
    /// Bytes held in memory.
    pub fn held(&self) -> u64 {
        self.extents.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
    /// Adds fetched bytes.
    pub fn insert(&mut self, at: u64, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_in_any_order_with_any_overlap_read_back_as_the_file(
            pieces in proptest::collection::vec((0u64..64, 0usize..24), 1..20), from in 0u64..64, forget in 0u64..64
        ) {
            let file: Vec<u8> = (0..64u8).collect();
            let mut window = Window::new("f", 64);
            let mut have = [false; 64];
            for (at, n) in pieces {
                let end = (at as usize + n).min(64);
                window.insert(at, file[at as usize..end].to_vec());
                have[at as usize..end].fill(true);
            }
            window.forget(forget);
            have[..forget as usize].fill(false);
            let rest = window.rest(from);
            let run = have[from as usize..].iter().take_while(|h| **h).count();
            prop_assert_eq!(rest, &file[from as usize..from as usize + run]);
            prop_assert_eq!(window.held(), have.iter().filter(|h| **h).count() as u64);
            for end in from..=64 {
                match window.bytes(from..end) {
                    Ok(bytes) => prop_assert_eq!(bytes, &file[from as usize..end as usize]),
                    Err(Stop::Need(_)) => prop_assert!(end > from + run as u64),
                    Err(Stop::Bad(f)) => prop_assert!(false, "{}", f),
                }
            }
        }
    }

    #[test]
    fn bytes_beyond_the_end_are_bad_and_never_needed() {
        let window = Window::new("f", 10);
        assert!(matches!(window.bytes(4..11), Err(Stop::Bad(f)) if f.at == Some(4)));
        assert!(matches!(window.bytes(4..10), Err(Stop::Need(r)) if r == (4..10)));
        assert!(matches!(window.bytes(10..10), Ok(&[])));
    }
}
