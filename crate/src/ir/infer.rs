//! Facts of an operation's results from the facts of its inputs: one function, called while a graph is built.

mod recur;

use super::{
    fact::{DType, Dim, Fact},
    graph::{Graph, Input, StateId},
    op::{Attention, Binary, ExpertLinear, Fused, Link, Op, Rope, Routing},
};
use crate::{
    fault::{Fault, Result},
    order,
};

/// Facts of the results of `op` on inputs of the given facts.
///
/// # Errors
/// The inputs do not fit: their number, types or shapes, which the fault names.
pub fn infer(graph: &Graph, op: &Op, inputs: &[&Fact]) -> Result<Vec<Fact>> {
    let arity = arity(op);
    if !arity.contains(&inputs.len()) {
        let expected = match (*arity.start(), *arity.end()) {
            (least, usize::MAX) => format!("{least} or more"),
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        };
        return Err(wrong(format!("{expected} inputs expected, {} given", inputs.len())));
    }
    let one = |fact: Fact| Ok(vec![fact]);
    match op {
        Op::Input(input) => one(Fact::new(
            DType::I32,
            [match input {
                Input::Tokens | Input::Positions | Input::Types => Dim::Rows,
                Input::Outputs => Dim::Outputs,
            }],
        )),
        Op::Weight(id) => one(graph.weights.get(id.0 as usize).ok_or_else(|| wrong("no such weight"))?.fact.clone()),
        Op::Constant(at) => one(graph.constants.get(*at).ok_or_else(|| wrong("no such constant"))?.fact.clone()),
        Op::Embed => {
            let width = matrix(inputs[0])?[1];
            one(Fact::new(DType::F32, [rows_of_ids(inputs[1])?, width]))
        }
        Op::Linear => one(linear(inputs[0], inputs[1], inputs.get(2).copied())?),
        Op::MatMul { transposed } => one(mat_mul(inputs[0], inputs[1], *transposed)?),
        Op::RmsNorm { group, .. } => {
            vector(inputs[1], *group)?;
            match floats(inputs[0])?.width() {
                Some(n) if *group > 0 && n % group == 0 => one(inputs[0].clone()),
                _ => Err(wrong(format!("rows of a multiple of {group} values expected, {} found", inputs[0]))),
            }
        }
        Op::LayerNorm { .. } => {
            let width = width(floats(inputs[0])?)?;
            inputs[1..].iter().try_for_each(|v| vector(v, width))?;
            one(inputs[0].clone())
        }
        Op::Softmax | Op::Unary(_) => one(floats(inputs[0])?.clone()),
        Op::Rope(rope) => {
            check_rope(graph, rope, floats(inputs[0])?, inputs[1])?;
            one(inputs[0].clone())
        }
        Op::Attention(a) => one(attention(a, inputs)?),
        Op::StateWrite(id) => one(state_write(graph, *id, floats(inputs[0])?)?),
        Op::Recur(r) => recur::recur(graph, r, inputs),
        Op::Binary(_) => {
            let fact = broadcast(inputs[0], inputs[1])?;
            match fact.dtype {
                DType::Bool | DType::Block(_) => Err(wrong(format!("numbers expected, {} found", inputs[0]))),
                _ => one(fact),
            }
        }
        Op::Select => {
            if inputs[0].dtype != DType::Bool {
                return Err(wrong(format!("a condition expected, {} found", inputs[0])));
            }
            let values = broadcast(inputs[1], inputs[2])?;
            let shape = broadcast(&Fact::new(values.dtype, inputs[0].shape.clone()), &values)?.shape;
            one(Fact::new(values.dtype, shape))
        }
        Op::Cast(dtype) => one(Fact::new(*dtype, inputs[0].shape.clone())),
        Op::Reduce(_) => {
            let mut fact = floats(inputs[0])?.clone();
            *fact.shape.last_mut().ok_or_else(|| wrong("a scalar cannot be reduced"))? = Dim::Fixed(1);
            one(fact)
        }
        Op::Reshape(shape) => reshape(inputs[0], shape).and_then(one),
        Op::Transpose(axes) => {
            let mut sorted = axes.clone();
            order::sort(&mut sorted);
            if sorted != (0..inputs[0].shape.len()).collect::<Vec<_>>() {
                return Err(wrong(format!("{axes:?} is no order of the dimensions of {}", inputs[0])));
            }
            one(Fact::new(inputs[0].dtype, axes.iter().map(|i| inputs[0].shape[*i]).collect::<Vec<_>>()))
        }
        Op::Slice { axis, start, len } => {
            let mut fact = inputs[0].clone();
            match fact.shape.get(*axis) {
                Some(Dim::Fixed(n)) if start.checked_add(*len).is_some_and(|end| end <= *n) => {
                    fact.shape[*axis] = Dim::Fixed(*len);
                    one(fact)
                }
                _ => Err(wrong(format!("{len} indices from {start} of dimension {axis} of {fact}"))),
            }
        }
        Op::Concat { axis } => one(concat(inputs, *axis)?),
        Op::Gather => {
            let width = matrix(inputs[0])?[1];
            one(Fact::new(inputs[0].dtype, [rows_of_ids(inputs[1])?, width]))
        }
        Op::Route(routing) => route(routing, inputs),
        Op::ExpertLinear(spec) => one(expert_linear(spec, inputs)?),
        Op::ExpertSum => match (floats(inputs[0])?.shape.as_slice(), floats(inputs[1])?.shape.as_slice()) {
            (&[rows, used, n], &[also, weighed]) if rows == also && used == weighed => {
                one(Fact::new(DType::F32, [rows, n]))
            }
            _ => Err(wrong(format!(
                "a weight for each of [rows, used, n] expected, {} and {} found",
                inputs[0], inputs[1]
            ))),
        },
        Op::Sample { alternatives } => {
            let rows = matrix(floats(inputs[0])?)?[0];
            Ok(vec![
                Fact::new(DType::I32, [rows]),
                Fact::new(DType::I32, [rows, Dim::Fixed(*alternatives)]),
                Fact::new(DType::F32, [rows, Dim::Fixed(1 + alternatives)]),
            ])
        }
        Op::Advance => {
            rows_of_ids(inputs[0])?;
            Ok(Vec::new())
        }
        Op::Fused(fused) => self::fused(graph, fused, inputs),
    }
}

