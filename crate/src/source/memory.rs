//! Bytes already in memory: tests, and small embedded files.

use std::ops::Range;

use super::{ByteSource, LocalFuture};
use crate::fault::{Fault, Result};

/// A named piece of memory as a source.
pub struct MemorySource {
    name: String,
    bytes: Vec<u8>,
}

impl MemorySource {
    /// Takes the bytes as a file of this name.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

impl ByteSource for MemorySource {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read(&self, at: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        let found = usize::try_from(at.start)
            .ok()
            .zip(usize::try_from(at.end).ok())
            .and_then(|(a, b)| self.bytes.get(a..b))
            .map(<[u8]>::to_vec)
            .ok_or_else(|| Fault::caller("range beyond the end").in_file(&self.name));
        Box::pin(async move { found })
    }
}
