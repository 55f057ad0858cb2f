//! What tests share: sample files and their writers, where the corpus is, counting of allocations.

pub(crate) mod containers;
pub(crate) mod counting;
pub(crate) mod files;
pub(crate) mod samples;
pub(crate) mod synth_header;
pub(crate) mod writers;
