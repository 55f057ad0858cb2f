//! Several operations as one: each file is a row of the table of passes.

mod chain;
mod linear;
mod rope_write;
mod stack;

pub(super) use chain::run as chain;
pub(super) use linear::{gated_linear, linear_add};
pub(super) use rope_write::run as rope_write;
pub(super) use stack::run as stack;

use crate::ir::{
    graph::{Graph, NodeId, Value},
    op::Op,
};

/// The linear map whose result a value is.
fn linear(graph: &Graph, value: Value) -> Option<NodeId> {
    (graph.maker(value).op == Op::Linear).then_some(value.node)
}

/// A range of the last dimension of a value.
#[derive(Clone, Copy, PartialEq)]
struct Columns {
    of: Value,
    start: u32,
    len: u32,
}

/// The columns of another value that a value is.
fn columns(graph: &Graph, value: Value) -> Option<Columns> {
    let node = graph.maker(value);
    match node.op {
        Op::Slice { axis, start, len } if axis + 1 == node.facts[0].shape.len() => {
            Some(Columns { of: node.inputs[0], start, len })
        }
        _ => None,
    }
}

/// Names of things that became one: "blk.0.q" and "blk.0.k" as "blk.0.q+k", parts "x[0..]" and "x[8..]" as "x[0..]+[8..]".
fn joined(names: &[&str]) -> String {
    let first = names.first().copied().unwrap_or_default();
    let common = |a: &str, b: &str| -> usize {
        a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let common = names.iter().fold(first, |p, n| &p[..common(p, n)]);
    // What is in common ends with a dot, or before the bracket of a part.
    let shared = common.find('[').or_else(|| common.rfind('.').map(|dot| dot + 1)).unwrap_or(0);
    let rest: Vec<&str> = names.iter().map(|n| &n[shared..]).collect();
    format!("{}{}", &common[..shared], rest.join("+"))
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn joined_names_have_their_common_start_once() {
        assert_eq!(joined(&["blk.0.q", "blk.0.k", "blk.0.v"]), "blk.0.q+k+v");
        assert_eq!(joined(&["blk.0.attn_q.weight", "blk.0.attn_k.weight"]), "blk.0.attn_q.weight+attn_k.weight");
        assert_eq!(joined(&["a.qkv.weight[0..]", "a.qkv.weight[64..]"]), "a.qkv.weight[0..]+[64..]");
        assert_eq!(joined(&["a", "b"]), "a+b");
        assert_eq!(joined(&["h.1.x", "h.10.x"]), "h.1.x+10.x");
    }
}
