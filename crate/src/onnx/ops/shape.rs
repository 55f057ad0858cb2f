//! Operators that move, cut, join and make shapes.

use super::{axes, axis, broadcast_shape, product, single_i64, size, sizes, strides};
use crate::{
    fault::Result,
    onnx::{
        cast::{self, Rounding},
        graph::Attr,
        run::{Call, Outputs, bad, one},
        value::{Data, Tensor, Type, Value, room, same_type, same_type2},
    },
};

/// Axes from an input, or before it was one, from an attribute.
pub(super) fn axes_given(call: &Call<'_, '_>, input: usize) -> Result<Option<Vec<i64>>> {
    if let Some(tensor) = call.optional(input)? {
        return Ok(Some(tensor.to_i64s()?));
    }
    Ok(call.ints("axes")?.map(|list| list.to_vec()))
}

pub(in crate::onnx) fn identity(call: &mut Call<'_, '_>) -> Outputs {
    let value = call.inputs.first_mut().and_then(Option::take);
    value.map(|v| vec![v]).ok_or_else(|| bad("input 0 expected, none found"))
}

pub(in crate::onnx) fn constant(call: &mut Call<'_, '_>) -> Outputs {
    let Some((name, _)) = call.node.attributes.first() else { return Err(bad("a constant without a value")) };
    let tensor = match call.attr(name) {
        Some(Attr::Tensor(t)) => t.clone(),
        Some(Attr::Sparse(s)) => s.dense()?,
        Some(Attr::Int(n)) => Tensor::of([], Data::I64(vec![*n]))?,
        Some(Attr::Ints(v)) => Tensor::of([v.len()], Data::I64(v.to_vec()))?,
        Some(Attr::Float(x)) => Tensor::of([], Data::F32(vec![*x]))?,
        Some(Attr::Floats(v)) => Tensor::of([v.len()], Data::F32(v.to_vec()))?,
        Some(Attr::Text(s)) => Tensor::of([], Data::Str(vec![String::from_utf8_lossy(s).into()]))?,
        Some(Attr::Texts(v)) => Tensor::of([v.len()], Data::Str(v.to_vec()))?,
        _ => return Err(bad("a constant without a value")),
    };
    one(tensor)
}

pub(in crate::onnx) fn constant_of_shape(call: &mut Call<'_, '_>) -> Outputs {
    let dims = sizes(&call.tensor(0)?.to_i64s()?)?;
    let value = match call.attr_tensor("value")? {
        Some(value) => value,
        None => Tensor::of([1], Data::F32(vec![0.0]))?,
    };
    if value.len() != 1 {
        return Err(bad(format!("a value of one element expected, {} found", value.told())));
    }
    let n = room(&dims, value.kind().size())?;
    one(Tensor::of(dims, same_type!(value.data(), v => vec![v[0].clone(); n]))?)
}

pub(in crate::onnx) fn reshape(call: &mut Call<'_, '_>) -> Outputs {
    let list = if call.since(5) {
        call.tensor(1)?.to_i64s()?
    } else {
        call.ints("shape")?.ok_or_else(|| bad("the attribute \"shape\" expected"))?.to_vec()
    };
    let x = call.take(0)?;
    let keep_zero = call.flag("allowzero", false)?;
    let mut dims = Vec::with_capacity(list.len());
    let mut open = None;
    for (i, n) in list.iter().enumerate() {
        dims.push(match n {
            0 if !keep_zero => {
                *x.dims().get(i).ok_or_else(|| bad(format!("dimension {i} of {} does not exist", x.told())))?
            }
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            n => size(*n)?,
        });
    }
    if let Some(i) = open {
        let rest = room(&dims, 0)?;
        if rest == 0 || x.len() % rest != 0 {
            return Err(bad(format!("{} cannot have the shape {list:?}", x.told())));
        }
        dims[i] = x.len() / rest;
    }
    one(x.reshaped(dims)?)
}

pub(in crate::onnx) fn flatten(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.take(0)?;
    let a = call.int("axis", 1)?;
    let a = if a < 0 { a + x.rank() as i64 } else { a };
    let a =
        usize::try_from(a).ok().filter(|a| *a <= x.rank()).ok_or_else(|| bad(format!("axis {a} of {}", x.told())))?;
    let dims = [product(&x.dims()[..a]), product(&x.dims()[a..])];
    one(x.reshaped(dims)?)
}