/// How many inputs an operation takes.
fn arity(op: &Op) -> std::ops::RangeInclusive<usize> {
    match op {
        Op::Input(_) | Op::Weight(_) | Op::Constant(_) => 0..=0,
        Op::Softmax | Op::Unary(_) | Op::Cast(_) | Op::Reduce(_) | Op::Reshape(_) | Op::Transpose(_) => 1..=1,
        Op::Slice { .. } | Op::StateWrite(_) | Op::Sample { .. } => 1..=1,
        Op::Embed | Op::MatMul { .. } | Op::RmsNorm { .. } | Op::Rope(_) | Op::Binary(_) | Op::Gather => 2..=2,
        Op::Linear | Op::LayerNorm { .. } => 2..=3,
        Op::Select | Op::Advance => 3..=3,
        Op::Attention(a) => {
            let all = 3 + usize::from(a.reach.is_some()) + usize::from(a.sinks);
            all..=all
        }
        Op::Route(_) => 1..=2,
        Op::ExpertLinear(spec) => 2 + usize::from(spec.routed)..=3 + usize::from(spec.routed),
        Op::ExpertSum => 2..=2,
        Op::Recur(r) => recur::arity(&r.rule),
        Op::Concat { .. } | Op::Fused(Fused::Chain(_)) => 1..=usize::MAX,
        Op::Fused(Fused::LinearAdd) => 3..=4,
        Op::Fused(Fused::GatedLinear(_)) => 2..=3,
        Op::Fused(Fused::RopeWrite { .. }) => 2..=2,
    }
}

fn wrong(what: impl Into<String>) -> Fault {
    Fault::new(crate::fault::Blame::File, what)
}

fn floats(fact: &Fact) -> Result<&Fact> {
    match fact.dtype {
        DType::F32 | DType::F16 => Ok(fact),
        _ => Err(wrong(format!("floating-point values expected, {fact} found"))),
    }
}

fn width(fact: &Fact) -> Result<u32> {
    fact.width().ok_or_else(|| wrong(format!("rows of a known width expected, {fact} found")))
}

