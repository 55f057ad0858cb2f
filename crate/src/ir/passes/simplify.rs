//! The plain spelling of what is written roundabout, so that the recogniser meets one spelling of each thing.
//!
//! Arithmetic with one known number becomes [`Unary::Scale`] and its kin, powers become products, factors move behind
//! products, operations that change nothing go.

use crate::{
    fault::Result,
    ir::{
        fact::DType,
        graph::{Graph, NodeId, Value},
        op::{Binary, Op, Unary},
        rewrite::{Readers, Rewriter, rewrite},
    },
};

/// Each round lets the rules see what the last one wrote; real graphs settle after three.
const ROUNDS: usize = 8;

pub(super) fn run(graph: &mut Graph) -> Result<()> {
    for _ in 0..ROUNDS {
        let before = graph.nodes.clone();
        let readers = Readers::of(graph);
        rewrite(graph, |writer, id| {
            let inputs = writer.inputs(id)?;
            let simple = match moved(&writer.new, &writer.old.node(id).op, &inputs) {
                Some(simple) => Some(simple),
                None => simpler(writer, &readers, id, &inputs)?,
            };
            Ok(simple.map(|value| vec![value]))
        })?;
        if graph.nodes == before {
            break;
        }
    }
    Ok(())
}

/// The value that an operation without effect hands on.
fn moved(graph: &Graph, op: &Op, inputs: &[Value]) -> Option<Value> {
    let x = *inputs.first()?;
    let fact = graph.fact(x);
    let same = match op {
        Op::Unary(Unary::Scale(s)) => *s == 1.0,
        Op::Unary(Unary::Shift(s)) => *s == 0.0,
        Op::Reshape(shape) => fact.shape == *shape,
        Op::Transpose(order) => order.iter().copied().eq(0..order.len()),
        Op::Slice { axis, start: 0, len } => fact.shape.get(*axis).and_then(|d| d.fixed()) == Some(*len),
        Op::Cast(dtype) => fact.dtype == *dtype,
        Op::Concat { .. } => inputs.len() == 1,
        _ => false,
    };
    same.then_some(x)
}

/// Adds the simpler spelling of a node, where there is one.
fn simpler(writer: &mut Rewriter<'_>, readers: &Readers, id: NodeId, inputs: &[Value]) -> Result<Option<Value>> {
    let (node, new) = (writer.old.node(id), &writer.new);
    let (op, inputs) = match (&node.op, inputs) {
        (Op::Binary(f), &[a, b]) if node.facts[0].dtype == DType::F32 => {
            // The number must not be what gives the result its shape.
            let number = |x: Value, other: Value| new.scalar(x).filter(|_| *new.fact(other) == node.facts[0]);
            if let Some(f) = number(b, a).and_then(|n| with_number(*f, n)) {
                (Op::Unary(f), vec![a])
            } else if let Some(f) = number(a, b).and_then(|n| of_number(*f, n)) {
                (Op::Unary(f), vec![b])
            } else if *f == Binary::Mul && a == b {
                (Op::Unary(Unary::Square), vec![a])
            } else {
                return products(writer, readers, id, *f, [a, b]);
            }
        }
        (Op::Unary(f), &[x]) => match composed(*f, &new.maker(x).op) {
            Some(Some(f)) => (Op::Unary(f), vec![new.maker(x).inputs[0]]),
            Some(None) => return Ok(Some(new.maker(x).inputs[0])),
            None => return Ok(None),
        },
        (Op::Reshape(_), &[x]) if matches!(new.maker(x).op, Op::Reshape(_)) => {
            (node.op.clone(), new.maker(x).inputs.clone())
        }
        (Op::Transpose(outer), &[x]) => match &new.maker(x).op {
            Op::Transpose(inner) => {
                (Op::Transpose(outer.iter().map(|i| inner[*i]).collect()), new.maker(x).inputs.clone())
            }
            _ => return Ok(None),
        },
        (Op::Slice { axis, start, len }, &[x]) => match new.maker(x).op {
            Op::Slice { axis: inner, start: from, .. } if inner == *axis => {
                (Op::Slice { axis: inner, start: from + start, len: *len }, new.maker(x).inputs.clone())
            }
            _ => return Ok(None),
        },
        (Op::MatMul { transposed }, &[a, b]) if turns_last_two(&new.maker(b).op) => {
            (Op::MatMul { transposed: !transposed }, vec![a, new.maker(b).inputs[0]])
        }
        _ => return Ok(None),
    };
    Ok(Some(writer.new.add(op, &inputs, node.label.clone())?.value()))
}