pub(in crate::onnx) fn squeeze(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let dims = match axes_given(call, 1)? {
        None => x.dims().iter().copied().filter(|d| *d != 1).collect(),
        Some(list) => {
            let gone = axes(&list, x.rank())?;
            if let Some(a) = gone.iter().find(|a| x.dims()[**a] != 1) {
                return Err(bad(format!("axis {a} of {} is not of size 1", x.told())));
            }
            x.dims().iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, d)| *d).collect::<Vec<_>>()
        }
    };
    one(x.reshaped(dims)?)
}

pub(in crate::onnx) fn unsqueeze(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let list = axes_given(call, 1)?.ok_or_else(|| bad("axes expected"))?;
    let rank = x.rank() + list.len();
    let new = axes(&list, rank)?;
    let mut own = x.dims().iter();
    let dims: Vec<usize> =
        (0..rank).map(|i| if new.contains(&i) { 1 } else { own.next().copied().unwrap_or(1) }).collect();
    one(x.reshaped(dims)?)
}

pub(in crate::onnx) fn transpose(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let order = match call.ints("perm")? {
        Some(list) => axes(&list, x.rank())?,
        None => (0..x.rank()).rev().collect(),
    };
    if order.len() != x.rank() {
        return Err(bad(format!("a permutation of {} axes expected, {order:?} found", x.rank())));
    }
    one(x.permuted(&order)?)
}

pub(in crate::onnx) fn shape(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let rank = x.rank() as i64;
    let bound = |n: i64| (if n < 0 { n + rank } else { n }).clamp(0, rank) as usize;
    let (start, end) = (bound(call.int("start", 0)?), bound(call.int("end", rank)?));
    let dims = x.dims().get(start..end).unwrap_or_default();
    one(Tensor::list_i64(dims.iter().map(|d| *d as i64).collect())?)
}
pub(in crate::onnx) fn size_of(call: &mut Call<'_, '_>) -> Outputs {
    one(Tensor::scalar_i64(call.tensor(0)?.len() as i64)?)
}

/// Tensors joined along an axis.
pub(in crate::onnx) fn concatenated(all: &[Tensor], at: usize) -> Result<Tensor> {
    let first = all.first().ok_or_else(|| bad("at least one tensor expected"))?;
    let mut dims = first.dims().to_vec();
    dims[at] = 0;
    for t in all {
        let fits = t.rank() == dims.len() && (0..dims.len()).all(|d| d == at || t.dims()[d] == dims[d]);
        if !fits || t.kind() != first.kind() {
            return Err(bad(format!("{} and {} cannot be joined along axis {at}", first.told(), t.told())));
        }
        dims[at] += t.dims()[at];
    }
    let n = room(&dims, first.kind().size())?;
    let outer = product(&dims[..at]);
    macro_rules! join {
        ($($variant:ident),*) => {
            match first.data() {
                $(Data::$variant(_) => {
                    let mut out = Vec::with_capacity(n);
                    for i in 0..outer {
                        for t in all {
                            if let Data::$variant(v) = t.data() {
                                let row = t.len() / outer.max(1);
                                out.extend_from_slice(&v[i * row..(i + 1) * row]);
                            }
                        }
                    }
                    Data::$variant(out)
                })*
                Data::Small(kind, _) => {
                    let mut out = Vec::with_capacity(n);
                    for i in 0..outer {
                        for t in all {
                            if let Data::Small(_, v) = t.data() {
                                let row = t.len() / outer.max(1);
                                out.extend_from_slice(&v[i * row..(i + 1) * row]);
                            }
                        }
                    }
                    Data::Small(*kind, out)
                }
            }
        };
    }
    let data = join!(F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool, Str, C64, C128);
    Tensor::of(dims, data)
}
pub(in crate::onnx) fn concat(call: &mut Call<'_, '_>) -> Outputs {
    let all = call.tensors()?;
    let rank = all.first().map_or(0, Tensor::rank);
    let at = axis(call.int("axis", i64::from(call.version < 4))?, rank)?;
    one(concatenated(&all, at)?)
}

