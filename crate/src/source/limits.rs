//! Named limits: every one has a diagnostic that says it was reached.

/// How much a reader may take from a file before it says so and stops.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Header bytes (metadata and tensor lists) of one file.
    pub header_bytes: u64,
    /// Bytes of one string.
    pub string_bytes: u64,
    /// Tensors of one file.
    pub tensors: u64,
    /// Metadata entries of one file.
    pub metadata: u64,
    /// Bytes fetched beyond what was asked for, at most.
    pub read_ahead: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 1 << 30,
            string_bytes: 1 << 26,
            tensors: 10_000_000,
            metadata: 1_000_000,
            read_ahead: 1 << 20,
        }
    }
}
