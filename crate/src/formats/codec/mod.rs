//! Notations that formats share; no model knowledge.

pub(super) mod json;