/// A part of a tensor along an axis.
pub(in crate::onnx) fn part(x: &Tensor, at: usize, from: usize, n: usize) -> Result<Tensor> {
    let own = strides(x.dims());
    let mut dims = x.dims().to_vec();
    if at >= dims.len() || from.checked_add(n).is_none_or(|end| end > dims[at]) {
        return Err(bad(format!("{} to {} of axis {at} of {}", from, from + n, x.told())));
    }
    dims[at] = n;
    let steps: Vec<isize> = own.iter().map(|s| *s as isize).collect();
    x.strided(from * own[at], dims, &steps)
}
/// Sizes of equal parts; the last is smaller where it does not come out.
pub(super) fn even_parts(n: usize, parts: usize) -> Vec<usize> {
    let each = n.div_ceil(parts.max(1));
    (0..parts).map(|i| each.min(n.saturating_sub(i * each))).collect()
}
pub(in crate::onnx) fn split(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let at = axis(call.int("axis", 0)?, x.rank())?;
    let given = match call.optional(1)? {
        Some(t) => Some(t.to_i64s()?),
        None => call.ints("split")?.map(|v| v.to_vec()),
    };
    let parts = match given {
        Some(list) => sizes(&list)?,
        None => {
            let n = match call.int_opt("num_outputs")? {
                Some(n) => size(n)?,
                None => call.node.outputs.len(),
            };
            if n > call.node.outputs.len() {
                return Err(bad(format!("{n} parts for {} outputs", call.node.outputs.len())));
            }
            even_parts(x.dims()[at], n)
        }
    };
    if parts.iter().try_fold(0usize, |n, p| n.checked_add(*p)) != Some(x.dims()[at]) {
        return Err(bad(format!("parts {parts:?} of axis {at} of {}", x.told())));
    }
    let mut from = 0;
    let mut out = Vec::new();
    for n in parts {
        out.push(Value::Tensor(part(&x, at, from, n)?));
        from += n;
    }
    Ok(out)
}

pub(in crate::onnx) fn slice(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let rank = x.rank();
    let (starts, ends, list, steps) = if call.since(10) {
        let of = |i: usize| call.optional(i).and_then(|t| t.map(|t| t.to_i64s()).transpose());
        (call.tensor(1)?.to_i64s()?, call.tensor(2)?.to_i64s()?, of(3)?, of(4)?)
    } else {
        let of = |name: &str| call.ints(name).map(|v| v.map(|v| v.to_vec()));
        let need =
            |name: &str| of(name).and_then(|v| v.ok_or_else(|| bad(format!("the attribute \"{name}\" expected"))));
        (need("starts")?, need("ends")?, of("axes")?, None)
    };
    let list = axes(&list.unwrap_or_else(|| (0..starts.len() as i64).collect()), rank)?;
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || list.len() != starts.len() || steps.len() != starts.len() {
        return Err(bad(format!(
            "{} starts, {} ends, {} axes, {} steps",
            starts.len(),
            ends.len(),
            list.len(),
            steps.len()
        )));
    }
    let own = strides(x.dims());
    let mut dims = x.dims().to_vec();
    let mut by: Vec<isize> = own.iter().map(|s| *s as isize).collect();
    let mut begin = 0;
    for (i, a) in list.into_iter().enumerate() {
        let n = x.dims()[a] as i64;
        let step = steps[i];
        if step == 0 {
            return Err(bad("a step of 0"));
        }
        let from_end = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
        let (start, count) = if step > 0 {
            let (start, end) = (from_end(starts[i]).clamp(0, n), from_end(ends[i]).clamp(0, n));
            (start, if end > start { (end - start - 1) / step + 1 } else { 0 })
        } else {
            let start = from_end(starts[i]).clamp(-1, n - 1);
            let end = from_end(ends[i]).clamp(-1, n - 1);
            (start.max(0), if start > end { (start - end - 1) / step.saturating_neg() + 1 } else { 0 })
        };
        dims[a] = count as usize;
        if count > 0 {
            begin += start as usize * own[a];
        }
        by[a] = if count > 1 { own[a] as isize * step as isize } else { 0 };
    }
    one(x.strided(begin, dims, &by)?)
}

pub(in crate::onnx) fn expand(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let wanted = sizes(&call.tensor(1)?.to_i64s()?)?;
    let dims = broadcast_shape(&[x.dims(), &wanted])?;
    one(x.expanded(&dims)?)
}

