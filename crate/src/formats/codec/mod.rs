//! Notations that formats share; no model knowledge.

pub(super) mod json;
pub(super) mod protobuf;
