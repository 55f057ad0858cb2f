//! Computes what depends on constants alone.

use crate::{
    fault::Result,
    ir::{
        eval::{self, Array, Context, Data, Operand},
        fact::{DType, Fact},
        graph::{Constant, Graph, Value},
        op::Op,
        rewrite::{Rewriter, rewrite},
    },
};

/// The most values of a computed constant (4 MiB of f32): a position table or a mask, not a repeated weight.
const LIMIT: usize = 1 << 20;
/// The largest whole number that a constant holds exactly.
const EXACT: u64 = 1 << 24;

pub(super) fn run(graph: &mut Graph) -> Result<()> {
    rewrite(graph, |writer, id| {
        let inputs = writer.inputs(id)?;
        let node = writer.old.node(id);
        match folded(writer, &node.op, &inputs, &node.facts) {
            Some(constant) => Ok(Some(vec![writer.new.add_constant(constant, node.label.clone())?.value()])),
            None => Ok(None),
        }
    })
}

/// The result of an operation on constants; `None` where it is none, or has none.
fn folded(writer: &Rewriter<'_>, op: &Op, inputs: &[Value], facts: &[Fact]) -> Option<Constant> {
    let [fact] = facts else { return None };
    let size = fact.shape.iter().try_fold(1usize, |n, d| n.checked_mul(d.fixed()? as usize))?;
    if inputs.is_empty() || size > LIMIT || !is_foldable(op) {
        return None;
    }
    let constant = |value: &Value| match writer.new.maker(*value).op {
        Op::Constant(at) => eval::constant(&writer.new, at).ok(),
        _ => None,
    };
    let inputs: Vec<Array> = inputs.iter().map(constant).collect::<Option<_>>()?;
    let operands: Vec<Operand<'_>> = inputs.iter().map(Operand::from).collect();
    let mut results = eval::apply(op, &operands, &Context::default()).ok()?;
    values(results.pop()?.data, fact.dtype).map(|values| Constant { fact: fact.clone(), values: values.into() })
}

/// Operations that depend on their inputs alone.
fn is_foldable(op: &Op) -> bool {
    let by_value = matches!(op, Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::Reduce(_) | Op::Softmax);
    let moved = matches!(op, Op::Reshape(_) | Op::Transpose(_) | Op::Slice { .. } | Op::Concat { .. } | Op::Gather);
    let dense = matches!(op, Op::MatMul { .. } | Op::Linear | Op::RmsNorm { .. } | Op::LayerNorm { .. } | Op::Embed);
    by_value || moved || dense
}

/// As constants hold them; `None` where a whole number is too large for that.
fn values(data: Data, dtype: DType) -> Option<Vec<f32>> {
    let exact = |v: i64| (v.unsigned_abs() <= EXACT).then_some(v as f32);
    match data {
        Data::F32(values) if matches!(dtype, DType::F32 | DType::F16) => Some(values),
        Data::I32(values) => values.into_iter().map(|v| exact(v.into())).collect(),
        Data::I64(values) => values.into_iter().map(exact).collect(),
        Data::Bool(values) => Some(values.into_iter().map(f32::from).collect()),
        Data::F32(_) => None,
    }
}
