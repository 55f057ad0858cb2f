//! Bindings for the page's worker.
