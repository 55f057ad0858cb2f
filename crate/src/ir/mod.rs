//! The typed graph of a model: operations that carry their own numbers, with shapes inferred while it is built.
//!
//! An architecture or an importer writes a [`Graph`] through [`Builder`]; [`verify`] holds its rules, [`passes`]
//! rewrite it, [`eval`] says what each operation means, and the engine lowers it to kernels.

mod build;
pub mod decompose;
pub mod eval;
mod fact;
mod graph;
mod infer;
mod low_rank;
mod op;
pub mod passes;
mod print;
mod rewrite;
mod rotation;
mod verify;

pub use build::{Builder, Tensor};
pub use fact::{DType, Dim, Fact, Shape, Sizes};
pub use graph::{Constant, Graph, Input, Node, NodeId, Source, Stack, State, StateId, Stored, Value, Weight, WeightId};
pub use infer::infer;
pub use low_rank::{Half, HeadRows, LowRank, add_low_rank};
pub use op::{
    Attention, Binary, CHAIN_INPUTS, CHAIN_LINKS, Delta, ExpertLinear, Fused, Gating, Link, Op, Pairing, Recur,
    Reduction, Rope, Routing, Rule, Scan, Unary,
};
pub use rewrite::retype;
pub use rotation::{Angles, Factors, Rotation, Scaling};
pub use verify::verify;
