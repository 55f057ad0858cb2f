//! A failure as faces show it.

use serde::Serialize;

use crate::fault::{Blame, Fault};

/// A failure: whose doing, what, where, and the causes below it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FaultReport {
    /// "source", "file", "unsupported", "limit", "device", "caller" or "bug".
    pub blame: &'static str,
    /// One sentence.
    pub what: String,
    /// File concerned.
    pub file: Option<String>,
    /// Byte offset in it.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub at: Option<u64>,
    /// Underlying failures, outermost first.
    pub because: Vec<String>,
}

impl From<&Fault> for FaultReport {
    fn from(fault: &Fault) -> Self {
        let mut because = Vec::new();
        let mut next = fault.because.as_deref();
        while let Some(f) = next {
            because.push(f.what.clone());
            next = f.because.as_deref();
        }
        Self {
            blame: match fault.blame {
                Blame::Source => "source",
                Blame::File => "file",
                Blame::Unsupported => "unsupported",
                Blame::Limit => "limit",
                Blame::Device => "device",
                Blame::Caller => "caller",
                Blame::Bug => "bug",
            },
            what: fault.what.clone(),
            file: fault.file.clone(),
            at: fault.at,
            because,
        }
    }
}
