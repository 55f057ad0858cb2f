//! Rich operations as plainer ones: what a device without the kernel runs, what the recogniser looks for, and a second
//! statement of each operation's meaning that tests hold against [`super::eval`].
//!
//! Each step goes down a little: a linear map with a bias is one without and an addition.

use super::{
    fact::{DType, Dim, Fact},
    graph::{Constant, Graph, Node, Value},
    op::{Attention, Binary, ExpertLinear, Fused, Link, Op, Reduction, Unary},
    rewrite::rewrite,
};
use crate::fault::Result;

/// The most values of the mask that attention over a fixed number of rows is given: 4096 rows.
const MASK_LIMIT: u32 = 1 << 24;

/// Adds plainer operations that compute what `op` does, and gives their results; `None`, and nothing added, where there are none.
///
/// Attention is taken apart where the rows are of a fixed number and of this step: they are then one sequence, from position 0 on.
///
/// # Errors
/// The inputs do not fit the operation.
pub fn decompose(graph: &mut Graph, op: &Op, inputs: &[Value], label: &str) -> Result<Option<Vec<Value>>> {
    let facts: Vec<Fact> = inputs.iter().map(|v| graph.fact(*v).clone()).collect();
    super::infer(graph, op, &facts.iter().collect::<Vec<_>>())?;
    let parts = &mut Parts { graph, label };
    let one = |value: Value| Ok(Some(vec![value]));
    match (op, inputs) {
        (Op::Linear, &[x, weight]) if facts[0].shape.len() >= 2 => parts.linear(x, weight).and_then(one),
        (Op::Linear, &[x, weight, bias]) => {
            let y = parts.add(Op::Linear, &[x, weight])?;
            parts.binary(Binary::Add, y, bias).and_then(one)
        }
        (Op::RmsNorm { eps, group }, &[x, weight]) => parts.rms_norm(x, weight, *eps, *group).and_then(one),
        (Op::LayerNorm { eps }, &[x, weight]) => parts.layer_norm(x, weight, *eps).and_then(one),
        (Op::LayerNorm { .. }, &[x, weight, bias]) => {
            let y = parts.add(op.clone(), &[x, weight])?;
            parts.binary(Binary::Add, y, bias).and_then(one)
        }
        (Op::Softmax, &[x]) => parts.softmax(x).and_then(one),
        (Op::Unary(f), &[x]) => parts.function(*f, x).map(|y| y.map(|y| vec![y])),
        (Op::Attention(spec), &[q, k, v, ref others @ ..]) => {
            parts.attention(spec, [q, k, v], others).map(|y| y.map(|y| vec![y]))
        }
        (Op::ExpertLinear(spec), &[x, weight, ref bias @ ..]) if !spec.routed && facts[0].shape.len() == 3 => {
            parts.all_experts(spec, x, weight, bias.first().copied()).and_then(one)
        }
        (Op::ExpertSum, &[x, weights]) => parts.expert_sum(x, weights).and_then(one),
        (Op::Fused(Fused::Chain(links)), inputs) => parts.chain(links, inputs).and_then(one),
        (Op::Fused(Fused::LinearAdd), &[residual, ref linear @ ..]) => {
            let y = parts.add(Op::Linear, linear)?;
            parts.binary(Binary::Add, residual, y).and_then(one)
        }
        (Op::Fused(Fused::GatedLinear(f)), linear) => parts.gated(*f, linear).and_then(one),
        (Op::Fused(Fused::RopeWrite { .. }), &[qkv, positions]) => parts.rope_write(op, qkv, positions).map(Some),
        _ => Ok(None),
    }
}

