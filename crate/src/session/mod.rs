//! An opened model, and a running generation.
