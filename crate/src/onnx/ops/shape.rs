//! Operators that move, cut, join and make shapes.

mod fills;
mod padding;

pub(in crate::onnx) use fills::{constant, constant_of_shape, eye_like, range};
pub(in crate::onnx) use padding::{center_crop_pad, pad};

use super::{axes, axis, broadcast_shape, product, single_i64, size, sizes, strides};
use crate::fault::Result;
use crate::onnx::cast::{self, Rounding};
use crate::onnx::run::{Call, Outputs, bad, one};
use crate::onnx::value::{Data, Tensor, Value, room, same_type, same_type2};

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