pub(in crate::onnx) fn tile(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let repeats = if call.version < 6 {
        let (times, at) = (single_i64(&call.tensor(1)?)?, axis(single_i64(&call.tensor(2)?)?, x.rank())?);
        (0..x.rank()).map(|d| if d == at { size(times) } else { Ok(1) }).collect::<Result<Vec<_>>>()?
    } else {
        sizes(&call.tensor(1)?.to_i64s()?)?
    };
    if repeats.len() != x.rank() {
        return Err(bad(format!("{} repeats for {}", repeats.len(), x.told())));
    }
    let own = strides(x.dims());
    let (mut wide, mut steps, mut dims) = (Vec::new(), Vec::new(), Vec::new());
    for d in 0..x.rank() {
        wide.extend([repeats[d], x.dims()[d]]);
        steps.extend([0, own[d] as isize]);
        dims.push(repeats[d].checked_mul(x.dims()[d]).ok_or_else(|| bad("repeats beyond 64 bits"))?);
    }
    room(&dims, x.kind().size())?;
    one(Tensor::of(dims, same_type!(x.data(), v => super::strided(v, 0, &wide, &steps)))?)
}

/// How the outside of a tensor is filled.
#[derive(Clone, Copy, PartialEq)]
enum Outside {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

/// The source of each place along an axis: `None` outside of a constant.
fn padded_axis(n: usize, before: i64, after: i64, how: Outside) -> Result<Vec<Option<usize>>> {
    let len =
        (n as i64).checked_add(before).and_then(|x| x.checked_add(after)).ok_or_else(|| bad("pads beyond 64 bits"))?;
    let len = size(len)?;
    room(&[len], 16)?;
    let n = n as i64;
    (0..len as i64)
        .map(|i| {
            let at = i - before;
            if (0..n).contains(&at) {
                return Ok(Some(at as usize));
            }
            if how != Outside::Constant && n == 0 {
                return Err(bad("an empty axis cannot be padded with its own elements"));
            }
            Ok(match how {
                Outside::Constant => None,
                Outside::Edge => Some(at.clamp(0, n - 1) as usize),
                Outside::Wrap => Some(at.rem_euclid(n) as usize),
                Outside::Reflect if n == 1 => Some(0),
                Outside::Reflect => {
                    let period = 2 * (n - 1);
                    let m = at.rem_euclid(period);
                    Some(if m < n { m } else { period - m } as usize)
                }
            })
        })
        .collect()
}

pub(in crate::onnx) fn pad(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let how = match call.text("mode", "constant")?.as_str() {
        "constant" => Outside::Constant,
        "reflect" => Outside::Reflect,
        "edge" => Outside::Edge,
        "wrap" => Outside::Wrap,
        other => return Err(bad(format!("the mode constant, reflect, edge or wrap expected, {other:?} found"))),
    };
    let (pads, value, list) = if call.since(11) || call.node.op.contains('.') {
        let list = call.optional(3)?.map(|t| t.to_i64s()).transpose()?;
        (call.tensor(1)?.to_i64s()?, call.optional(2)?.filter(|t| !t.is_empty()), list)
    } else {
        let pads = match call.ints("pads")? {
            Some(p) => p,
            None => call.ints("paddings")?.ok_or_else(|| bad("the attribute \"pads\" expected"))?,
        };
        let value = Tensor::of([1], Data::F32(vec![call.float("value", 0.0)?]))?;
        (pads.to_vec(), Some(value.cast(x.kind())?), None)
    };
    let list = match list {
        Some(list) => axes(&list, x.rank())?,
        None => (0..x.rank()).collect(),
    };
    if pads.len() != 2 * list.len() {
        return Err(bad(format!("{} pads for {} axes", pads.len(), list.len())));
    }
    let mut along: Vec<Vec<Option<usize>>> = Vec::new();
    for (d, n) in x.dims().iter().enumerate() {
        let (before, after) = list.iter().position(|a| *a == d).map_or((0, 0), |i| (pads[i], pads[i + list.len()]));
        along.push(padded_axis(*n, before, after, how)?);
    }
    let value = match value {
        Some(v) => v.reshaped([])?,
        None => Tensor::of([], Data::zeros(x.kind(), 1))?,
    };
    one(gathered_axes(&x, &along, &value)?)
}

/// Elements picked along every axis; `None` takes the value.
fn gathered_axes(x: &Tensor, along: &[Vec<Option<usize>>], value: &Tensor) -> Result<Tensor> {
    let dims: Vec<usize> = along.iter().map(Vec::len).collect();
    let n = room(&dims, x.kind().size())?;
    let own = strides(x.dims());
    let data = same_type2!(x.data(), value.data(), v, w => {
        let mut out = Vec::with_capacity(n);
        if n > 0 {
            let mut at = vec![0usize; dims.len()];
            let (inner, outer) = match along.split_last() {
                Some((inner, outer)) => (inner.as_slice(), outer),
                None => (&[Some(0)][..], along),
            };
            'all: loop {
                let base = outer.iter().zip(&at).zip(&own).try_fold(0, |sum, ((list, i), s)| list[*i].map(|p| sum + p * s));
                match base {
                    Some(base) => out.extend(inner.iter().map(|p| p.map_or_else(|| w[0].clone(), |p| v[base + p].clone()))),
                    None => out.extend(inner.iter().map(|_| w[0].clone())),
                }
                let mut d = outer.len();
                loop {
                    if d == 0 {
                        break 'all;
                    }
                    d -= 1;
                    at[d] += 1;
                    if at[d] < dims[d] {
                        break;
                    }
                    at[d] = 0;
                }
            }
        }
        out
    }, else return Err(bad(format!("a value of the type of {} expected, {} found", x.told(), value.told()))));
    Tensor::of(dims, data)
}