/// Takes apart every operation that a device rejects, and what that gives in turn; what cannot be taken apart stays.
///
/// # Errors
/// None that a graph which [`super::verify`] accepts causes.
pub fn decompose_rejected(graph: &mut Graph, is_rejected: &dyn Fn(&Graph, &Node) -> bool) -> Result<()> {
    let mut again = true;
    while std::mem::take(&mut again) {
        rewrite(graph, |writer, id| {
            let node = writer.old.node(id);
            if !is_rejected(writer.old, node) {
                return Ok(None);
            }
            let inputs = writer.inputs(id)?;
            let parts = decompose(&mut writer.new, &node.op, &inputs, &node.label)?;
            again |= parts.is_some();
            Ok(parts)
        })?;
    }
    Ok(())
}

/// Adds operations under one label.
struct Parts<'g> {
    graph: &'g mut Graph,
    label: &'g str,
}

impl Parts<'_> {
    fn add(&mut self, op: Op, inputs: &[Value]) -> Result<Value> {
        Ok(self.graph.add(op, inputs, self.label)?.value())
    }
    fn unary(&mut self, f: Unary, x: Value) -> Result<Value> {
        self.add(Op::Unary(f), &[x])
    }
    /// One function after the other.
    fn all(&mut self, functions: &[Unary], x: Value) -> Result<Value> {
        functions.iter().try_fold(x, |x, f| self.unary(*f, x))
    }
    fn binary(&mut self, f: Binary, a: Value, b: Value) -> Result<Value> {
        self.add(Op::Binary(f), &[a, b])
    }
    fn reduce(&mut self, kind: Reduction, x: Value) -> Result<Value> {
        self.add(Op::Reduce(kind), &[x])
    }
    fn reshape(&mut self, shape: &[Dim], x: Value) -> Result<Value> {
        self.add(Op::Reshape(shape.to_vec()), &[x])
    }
    fn shape(&self, x: Value) -> Vec<Dim> {
        self.graph.fact(x).shape.clone()
    }

    fn linear(&mut self, x: Value, weight: Value) -> Result<Value> {
        let weight = match self.graph.fact(weight).dtype {
            DType::Block(_) => self.add(Op::Cast(DType::F32), &[weight])?,
            _ => weight,
        };
        self.add(Op::MatMul { transposed: true }, &[x, weight])
    }

    fn rms_norm(&mut self, x: Value, weight: Value, eps: f32, group: u32) -> Result<Value> {
        let whole = self.shape(x);
        let (mut grouped, last) = (whole.clone(), whole.len() - 1);
        if whole[last] != Dim::Fixed(group) {
            let groups = whole[last].fixed().map_or(0, |n| n / group);
            grouped.splice(last.., [Dim::Fixed(groups), Dim::Fixed(group)]);
        }
        let x = if grouped == whole { x } else { self.reshape(&grouped, x)? };
        let squares = self.unary(Unary::Square, x)?;
        let mean = self.reduce(Reduction::Mean, squares)?;
        let scale = self.all(&[Unary::Shift(eps), Unary::Rsqrt], mean)?;
        let y = self.binary(Binary::Mul, x, scale)?;
        let y = self.binary(Binary::Mul, y, weight)?;
        if grouped == whole { Ok(y) } else { self.reshape(&whole, y) }
    }

    fn layer_norm(&mut self, x: Value, weight: Value, eps: f32) -> Result<Value> {
        let mean = self.reduce(Reduction::Mean, x)?;
        let centred = self.binary(Binary::Sub, x, mean)?;
        let squares = self.unary(Unary::Square, centred)?;
        let variance = self.reduce(Reduction::Mean, squares)?;
        let scale = self.all(&[Unary::Shift(eps), Unary::Rsqrt], variance)?;
        let y = self.binary(Binary::Mul, centred, scale)?;
        self.binary(Binary::Mul, y, weight)
    }

    fn softmax(&mut self, x: Value) -> Result<Value> {
        let max = self.reduce(Reduction::Max, x)?;
        let below = self.binary(Binary::Sub, x, max)?;
        let powers = self.unary(Unary::Exp, below)?;
        let sum = self.reduce(Reduction::Sum, powers)?;
        self.binary(Binary::Div, powers, sum)
    }

    fn function(&mut self, f: Unary, x: Value) -> Result<Option<Value>> {
        use Unary::{Abs, Erf, Exp, Log, Neg, Reciprocal, Relu, Scale, Shift, Sigmoid, Sqrt, Square, Tanh};
        Ok(Some(match f {
            Unary::SoftCap(s) => self.all(&[Scale(1.0 / s), Tanh, Scale(s)], x)?,
            Unary::Rsqrt => self.all(&[Sqrt, Reciprocal], x)?,
            Square => self.binary(Binary::Mul, x, x)?,
            Sigmoid => self.all(&[Neg, Exp, Shift(1.0), Reciprocal], x)?,
            Unary::ReluSquared => self.all(&[Relu, Square], x)?,
            Unary::Silu => {
                let gate = self.unary(Sigmoid, x)?;
                self.binary(Binary::Mul, x, gate)?
            }
            Unary::QuickGelu => {
                let gate = self.all(&[Scale(1.702), Sigmoid], x)?;
                self.binary(Binary::Mul, x, gate)?
            }
            Unary::Gelu => {
                let gate = self.all(&[Scale(std::f32::consts::FRAC_1_SQRT_2), Erf, Shift(1.0)], x)?;
                let y = self.binary(Binary::Mul, x, gate)?;
                self.unary(Scale(0.5), y)?
            }
            Unary::GeluTanh => {
                let square = self.unary(Square, x)?;
                let cube = self.binary(Binary::Mul, square, x)?;
                let part = self.unary(Scale(0.044715), cube)?;
                let inner = self.binary(Binary::Add, x, part)?;
                let root = (2.0 / std::f64::consts::PI).sqrt() as f32;
                let gate = self.all(&[Scale(root), Tanh, Shift(1.0)], inner)?;
                let y = self.binary(Binary::Mul, x, gate)?;
                self.unary(Scale(0.5), y)?
            }
            Unary::Softplus => {
                let tail = self.all(&[Abs, Neg, Exp, Shift(1.0), Log], x)?;
                let above = self.unary(Relu, x)?;
                self.binary(Binary::Add, above, tail)?
            }
            _ => return Ok(None),
        }))
    }

    fn chain(&mut self, links: &[Link], inputs: &[Value]) -> Result<Value> {
        links.iter().try_fold(inputs[0], |x, link| match *link {
            Link::Unary(f) => self.unary(f, x),
            Link::Binary(f, i) => self.binary(f, x, inputs[usize::from(i)]),
            Link::Reversed(f, i) => self.binary(f, inputs[usize::from(i)], x),
        })
    }

    /// A range of the last dimension.
    fn columns(&mut self, x: Value, start: u32, len: u32) -> Result<Value> {
        let axis = self.shape(x).len().saturating_sub(1);
        self.add(Op::Slice { axis, start, len }, &[x])
    }

    fn gated(&mut self, f: Unary, linear: &[Value]) -> Result<Value> {
        let both = self.add(Op::Linear, linear)?;
        let half = self.graph.fact(both).width().unwrap_or(0) / 2;
        let (gate, up) = (self.columns(both, 0, half)?, self.columns(both, half, half)?);
        let gate = self.unary(f, gate)?;
        self.binary(Binary::Mul, gate, up)
    }

    fn rope_write(&mut self, op: &Op, qkv: Value, positions: Value) -> Result<Vec<Value>> {
        let &Op::Fused(Fused::RopeWrite { rope, q, k, v, keys, values }) = op else { return Ok(Vec::new()) };
        let parts = [self.columns(qkv, 0, q)?, self.columns(qkv, q, k)?, self.columns(qkv, q + k, v)?];
        let queries = self.add(Op::Rope(rope), &[parts[0], positions])?;
        let rotated = self.add(Op::Rope(rope), &[parts[1], positions])?;
        let keys = self.add(Op::StateWrite(keys), &[rotated])?;
        let values = self.add(Op::StateWrite(values), &[parts[2]])?;
        Ok(vec![queries, keys, values])
    }

    /// `[rows, kv_heads * group * dim]` to `[kv_heads, group, rows, dim]`.
    fn by_head(&mut self, x: Value, kv_heads: u32, group: u32, dim: u32) -> Result<Value> {
        let rows = self.shape(x)[0];
        let x = self.reshape(&[rows, Dim::Fixed(kv_heads), Dim::Fixed(group), Dim::Fixed(dim)], x)?;
        self.add(Op::Transpose(vec![1, 2, 0, 3]), &[x])
    }

    /// `[(2 * reach + 1) * heads]` to `[kv_heads, group, n, n]`: the value for each query and key.
    fn distances(&mut self, spec: &Attention, reach: u32, n: u32, bias: Value) -> Result<Value> {
        let (heads, far) = (spec.heads, i64::from(reach));
        let table = self.reshape(&[Dim::Fixed(2 * reach + 1), Dim::Fixed(heads)], bias)?;
        let at = |p: u32, q: u32| ((i64::from(q) - i64::from(p)).clamp(-far, far) + far) as f32;
        let values = (0..n).flat_map(|p| (0..n).map(move |q| at(p, q))).collect();
        let fact = Fact::new(DType::I32, [Dim::Fixed(n * n)]);
        let ids = self.graph.add_constant(Constant { fact, values }, self.label)?;
        let each = self.add(Op::Embed, &[table, ids.value()])?;
        let (rows, kv_heads) = (Dim::Fixed(n), spec.kv_heads);
        let each = self.reshape(&[rows, rows, Dim::Fixed(kv_heads), Dim::Fixed(heads / kv_heads)], each)?;
        self.add(Op::Transpose(vec![2, 3, 0, 1]), &[each])
    }

    /// Known values added.
    fn plus(&mut self, x: Value, fact: Fact, values: std::rc::Rc<[f32]>) -> Result<Value> {
        let known = self.graph.add_constant(Constant { fact, values }, self.label)?;
        self.binary(Binary::Add, x, known.value())
    }

    /// Softmax of scores `[kv_heads, group, n, n]` with a further score for each head, which is dropped afterwards.
    fn softmax_beside(&mut self, scores: Value, sinks: Value, [kv_heads, group, n]: [u32; 3]) -> Result<Value> {
        let fixed = |dims: [u32; 4]| dims.map(Dim::Fixed);
        let sinks = self.reshape(&fixed([kv_heads, group, 1, 1]), sinks)?;
        let zeros = vec![0f32; n as usize].into();
        let sinks = self.plus(sinks, Fact::new(DType::F32, fixed([1, 1, n, 1])), zeros)?;
        let all = self.add(Op::Concat { axis: 3 }, &[scores, sinks])?;
        let shares = self.add(Op::Softmax, &[all])?;
        self.columns(shares, 0, n)
    }

    /// Each expert's rows times its own rows of x: matrices side by side.
    fn all_experts(&mut self, spec: &ExpertLinear, x: Value, weight: Value, bias: Option<Value>) -> Result<Value> {
        let (shape, fact) = (self.shape(x), self.graph.fact(weight).clone());
        let (experts, k) = (Dim::Fixed(spec.experts), shape[2]);
        let n = Dim::Fixed(fact.shape[0].fixed().map_or(0, |all| all / spec.experts));
        let weight = match fact.dtype {
            DType::Block(_) => self.add(Op::Cast(DType::F32), &[weight])?,
            _ => weight,
        };
        let weight = self.reshape(&[experts, n, k], weight)?;
        let x = self.add(Op::Transpose(vec![1, 0, 2]), &[x])?;
        let y = self.add(Op::MatMul { transposed: true }, &[x, weight])?;
        let y = self.add(Op::Transpose(vec![1, 0, 2]), &[y])?;
        match bias {
            Some(bias) => {
                let bias = self.reshape(&[experts, n], bias)?;
                self.binary(Binary::Add, y, bias)
            }
            None => Ok(y),
        }
    }

    fn expert_sum(&mut self, x: Value, weights: Value) -> Result<Value> {
        let shape = self.shape(x);
        let weights = self.reshape(&[shape[0], Dim::Fixed(1), shape[1]], weights)?;
        let y = self.add(Op::MatMul { transposed: false }, &[weights, x])?;
        self.reshape(&[shape[0], shape[2]], y)
    }

    fn attention(&mut self, spec: &Attention, [q, k, v]: [Value; 3], others: &[Value]) -> Result<Option<Value>> {
        let sinks = spec.sinks_at().and_then(|at| others.get(at - 3)).copied();
        let bias = spec.reach.and_then(|_| others.first()).copied();
        let (rows, kv_heads) = (self.shape(q)[0], spec.kv_heads);
        let masks = if spec.alibi.is_some() { spec.heads } else { 1 };
        let fits =
            |n: &u32| *n > 0 && n.checked_mul(*n).and_then(|n| n.checked_mul(masks)).is_some_and(|n| n <= MASK_LIMIT);
        let Some(n) = rows.fixed().filter(fits) else { return Ok(None) };
        if self.shape(k)[0] != rows {
            return Ok(None);
        }
        let q = self.by_head(q, kv_heads, spec.heads / kv_heads, spec.head_dim)?;
        let k = self.by_head(k, kv_heads, 1, spec.head_dim)?;
        let v = self.by_head(v, kv_heads, 1, spec.value_dim)?;
        let scores = self.add(Op::MatMul { transposed: true }, &[q, k])?;
        let mut scores = self.unary(Unary::Scale(spec.scale), scores)?;
        if let Some(cap) = spec.soft_cap {
            scores = self.unary(Unary::SoftCap(cap), scores)?;
        }
        if let (Some(reach), Some(bias)) = (spec.reach, bias) {
            let added = self.distances(spec, reach, n, bias)?;
            scores = self.binary(Binary::Add, scores, added)?;
        }
        if spec.causal || spec.window.is_some() {
            let fact = Fact::new(DType::F32, [rows, rows]);
            let sees = |p: u32, q: u32| (!spec.causal || q <= p) && spec.window.is_none_or(|w| p.abs_diff(q) < w);
            let at = |p: u32, q: u32| if sees(p, q) { 0.0 } else { f32::NEG_INFINITY };
            let values = (0..n).flat_map(|p| (0..n).map(move |q| at(p, q))).collect();
            scores = self.plus(scores, fact, values)?;
        }
        if spec.alibi.is_some() {
            let heads = [Dim::Fixed(kv_heads), Dim::Fixed(spec.heads / kv_heads), rows, rows];
            let at = |h: u32, p: u32, q: u32| (-spec.slope(h) * f64::from(p.abs_diff(q))) as f32;
            let all = (0..spec.heads).flat_map(|h| (0..n).flat_map(move |p| (0..n).map(move |q| at(h, p, q))));
            scores = self.plus(scores, Fact::new(DType::F32, heads), all.collect())?;
        }
        let shares = match sinks {
            Some(sinks) => self.softmax_beside(scores, sinks, [kv_heads, spec.heads / kv_heads, n])?,
            None => self.add(Op::Softmax, &[scores])?,
        };
        let y = self.add(Op::MatMul { transposed: false }, &[shares, v])?;
        let y = self.add(Op::Transpose(vec![2, 0, 1, 3]), &[y])?;
        self.reshape(&[rows, Dim::Fixed(spec.heads * spec.value_dim)], y).map(Some)
    }
}

#[cfg(test)]
mod tests;
