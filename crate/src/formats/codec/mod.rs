//! Notations and containers that formats share; no model knowledge.

pub(super) mod flatbuffer;
pub(super) mod hdf5;
pub(super) mod inflate;
pub(super) mod json;
pub(super) mod pickle;
pub(super) mod protobuf;
pub(super) mod snappy;
pub(super) mod tar;
pub(super) mod zip;
pub(super) mod zip_salvage;