pub(in crate::onnx) fn center_crop_pad(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let shape = call.tensor(1)?.to_i64s()?;
    let list = match call.ints("axes")? {
        Some(list) => axes(&list, x.rank())?,
        None => (0..x.rank()).collect(),
    };
    if list.len() != shape.len() {
        return Err(bad(format!("{} sizes for {} axes", shape.len(), list.len())));
    }
    let mut along = Vec::new();
    for (d, n) in x.dims().iter().enumerate() {
        let (mut before, mut after) = (0, 0);
        if let Some(i) = list.iter().position(|a| *a == d) {
            let more = shape[i].saturating_sub(*n as i64);
            before = more / 2;
            after = more - before;
        }
        along.push(padded_axis(*n, before, after, Outside::Constant)?);
    }
    one(gathered_axes(&x, &along, &Tensor::of([], Data::zeros(x.kind(), 1))?)?)
}

pub(in crate::onnx) fn depth_to_space(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let b = size(call.int("blocksize", 0)?)?;
    let [n, c, h, w] = x.dims()[..] else { return Err(bad(format!("4 dimensions expected, {} found", x.told()))) };
    if b == 0 || c % b.checked_mul(b).filter(|n| *n > 0).ok_or_else(|| bad("a blocksize beyond 64 bits"))? != 0 {
        return Err(bad(format!("blocks of {b} in {}", x.told())));
    }
    let d = c / (b * b);
    let y = match call.text("mode", "DCR")?.as_str() {
        "CRD" => x.reshaped([n, d, b, b, h, w])?.permuted(&[0, 1, 4, 2, 5, 3])?,
        _ => x.reshaped([n, b, b, d, h, w])?.permuted(&[0, 3, 4, 1, 5, 2])?,
    };
    one(y.reshaped([n, d, h * b, w * b])?)
}
pub(in crate::onnx) fn space_to_depth(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let b = size(call.int("blocksize", 0)?)?;
    let [n, c, h, w] = x.dims()[..] else { return Err(bad(format!("4 dimensions expected, {} found", x.told()))) };
    if b == 0 || h % b != 0 || w % b != 0 {
        return Err(bad(format!("blocks of {b} in {}", x.told())));
    }
    let parts = x.reshaped([n, c, h / b, b, w / b, b])?;
    let y = match call.text("mode", "DCR")?.as_str() {
        "CRD" => parts.permuted(&[0, 1, 3, 5, 2, 4])?,
        _ => parts.permuted(&[0, 3, 5, 1, 2, 4])?,
    };
    one(y.reshaped([n, c * b * b, h / b, w / b])?)
}

pub(in crate::onnx) fn eye_like(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let [h, w] = x.dims()[..] else { return Err(bad(format!("2 dimensions expected, {} found", x.told()))) };
    let kind = call.attr_type("dtype")?.unwrap_or_else(|| x.kind());
    let k = call.int("k", 0)?;
    room(&[h, w], 8)?;
    let v: Vec<f64> = (0..h * w)
        .map(|i| f64::from(u8::from((i % w.max(1)) as i64 == ((i / w.max(1)) as i64).saturating_add(k))))
        .collect();
    one(Tensor::of([h, w], cast::from_f64s(kind, &v, Rounding::default())?)?)
}