/// `f(x, number)` as a function of x.
fn with_number(f: Binary, number: f32) -> Option<Unary> {
    Some(match f {
        Binary::Add => Unary::Shift(number),
        Binary::Sub => Unary::Shift(-number),
        Binary::Mul => Unary::Scale(number),
        Binary::Div if (1.0 / number).is_normal() => Unary::Scale((1.0 / f64::from(number)) as f32),
        Binary::Max if number == 0.0 => Unary::Relu,
        Binary::Pow if number == 2.0 => Unary::Square,
        Binary::Pow if number == 0.5 => Unary::Sqrt,
        Binary::Pow if number == -0.5 => Unary::Rsqrt,
        Binary::Pow if number == -1.0 => Unary::Reciprocal,
        _ => return None,
    })
}

/// `f(number, x)` as a function of x.
fn of_number(f: Binary, number: f32) -> Option<Unary> {
    match f {
        Binary::Add | Binary::Mul | Binary::Max => with_number(f, number),
        Binary::Sub if number == 0.0 => Some(Unary::Neg),
        Binary::Div if number == 1.0 => Some(Unary::Reciprocal),
        _ => None,
    }
}

/// `f` of the result of `inner`, as one function of its input: `Some(None)` where it is the input itself.
fn composed(f: Unary, inner: &Op) -> Option<Option<Unary>> {
    let Op::Unary(inner) = inner else { return None };
    match (f, *inner) {
        (Unary::Scale(a), Unary::Scale(b)) => Some(Some(Unary::Scale(a * b))),
        (Unary::Reciprocal, Unary::Sqrt) => Some(Some(Unary::Rsqrt)),
        (Unary::Neg, Unary::Neg) => Some(None),
        _ => None,
    }
}

/// Powers and quotients as products; factors behind products.
fn products(
    writer: &mut Rewriter<'_>,
    readers: &Readers,
    id: NodeId,
    f: Binary,
    [a, b]: [Value; 2],
) -> Result<Option<Value>> {
    let node = writer.old.node(id);
    let new = &mut writer.new;
    // The factor that a value was multiplied by for this product with a function of itself, and what was multiplied.
    let factor = |new: &Graph, i: usize, x: Value, other: Value| match new.maker(x).op {
        Op::Unary(Unary::Scale(s)) if readers.only(node.inputs[i]) == Some(id) => {
            Some((s, new.maker(x).inputs[0])).filter(|(_, x)| is_function_of(new, other, *x, DEPTH))
        }
        _ => None,
    };
    let (op, inputs, last) = match (f, &new.maker(b).op) {
        (Binary::Pow, _) if new.scalar(b) == Some(3.0) => {
            let square = new.add(Op::Unary(Unary::Square), &[a], node.label.clone())?;
            (Op::Binary(Binary::Mul), [square.value(), a], None)
        }
        (Binary::Div, Op::Unary(Unary::Sqrt)) => {
            let under = new.maker(b).inputs[0];
            let root = new.add(Op::Unary(Unary::Rsqrt), &[under], node.label.clone())?;
            (Op::Binary(Binary::Mul), [a, root.value()], None)
        }
        (Binary::Mul, _) => match (factor(new, 0, a, b), factor(new, 1, b, a)) {
            (Some((s, a)), _) => (Op::Binary(Binary::Mul), [a, b], Some(s)),
            (_, Some((s, b))) => (Op::Binary(Binary::Mul), [a, b], Some(s)),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let product = new.add(op, &inputs, node.label.clone())?.value();
    Ok(Some(match last {
        Some(s) => new.add(Op::Unary(Unary::Scale(s)), &[product], node.label.clone())?.value(),
        None => product,
    }))
}

/// How far back a function of a value may begin: that of GELU by tanh, six operations.
const DEPTH: u32 = 8;

/// Whether a value is made from another by elementwise operations.
fn is_function_of(graph: &Graph, value: Value, x: Value, depth: u32) -> bool {
    let node = graph.maker(value);
    let is_elementwise = matches!(node.op, Op::Unary(_) | Op::Binary(_));
    value == x || (depth > 0 && is_elementwise && node.inputs.iter().any(|v| is_function_of(graph, *v, x, depth - 1)))
}

/// Whether an operation exchanges the last two dimensions and no others.
fn turns_last_two(op: &Op) -> bool {
    let Op::Transpose(order) = op else { return false };
    let Some(outer) = order.len().checked_sub(2) else { return false };
    order[outer..] == [outer + 1, outer] && order[..outer].iter().copied().eq(0..outer)
}