fn matrix(fact: &Fact) -> Result<[Dim; 2]> {
    match *fact.shape.as_slice() {
        [rows, cols] => Ok([rows, cols]),
        _ => Err(wrong(format!("two dimensions expected, {fact} found"))),
    }
}

fn vector(fact: &Fact, len: u32) -> Result<()> {
    match fact.shape.as_slice() {
        [Dim::Fixed(n)] if *n == len => Ok(()),
        _ => Err(wrong(format!("a vector of {len} values expected, {fact} found"))),
    }
}

fn rows_of_ids(fact: &Fact) -> Result<Dim> {
    match (fact.dtype, fact.shape.as_slice()) {
        (DType::I32 | DType::I64, [rows]) => Ok(*rows),
        _ => Err(wrong(format!("a list of whole numbers expected, {fact} found"))),
    }
}

fn linear(x: &Fact, weight: &Fact, bias: Option<&Fact>) -> Result<Fact> {
    let ([n, k], x_width) = (matrix(weight)?, width(floats(x)?)?);
    if k != Dim::Fixed(x_width) {
        return Err(wrong(format!("a weight with rows of {x_width} values expected, {weight} found")));
    }
    let n_rows = n.fixed().ok_or_else(|| wrong("a weight of a known number of rows expected"))?;
    if let Some(bias) = bias {
        vector(bias, n_rows)?;
    }
    let mut fact = x.clone();
    *fact.shape.last_mut().ok_or_else(|| wrong("a scalar through a matrix"))? = n;
    Ok(fact)
}

fn mat_mul(a: &Fact, b: &Fact, transposed: bool) -> Result<Fact> {
    let differ = || wrong(format!("{a} cannot be multiplied by {b}{}", if transposed { " transposed" } else { "" }));
    let (&[.., m, k], &[.., b0, b1]) = (a.shape.as_slice(), b.shape.as_slice()) else { return Err(differ()) };
    let (k_b, n) = if transposed { (b1, b0) } else { (b0, b1) };
    if k != k_b {
        return Err(differ());
    }
    let outer = |f: &Fact| Fact::new(f.dtype, f.shape[..f.shape.len() - 2].to_vec());
    let mut fact = broadcast(&outer(floats(a)?), &outer(floats(b)?)).map_err(|_| differ())?;
    fact.shape.extend([m, n]);
    Ok(fact)
}

fn check_rope(graph: &Graph, rope: &Rope, x: &Fact, positions: &Fact) -> Result<()> {
    let rotation = graph.rotations.get(rope.rotation).ok_or_else(|| wrong("no such rotation"))?;
    let (n, rows) = (width(x)?, rows_of_ids(positions)?);
    if rope.dims != rotation.dims || rope.dims % 2 != 0 || rope.dims > rope.head_dim || rope.dims == 0 {
        let what =
            format!("{} rotated values in heads of {}: an even number up to it expected", rope.dims, rope.head_dim);
        return Err(wrong(what));
    }
    if n % rope.head_dim != 0 || x.shape.first() != Some(&rows) || x.shape.len() != 2 {
        return Err(wrong(format!("[{rows}, heads of {}] expected, {x} found", rope.head_dim)));
    }
    Ok(())
}

fn attention(a: &Attention, inputs: &[&Fact]) -> Result<Fact> {
    let [rows, _] = matrix(floats(inputs[0])?)?;
    if a.kv_heads == 0 || a.heads == 0 || a.heads % a.kv_heads != 0 {
        return Err(wrong(format!("{} query heads cannot share {} KV heads evenly", a.heads, a.kv_heads)));
    }
    let width = |heads: u32, dim: u32| {
        heads.checked_mul(dim).filter(|n| *n > 0).ok_or_else(|| wrong(format!("{heads} heads of {dim} values")))
    };
    let wanted = [width(a.heads, a.head_dim)?, width(a.kv_heads, a.head_dim)?, width(a.kv_heads, a.value_dim)?];
    for (fact, wanted) in inputs.iter().zip(wanted) {
        if matrix(floats(fact)?)?[1] != Dim::Fixed(wanted) {
            return Err(wrong(format!("rows of {wanted} values expected for attention, {fact} found")));
        }
    }
    let bias = |reach: u32| {
        let n = reach.checked_mul(2).and_then(|n| n.checked_add(1)).and_then(|n| n.checked_mul(a.heads));
        n.ok_or_else(|| wrong(format!("a bias of {} heads for distances up to {reach}", a.heads)))
    };
    if let (Some(reach), Some(fact)) = (a.reach, inputs.get(3)) {
        vector(floats(fact)?, bias(reach)?)?;
    }
    if let Some(sinks) = a.sinks_at().and_then(|at| inputs.get(at)) {
        vector(floats(sinks)?, a.heads)?;
    }
    if inputs[1].shape[0] != inputs[2].shape[0] {
        return Err(wrong(format!("as many keys as values expected, {} and {} found", inputs[1], inputs[2])));
    }
    Ok(Fact::new(DType::F32, [rows, Dim::Fixed(width(a.heads, a.value_dim)?)]))
}

