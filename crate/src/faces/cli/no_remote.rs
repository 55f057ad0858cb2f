//! In place of `remote.rs` where the crate was built without the feature `http`: addresses are refused by name.

use crate::{
    fault::{Fault, Result},
    session::{Inspection, Need},
    source::SourceSet,
};

/// Whether a path is meant as an address.
pub(super) fn is_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Nothing is ever fetched.
pub(super) fn be_quiet() {}

/// Nothing is ever shown.
pub(super) fn hide() {}

/// Nothing was fetched.
pub(super) fn summary() {}

/// Refuses.
pub(super) fn open(text: &str, _: Need<'_>) -> Result<SourceSet> {
    Err(Fault::caller(format!("\"{text}\" is an address, and this glassbox was built without the feature http")))
}

/// Opens a model; nothing can be fetched beside it.
///
/// # Errors
/// As [`Inspection::open`].
pub(super) async fn open_with_tensor(_: &str, files: SourceSet, _: &str) -> Result<Inspection> {
    Inspection::open(files).await
}
