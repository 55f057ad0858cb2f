//! Rewrites of a graph that keep its results: each has a name that switches it off.
//!
//! | pass | does |
//! |---|---|
//! | `fold` | computes what depends on constants alone |
//! | `simplify` | the plain spelling of what is written roundabout |
//! | `recognise` | finds norms, activations and linear maps in their parts |
//! | `stack` .. `chain` | several operations as one: [`super::Fused`] |
//! | `dead` | drops weights, constants, states and rotations that nothing reads |
//! | `select`, `place`, `memory` | decisions of the compiler, which asks [`is_on`]: kernels for the rows of a step, results over inputs, buffers used again |
//!
//! Every rewrite drops the nodes that it made useless; `fuse` names all fusions, `all` every pass.

mod dead;
mod fold;
mod fuse;
mod recognise;
mod simplify;

use super::{graph::Graph, verify};
use crate::fault::{Fault, Result};

/// A rewrite.
pub struct Pass {
    /// What switches it off.
    pub name: &'static str,
    /// For people: what it does.
    pub about: &'static str,
    /// What it works on.
    pub does: Does,
}

/// What a pass works on.
pub enum Does {
    /// Rewrites a graph; what [`verify`] accepted before, it accepts after.
    Rewrite(fn(&mut Graph) -> Result<()>),
    /// The same; the name `fuse` switches it off too.
    Fuse(fn(&mut Graph) -> Result<()>),
    /// Decides how a graph becomes a program: `engine::compile` does it, without it the plainest way is taken.
    Plan,
}

/// Kernels that fit the number of rows; off: those for any number.
pub const SELECT: &str = "select";
/// Results over inputs that are not read again; off: only where an operation knows no other way.
pub const PLACE: &str = "place";
/// Buffers used again when nothing reads them any more; off: one for each value.
pub const MEMORY: &str = "memory";

/// All passes in the order in which they run.
pub static PASSES: &[Pass] = &[
    Pass { name: "fold", about: "compute what depends on constants alone", does: Does::Rewrite(fold::run) },
    Pass {
        name: "simplify",
        about: "plain spellings: x * 2 as a scale, x * x as a square",
        does: Does::Rewrite(simplify::run),
    },
    Pass {
        name: "recognise",
        about: "norms, activations and linear maps from their parts",
        does: Does::Rewrite(recognise::run),
    },
    Pass {
        name: "stack",
        about: "linear maps of one input as one map: queries, keys and values; gate and up",
        does: Does::Fuse(fuse::stack),
    },
    Pass {
        name: "gated_linear",
        about: "a stacked gate and up, the activation and the product as one",
        does: Does::Fuse(fuse::gated_linear),
    },
    Pass {
        name: "rope_write",
        about: "rotation of queries and keys and the writing of keys and values as one",
        does: Does::Fuse(fuse::rope_write),
    },
    Pass {
        name: "linear_add",
        about: "a linear map and the addition to its residual as one",
        does: Does::Fuse(fuse::linear_add),
    },
    Pass { name: "chain", about: "runs of elementwise operations as one", does: Does::Fuse(fuse::chain) },
    Pass { name: "dead", about: "drop what nothing reads", does: Does::Rewrite(dead::run) },
    Pass { name: SELECT, about: "kernels that fit the number of rows of a step", does: Does::Plan },
    Pass { name: PLACE, about: "results over inputs that are not read again", does: Does::Plan },
    Pass { name: MEMORY, about: "buffers used again when nothing reads them any more", does: Does::Plan },
];

/// Whether none of the names switches a pass off: its own, `fuse` for all fusions, or `all`.
pub fn is_on(pass: &str, disabled: &[&str]) -> bool {
    let is_fusion = PASSES.iter().any(|p| p.name == pass && matches!(p.does, Does::Fuse(_)));
    !disabled.iter().any(|d| *d == pass || *d == "all" || (*d == "fuse" && is_fusion))
}

/// Runs all passes but those named: a pass, `fuse` for all fusions, or `all`. Debug builds verify the graph after each.
///
/// # Errors
/// A name is unknown (the fault lists those that are known); the graph breaks a rule, or a pass makes it do so.
pub fn run(graph: &mut Graph, disabled: &[&str]) -> Result<()> {
    let groups = ["fuse", "all"];
    if let Some(unknown) = disabled.iter().find(|d| !groups.contains(d) && !PASSES.iter().any(|p| p.name == **d)) {
        let known: Vec<&str> = PASSES.iter().map(|p| p.name).chain(groups).collect();
        return Err(Fault::caller(format!("no pass is called {unknown:?}; there are {}", known.join(", "))));
    }
    verify(graph)?;
    for pass in PASSES.iter().filter(|p| is_on(p.name, disabled)) {
        let (Does::Rewrite(rewrite) | Does::Fuse(rewrite)) = pass.does else { continue };
        let named = |fault: Fault| Fault { what: format!("pass {}: {}", pass.name, fault.what), ..fault };
        rewrite(graph).map_err(named)?;
        if cfg!(debug_assertions) {
            verify(graph).map_err(named)?;
        }
    }
    Ok(())
}

/// Name and meaning of each pass, for people.
pub fn names() -> Vec<(&'static str, &'static str)> {
    PASSES.iter().map(|p| (p.name, p.about)).collect()
}

#[cfg(test)]
mod tests;