fn route(r: &Routing, inputs: &[&Fact]) -> Result<Vec<Fact>> {
    let [rows, _] = matrix(floats(inputs[0])?)?;
    let experts = width(inputs[0])?;
    if let Some(bias) = inputs.get(1) {
        vector(bias, experts)?;
    }
    let whole = r.groups > 0 && experts % r.groups == 0 && (1..=r.groups).contains(&r.groups_used);
    if !whole || r.used == 0 || r.used > experts / r.groups * r.groups_used {
        let what = format!("{} of {experts} experts, from {} of {} groups", r.used, r.groups_used, r.groups);
        return Err(wrong(format!("{what}, cannot be chosen")));
    }
    let used = Dim::Fixed(r.used);
    Ok(vec![Fact::new(DType::I32, [rows, used]), Fact::new(DType::F32, [rows, used])])
}

fn expert_linear(spec: &ExpertLinear, inputs: &[&Fact]) -> Result<Fact> {
    let [all, k] = matrix(inputs[1])?;
    let n = all.fixed().filter(|n| spec.experts > 0 && *n > 0 && n % spec.experts == 0).map(|n| n / spec.experts);
    let n = n.ok_or_else(|| wrong(format!("rows of {} experts expected, {} found", spec.experts, inputs[1])))?;
    let x = floats(inputs[0])?;
    let (rows, each) = match *x.shape.as_slice() {
        [rows, width] if width == k => (rows, None),
        [rows, used, width] if width == k => (rows, Some(used)),
        _ => return Err(wrong(format!("rows of {k} values expected, {x} found"))),
    };
    let used = match inputs.get(2).filter(|_| spec.routed) {
        Some(ids) => match (ids.dtype, ids.shape.as_slice()) {
            (DType::I32, &[also, used]) if also == rows => used,
            _ => return Err(wrong(format!("ids of experts for each of {rows} expected, {ids} found"))),
        },
        None => Dim::Fixed(spec.experts),
    };
    if each.is_some_and(|each| each != used) {
        return Err(wrong(format!("{used} rows for each of {rows} expected, {x} found")));
    }
    if let Some(bias) = inputs.get(2 + usize::from(spec.routed)) {
        vector(bias, spec.experts * n)?;
    }
    Ok(Fact::new(DType::F32, [rows, used, Dim::Fixed(n)]))
}

fn state_write(graph: &Graph, id: StateId, x: &Fact) -> Result<Fact> {
    let state = graph.states.get(id.0 as usize).ok_or_else(|| wrong("no such state"))?;
    if state.carried {
        return Err(wrong(format!("{} has one row a sequence, not one a position", state.name)));
    }
    if matrix(x)?[1] != Dim::Fixed(state.width) {
        return Err(wrong(format!("rows of {} values expected for {}, {x} found", state.width, state.name)));
    }
    Ok(Fact::rows(Dim::Context, state.width))
}

