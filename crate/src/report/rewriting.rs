//! Models with other metadata, in several files, or in one.

use serde::Serialize;

use crate::session::{Changed, Written};

use super::{MetadataReport, describe};

/// A file that was written, or would be.
#[derive(Debug, Clone, Serialize)]
pub struct WrittenReport {
    /// Its path.
    pub file: String,
    /// Its length; `None` where nothing was written.
    pub bytes: Option<u64>,
    /// Its tensors.
    pub tensors: u64,
    /// Bytes of its tensors, padding counted.
    pub tensor_bytes: u64,
}

/// One key that was changed.
#[derive(Debug, Clone, Serialize)]
pub struct ChangedReport {
    /// The key.
    pub key: String,
    /// As it was; `None` where it is new.
    pub before: Option<MetadataReport>,
    /// As it is now; `None` where it is gone.
    pub after: Option<MetadataReport>,
}

/// What `edit` did, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct EditReport {
    /// The file.
    pub output: WrittenReport,
    /// The keys.
    pub changes: Vec<ChangedReport>,
}

/// What `split` and `merge` did, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct FilesReport {
    /// The files.
    pub files: Vec<WrittenReport>,
}

impl WrittenReport {
    pub(super) fn of(written: &Written) -> Self {
        let (bytes, tensors, tensor_bytes) = (written.bytes, written.tensors, written.tensor_bytes);
        Self { file: written.path.display().to_string(), bytes, tensors, tensor_bytes }
    }
}

impl EditReport {
    /// Changes and the file that has them.
    pub fn of(changed: &[Changed], written: &Written) -> Self {
        let changes = changed.iter().map(|c| ChangedReport {
            key: c.key.clone(),
            before: c.before.as_ref().map(|v| describe::metadata(&c.key, v)),
            after: c.after.as_ref().map(|v| describe::metadata(&c.key, v)),
        });
        Self { output: WrittenReport::of(written), changes: changes.collect() }
    }
}

impl FilesReport {
    /// Files in order.
    pub fn of(written: &[Written]) -> Self {
        Self { files: written.iter().map(WrittenReport::of).collect() }
    }
}
