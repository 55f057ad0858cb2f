//! Notations and containers that formats share; no model knowledge.

pub(super) mod json;
pub(super) mod pickle;
pub(super) mod protobuf;
pub(super) mod zip;