/// NumPy's rules; a symbolic dimension equals itself alone.
fn broadcast(a: &Fact, b: &Fact) -> Result<Fact> {
    if a.dtype != b.dtype {
        return Err(wrong(format!("values of one type expected, {a} and {b} found")));
    }
    let rank = a.shape.len().max(b.shape.len());
    let at = |f: &Fact, i: usize| (i + f.shape.len()).checked_sub(rank).map_or(Dim::Fixed(1), |i| f.shape[i]);
    let dims = (0..rank).map(|i| match (at(a, i), at(b, i)) {
        (x, y) if x == y => Ok(x),
        (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => Ok(other),
        _ => Err(wrong(format!("shapes that fit each other expected, {a} and {b} found"))),
    });
    Ok(Fact::new(a.dtype, dims.collect::<Result<Vec<_>>>()?))
}

/// Fixed dimensions must have equal products; symbolic ones must stand in both, as often.
fn reshape(x: &Fact, shape: &[Dim]) -> Result<Fact> {
    let parts = |dims: &[Dim]| {
        let fixed = dims.iter().filter_map(|d| d.fixed()).try_fold(1u64, |p, n| p.checked_mul(u64::from(n)));
        let mut named: Vec<Dim> = dims.iter().copied().filter(|d| d.fixed().is_none()).collect();
        order::sort(&mut named);
        (fixed, named)
    };
    let fact = Fact::new(x.dtype, shape.to_vec());
    if parts(&x.shape) != parts(shape) {
        return Err(wrong(format!("{x} cannot become {fact}")));
    }
    Ok(fact)
}

fn concat(inputs: &[&Fact], axis: usize) -> Result<Fact> {
    let mut fact = inputs[0].clone();
    let mut sum = 0u32;
    for input in inputs {
        let n = input.shape.get(axis).and_then(|d| d.fixed());
        let n = n.ok_or_else(|| wrong(format!("a known dimension {axis} expected, {input} found")))?;
        sum = sum.checked_add(n).ok_or_else(|| wrong("a dimension beyond 2^32"))?;
        fact.shape[axis] = Dim::Fixed(n);
        if fact != **input {
            return Err(wrong(format!("{} and {input} cannot be joined along dimension {axis}", inputs[0])));
        }
    }
    fact.shape[axis] = Dim::Fixed(sum);
    Ok(fact)
}

fn fused(graph: &Graph, fused: &Fused, inputs: &[&Fact]) -> Result<Vec<Fact>> {
    match fused {
        Fused::Chain(links) => {
            let mut fact = floats(inputs[0])?.clone();
            for link in links {
                if let Link::Binary(_, i) | Link::Reversed(_, i) = link {
                    let other = inputs.get(*i as usize).ok_or_else(|| wrong(format!("no input {i} of a chain")))?;
                    fact = broadcast(&fact, other)?;
                }
            }
            Ok(vec![fact])
        }
        Fused::LinearAdd => {
            let y = linear(inputs[1], inputs[2], inputs.get(3).copied())?;
            if y != *inputs[0] {
                return Err(wrong(format!("{y} cannot be added to {}", inputs[0])));
            }
            Ok(vec![y])
        }
        Fused::GatedLinear(_) => {
            let mut y = linear(inputs[0], inputs[1], inputs.get(2).copied())?;
            match y.width() {
                Some(n) if n % 2 == 0 => {
                    let last = y.shape.len() - 1;
                    y.shape[last] = Dim::Fixed(n / 2);
                    Ok(vec![y])
                }
                _ => Err(wrong(format!("an even number of rows expected for a gate, {} found", inputs[1]))),
            }
        }
        Fused::RopeWrite { rope, q, k, v, keys, values } => {
            let [rows, width] = matrix(floats(inputs[0])?)?;
            if q.checked_add(*k).and_then(|n| n.checked_add(*v)).map(Dim::Fixed) != Some(width) {
                return Err(wrong(format!("rows of {q} + {k} + {v} values expected, {} found", inputs[0])));
            }
            let part = |n: u32| Fact::rows(rows, n);
            check_rope(graph, rope, &part(*q), inputs[1])?;
            check_rope(graph, rope, &part(*k), inputs[1])?;
            let (keys, values) = (state_write(graph, *keys, &part(*k))?, state_write(graph, *values, &part(*v))?);
            Ok(vec![part(*q), keys, values])
        }
    }
}

/// Whether a binary operation gives the same with its inputs exchanged.
impl Binary {
    /// `f(a, b) == f(b, a)`.
    pub fn commutes(self) -> bool {
        matches!(self, Self::Add | Self::Mul | Self::Max | Self::Min)
    }
}

#[cfg(test)]
mod tests;
