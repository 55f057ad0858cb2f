//! Rewrites of a graph that keep its results: each has a name that switches it off.
//!
//! | pass | does |
//! |---|---|
//! | `fold` | computes what depends on constants alone |
//! | `simplify` | the plain spelling of what is written roundabout |
//! | `recognise` | finds norms, activations and linear maps in their parts |
//! | `stack` .. `chain` | several operations as one: [`super::Fused`] |
//! | `dead` | drops weights, constants, states and rotations that nothing reads |
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
    /// Whether the name `fuse` switches it off too.
    pub is_fusion: bool,
    /// Rewrites a graph; what [`verify`] accepted before, it accepts after.
    pub run: fn(&mut Graph) -> Result<()>,
}

/// All passes in the order in which they run.
pub static PASSES: &[Pass] = &[
    Pass { name: "fold", about: "compute what depends on constants alone", is_fusion: false, run: fold::run },
    Pass {
        name: "simplify",
        about: "plain spellings: x * 2 as a scale, x * x as a square",
        is_fusion: false,
        run: simplify::run,
    },
    Pass {
        name: "recognise",
        about: "norms, activations and linear maps from their parts",
        is_fusion: false,
        run: recognise::run,
    },
    Pass {
        name: "stack",
        about: "linear maps of one input as one map: queries, keys and values; gate and up",
        is_fusion: true,
        run: fuse::stack,
    },
    Pass {
        name: "gated_linear",
        about: "a stacked gate and up, the activation and the product as one",
        is_fusion: true,
        run: fuse::gated_linear,
    },
    Pass {
        name: "rope_write",
        about: "rotation of queries and keys and the writing of keys and values as one",
        is_fusion: true,
        run: fuse::rope_write,
    },
    Pass {
        name: "linear_add",
        about: "a linear map and the addition to its residual as one",
        is_fusion: true,
        run: fuse::linear_add,
    },
    Pass { name: "chain", about: "runs of elementwise operations as one", is_fusion: true, run: fuse::chain },
    Pass { name: "dead", about: "drop what nothing reads", is_fusion: false, run: dead::run },
];

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
    let is_disabled =
        |pass: &Pass| disabled.iter().any(|d| *d == pass.name || *d == "all" || (*d == "fuse" && pass.is_fusion));
    for pass in PASSES.iter().filter(|p| !is_disabled(p)) {
        let named = |fault: Fault| Fault { what: format!("pass {}: {}", pass.name, fault.what), ..fault };
        (pass.run)(graph).map_err(named)?;
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
