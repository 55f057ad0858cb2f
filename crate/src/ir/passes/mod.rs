//! Rewrites of graphs.