pub(in crate::onnx) fn range(call: &mut Call<'_, '_>) -> Outputs {
    let (start, limit, delta) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let kind = start.kind();
    if kind.is_float() {
        let of = super::single_f64;
        let (s, l, d) = (of(&start)?, of(&limit)?, of(&delta)?);
        let n = ((l - s) / d).ceil().max(0.0);
        if !n.is_finite() || n > 1e18 {
            return Err(bad(format!("a range from {s} to {l} by {d}")));
        }
        let n = room(&[n as usize], 8)?;
        let v: Vec<f64> = if kind == Type::F32 {
            (0..n).map(|i| f64::from(s as f32 + i as f32 * d as f32)).collect()
        } else {
            (0..n).map(|i| s + i as f64 * d).collect()
        };
        return one(Tensor::of([n], cast::from_f64s(kind, &v, Rounding::default())?)?);
    }
    let (s, l, d) = (single_i64(&start)?, single_i64(&limit)?, single_i64(&delta)?);
    if d == 0 {
        return Err(bad("a range by steps of 0"));
    }
    let span = i128::from(l) - i128::from(s);
    let n = if (span > 0) == (d > 0) { (span.abs() + i128::from(d).abs() - 1) / i128::from(d).abs() } else { 0 };
    let n = room(&[usize::try_from(n).map_err(|_| bad("a range of too many numbers"))?], 8)?;
    let v: Vec<i64> = (0..n as i64).map(|i| s.wrapping_add(i.wrapping_mul(d))).collect();
    one(Tensor::of([n], cast::from_i64s(kind, &v)?)?)
}

pub(in crate::onnx) fn trilu(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let k = call.optional(1)?.map(|t| single_i64(&t)).transpose()?.unwrap_or(0);
    let upper = call.flag("upper", true)?;
    let [.., h, w] = x.dims()[..] else {
        return Err(bad(format!("at least 2 dimensions expected, {} found", x.told())));
    };
    let zero = Data::zeros(x.kind(), 1);
    let data = same_type2!(x.data(), &zero, v, z => v.iter().enumerate().map(|(i, value)| {
        let (row, column) = ((i / w % h) as i64, (i % w) as i64);
        let keep = if upper { column >= row.saturating_add(k) } else { column <= row.saturating_add(k) };
        if keep { value.clone() } else { z[0].clone() }
    }).collect(), else return Err(bad("a tensor expected")));
    one(x.with(data)?)
}

pub(in crate::onnx) fn reverse_sequence(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let lens = sizes(&call.tensor(1)?.to_i64s()?)?;
    let (batch, time) = (axis(call.int("batch_axis", 1)?, x.rank())?, axis(call.int("time_axis", 0)?, x.rank())?);
    let own = strides(x.dims());
    if batch == time || lens.len() != x.dims()[batch] || lens.iter().any(|n| *n > x.dims()[time]) {
        return Err(bad(format!("lengths {lens:?} of axis {batch}, times along axis {time} of {}", x.told())));
    }
    let places: Vec<usize> = (0..x.len())
        .map(|i| {
            let (b, t) = (i / own[batch] % x.dims()[batch], i / own[time] % x.dims()[time]);
            if t < lens[b] { i - t * own[time] + (lens[b] - 1 - t) * own[time] } else { i }
        })
        .collect();
    one(x.picked(&places, x.dims().to_vec())?)
}

pub(in crate::onnx) fn dropout(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.tensor(0)?;
    let (ratio, training) = if call.since(12) {
        let ratio = call.optional(1)?.map(|t| super::single_f64(&t)).transpose()?.unwrap_or(0.5);
        let training = call.optional(2)?.map(|t| t.to_i64s()).transpose()?.is_some_and(|v| v == [1]);
        (ratio, training)
    } else {
        (0.0, false)
    };
    let n = x.len();
    if !training || ratio == 0.0 {
        let mask = if call.since(10) {
            Data::Bool(vec![true; n])
        } else {
            cast::from_f64s(x.kind(), &vec![1.0; n], Rounding::default())?
        };
        return Ok(vec![x.clone().into(), x.with(mask)?.into()]);
    }
    // The generator and its use are those of ONNX's own reference, so that a seed means the same.
    let mut numbers = super::random::Twister::new(call.int_opt("seed")?.map_or(0, |s| s as u32));
    let keep: Vec<bool> = (0..n).map(|_| numbers.real() >= ratio).collect();
    let scale = 1.0 / (1.0 - ratio);
    let v: Vec<f64> = x.to_f64s()?.iter().zip(&keep).map(|(v, k)| if *k { v * scale } else { 0.0 }).collect();
    let y = x.with(cast::from_f64s(x.kind(), &v, Rounding::default())?)?;
    Ok(vec![y.into(), x.with(Data::Bool(keep))?.into()])
}
